package rpc

import (
	"crypto/tls"
	"fmt"
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
	_, more, err := f.write(briefly)
	switch {
	case err != nil && !isTimeout(err):
		f.owner.writeFailed(f.failure(err), true)
	case err != nil || more:
		go f.flushAll()
	}
}

// flushAll writes until nothing is left, as long as the peer reads.
func (f *flusher) flushAll() {
	for more := f.take(); more; {
		begun := time.Now()
		written, again, err := f.write(f.timeout)
		switch {
		case err == nil:
			more = again && f.take()
		case f.inline && isTimeout(err) && keepsUp(written, time.Since(begun)):
			more = f.take() // the rest
		default:
			f.owner.writeFailed(f.failure(err), true)
			return
		}
	}
}

// leastRate is how many bytes a second a peer has to take, or has to send of a frame,
// to be slow and not to hang. What it takes lies in buffers of the system first: it
// may seem to take nothing for a while, and then much at once.
const leastRate = 1 << 10

// keepsUp reports whether so many bytes are enough for a time in which the peer was
// waited for.
func keepsUp(bytes int, d time.Duration) bool {
	return time.Duration(bytes)*time.Second >= d*leastRate
}

// failure says what a write has failed with.
func (f *flusher) failure(err error) error {
	if isTimeout(err) {
		return fmt.Errorf("write timeout: the peer has read less than %d bytes per second for %v (WithWriteTimeout): %w", leastRate, f.timeout, err)
	}
	return fmt.Errorf("write: %w", err)
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
// again, unless the connection is not resumable.
func (f *flusher) write(timeout time.Duration) (written int, more bool, err error) {
	needed := true // nobody else would go on writing if this goroutine ended now
	defer func() {
		if needed { // a user's connection or observer has ended it
			f.owner.writeFailed(errExited, false)
		}
	}()
	if err = f.arm(timeout); err == nil {
		written, err = f.writeRest(timeout)
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
	return written, more, err
}

// writeRest writes what is left of the batch, and leaves what is still left then.
func (f *flusher) writeRest(timeout time.Duration) (written int, err error) {
	if !f.inline {
		return f.writePieces(timeout)
	}
	if len(f.rest) > 1 {
		n, err := f.rest.WriteTo(f.conn)
		return int(n), err
	}
	written, err = f.conn.Write(f.rest[0])
	f.rest[0] = f.rest[0][written:]
	return written, err
}

// pieceSize is how much is written at a time where a deadline that passes spoils the
// stream: there, only what was written whole is progress. It is a record of TLS.
const pieceSize = 16 << 10

// writePieces is writeRest with a deadline for each piece.
func (f *flusher) writePieces(timeout time.Duration) (written int, err error) {
	for len(f.rest) > 0 {
		if err = f.arm(timeout); err != nil {
			return written, err
		}
		piece := f.rest[0][:min(pieceSize, len(f.rest[0]))]
		n, err := f.conn.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		if f.rest[0] = f.rest[0][n:]; len(f.rest[0]) == 0 {
			f.rest = f.rest[1:]
		}
	}
	return written, nil
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
