package rpc

import (
	"crypto/tls"
	"net"
	"runtime"
	"time"
)

// flusher writes a connection's batches, one at a time. Its role belongs to one
// goroutine at a time: see outbox.start.
type flusher struct {
	conn      net.Conn      // guarded: see guardConn
	timeout   time.Duration // of one write
	observers *observers
	inline    bool // a write that ran into a deadline can go on later
	owner     sender

	// These belong to the goroutine that has the role.
	writing batch
	vec     [][]byte
	rest    net.Buffers // of writing, what has not been written
	armed   time.Time   // the write deadline that is set
}

// sender is a connection as its flusher sees it: a clientConn or a serverConn.
type sender interface {
	takeBatch(w *batch) bool                     // outbox.take, under the lock
	wroteBatch(written int, err error) bool      // outbox.wrote, and what waits for room goes on
	writeFailed(err error, acceptedIsKnown bool) // outbox.fail, and the connection ends
}

// briefly is how long a goroutine may be delayed by work for others: a sender by
// a peer that does not read, a caller that reads by a reply that does not arrive.
const briefly = time.Millisecond

// flush has the appended frames written, after outbox.start returned true. Waking a
// goroutine on another processor costs microseconds, so this one writes a round
// itself. When the peer does not take it all at once, or more was appended meanwhile,
// a goroutine goes on. With yield, others are about to append, too.
func (f *flusher) flush(yield bool) {
	if !f.inline {
		go f.flushAll()
		return
	}
	if yield {
		runtime.Gosched() // let the others append: one write for all
	}
	if !f.take() {
		return
	}
	more, err := f.write(briefly)
	switch {
	case err != nil && !isTimeout(err):
		f.owner.writeFailed(err, true)
	case err != nil || more:
		go f.flushAll()
	}
}

// flushAll writes until nothing is left.
func (f *flusher) flushAll() {
	for more := f.take(); more; {
		var err error
		if more, err = f.write(f.timeout); err != nil {
			f.owner.writeFailed(err, true)
			return
		}
		more = more && f.take()
	}
}

// take gets the next batch, or the rest of one that another goroutine began.
func (f *flusher) take() bool {
	begun := f.writing.small != nil
	if !f.owner.takeBatch(&f.writing) {
		return false
	}
	if !begun {
		f.vec = f.writing.pieces(f.vec[:0])
		f.rest = f.vec
	}
	return true
}

// write writes the rest of the batch and reports whether more was appended
// meanwhile. If not, it has given the role back. After a timeout it can be called
// again.
func (f *flusher) write(timeout time.Duration) (more bool, err error) {
	needed := true // while true, the writing stops if this goroutine ends
	defer func() {
		if needed { // a user's connection or observer has ended it
			f.owner.writeFailed(errExited, false)
		}
	}()
	written := 0
	if err = f.arm(timeout); err == nil {
		written, err = f.writeRest()
	}
	if err == nil {
		f.writing.recycle()
		clear(f.vec[:cap(f.vec)])
		f.rest = nil
	}
	more = f.owner.wroteBatch(written, err)
	needed = more || err != nil
	if len(f.observers.written) > 0 && written > 0 {
		f.observers.bytesWritten(written)
	}
	needed = false
	return more, err
}

// writeRest writes what is left of the batch, and leaves what is still left then.
func (f *flusher) writeRest() (written int, err error) {
	if len(f.rest) > 1 {
		n, err := f.rest.WriteTo(f.conn)
		return int(n), err
	}
	written, err = f.conn.Write(f.rest[0])
	f.rest[0] = f.rest[0][written:]
	return written, err
}

// arm sets the write deadline, before every write: one that has passed would
// fail even a write that need not wait. One that is near enough is left.
func (f *flusher) arm(timeout time.Duration) error {
	var want time.Time
	if timeout > 0 {
		now := time.Now()
		if f.armed.After(now.Add(timeout/2)) && !f.armed.After(now.Add(timeout)) {
			return nil
		}
		want = now.Add(timeout)
	} else if f.armed.IsZero() {
		return nil
	}
	f.armed = want
	return f.conn.SetWriteDeadline(want)
}

// resumable reports whether reads and writes on conn, which is guarded, that ran into
// a deadline can go on where they stopped. On TLS they cannot: a record is sent whole
// or the stream is spoilt.
func resumable(conn net.Conn) (pipe bool) {
	user, ok := conn.(userConn)
	if !ok {
		return true
	}
	if _, secure := user.Conn.(*tls.Conn); secure { // over a pipe it has a pipe's address
		return false
	}
	user.apart(func() error {
		addr := user.Conn.LocalAddr()
		pipe = !isNil(addr) && addr.Network() == "pipe"
		return nil
	})
	return pipe
}
