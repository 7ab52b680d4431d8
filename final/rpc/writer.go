package rpc

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// highWater is how many bytes may wait to be written before senders wait too.
const highWater = 1 << 20

// largeBody is from where on a body is written from its own buffer, without a
// copy into the batch.
const largeBody = 8 << 10

// writer gathers frames and writes them in batches: while one batch is on its
// way, the next one grows. No goroutine holds mu during a write, so appending
// never waits for one.
type writer struct {
	conn     net.Conn      // guarded: see guardConn
	timeout  time.Duration // of one write
	observer ConnObserver  // may be nil
	inline   bool          // a write that ran into a deadline can go on later

	bodySize atomic.Int64 // of the last body encoded: a guess at the next one's

	failed func(error) // called once, without mu, when a write failed
	taken  func()      // called with mu when what was appended is handed to Write; may be nil
	room   func()      // called with mu when bytes have been written

	mu        sync.Mutex // guards what follows and, beyond this type, its owner's state
	out       batch      // appended, not taken yet
	appended  uint64     // all bytes that were ever appended
	size      int        // of these, those in out and on their way
	flushing  bool       // a goroutine writes, or is about to
	err       error      // why nothing is written any more
	batchSize int        // of the largest batch lately, large bodies apart: a guess at the next one's

	// These belong to the goroutine that set flushing.
	writing batch
	vec     [][]byte
	rest    net.Buffers // of writing, what has not been written
	armed   time.Time   // the write deadline that is set
}

// batch is frames in a row. Large bodies lie between pieces of small.
type batch struct {
	small *buffer
	cuts  []cut
}

// cut says that body follows small.b[:at].
type cut struct {
	at   int
	body *buffer
}

// encode encodes a body, outside of all locks.
func (w *writer) encode(codec Codec, v any) (*buffer, error) {
	body := getBuffer(int(w.bodySize.Load()))
	var err error
	if body.b, err = encodeWith(codec, body.b, v); err != nil {
		putBuffer(body)
		return nil, err
	}
	w.noteSize(body)
	return body, nil
}

// encodeGobLocked is encode for gob, whose stream is in the order of the frames.
func (w *writer) encodeGobLocked(enc *gobEncoder, v any) (body *buffer, flags uint8, err error) {
	body = getBuffer(int(w.bodySize.Load()))
	if body.b, flags, err = enc.append(body.b, v); err != nil {
		putBuffer(body)
		return nil, 0, err
	}
	if len(body.b) > keptGob {
		enc.releaseLater(&w.mu)
	}
	w.noteSize(body)
	return body, flags, nil
}

func (w *writer) noteSize(body *buffer) {
	if size := int64(len(body.b)); size != w.bodySize.Load() {
		w.bodySize.Store(size)
	}
}

// appendLocked appends a frame: head from the function, then body, which is
// copied if it is small. The writer owns body from here on. Callers hold mu.
func (w *writer) appendLocked(head func(dst []byte) []byte, body *buffer) {
	if w.err != nil {
		putBuffer(body)
		return
	}
	if w.out.small == nil {
		w.out.small = getBuffer(w.batchSize)
	}
	small := w.out.small
	grown := -len(small.b)
	small.b = head(small.b)
	switch {
	case body == nil:
	case len(body.b) >= largeBody:
		w.out.cuts = append(w.out.cuts, cut{at: len(small.b), body: body})
		grown += len(body.b)
	default:
		small.b = append(small.b, body.b...)
		putBuffer(body)
	}
	grown += len(small.b)
	w.appended += uint64(grown)
	w.size += grown
}

// sentLocked returns how many of all bytes appended Write has taken. While a Write
// is under way that is not known. Callers hold mu.
func (w *writer) sentLocked() (n uint64, known bool) {
	return w.appended - uint64(w.size), !w.flushing
}

// startLocked reports whether the caller has to see to it that what was
// appended gets written, by flush. Callers hold mu.
func (w *writer) startLocked() bool {
	if w.flushing || w.out.small == nil || w.err != nil {
		return false
	}
	w.flushing = true
	return true
}

// flushAll writes until nothing is left.
func (w *writer) flushAll() {
	for more := w.take(); more; {
		var err error
		if more, err = w.write(w.timeout); err != nil {
			w.fail(err)
			return
		}
		more = more && w.take()
	}
}

// take makes the next batch the one that is written. Without one, it gives the
// flusher's role back and returns false.
func (w *writer) take() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.takeLocked()
}

func (w *writer) takeLocked() bool {
	if len(w.rest) > 0 && w.err == nil {
		return true // another goroutine began this batch and left the rest
	}
	if w.out.small == nil || w.err != nil {
		w.flushing = false
		return false
	}
	if w.taken != nil {
		w.taken()
	}
	w.batchSize = max(len(w.out.small.b), w.batchSize-w.batchSize/8)
	w.writing, w.out = w.out, batch{cuts: w.writing.cuts[:0]}
	w.vec = w.vec[:0]
	small, done := w.writing.small.b, 0
	for _, c := range w.writing.cuts {
		w.vec = append(w.vec, small[done:c.at], c.body.b)
		done = c.at
	}
	if done < len(small) {
		w.vec = append(w.vec, small[done:])
	}
	w.rest = w.vec
	return true
}

// write writes the rest of the batch and reports whether more was appended
// meanwhile. If not, it has given the flusher's role back. After a timeout it can
// be called again.
func (w *writer) write(timeout time.Duration) (more bool, err error) {
	needed := true // while true, the writing stops if this goroutine ends
	defer func() {
		if needed {
			w.exited()
		}
	}()
	written := 0
	if err = w.arm(timeout); err == nil {
		written, err = w.writeRest()
	}
	if err == nil {
		w.recycle()
	}
	more = w.wrote(written, err)
	needed = more || err != nil
	if w.observer != nil && written > 0 {
		w.observer.BytesWritten(written)
	}
	needed = false
	return more, err
}

// wrote counts what was written, and reports whether there is more to write.
func (w *writer) wrote(written int, err error) (more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.size -= written
	w.room()
	if err == nil {
		more = w.out.small != nil
		w.flushing = more
	}
	return more
}

// exited ends the writing because a user's connection or observer has ended the
// goroutine that writes. No other goroutine takes its role: how much was written is not known.
func (w *writer) exited() {
	w.mu.Lock()
	first := w.err == nil
	w.stopLocked(errExited)
	w.mu.Unlock()
	if first {
		w.failed(errExited)
	}
}

// writeRest writes what is left of the batch, and leaves what is still left then.
func (w *writer) writeRest() (written int, err error) {
	if len(w.rest) > 1 {
		n, err := w.rest.WriteTo(w.conn)
		return int(n), err
	}
	written, err = w.conn.Write(w.rest[0])
	w.rest[0] = w.rest[0][written:]
	return written, err
}

// recycle gives back the memory of a batch that was written.
func (w *writer) recycle() {
	putBuffer(w.writing.small)
	w.writing.small = nil
	for i := range w.writing.cuts {
		putBuffer(w.writing.cuts[i].body)
		w.writing.cuts[i].body = nil
	}
	clear(w.vec[:cap(w.vec)])
	w.rest = nil
}

// arm sets the write deadline, before every write: one that has passed would
// fail even a write that need not wait. One that is near enough is left.
func (w *writer) arm(timeout time.Duration) error {
	var want time.Time
	if timeout > 0 {
		now := time.Now()
		if w.armed.After(now.Add(timeout/2)) && !w.armed.After(now.Add(timeout)) {
			return nil
		}
		want = now.Add(timeout)
	} else if w.armed.IsZero() {
		return nil
	}
	w.armed = want
	return w.conn.SetWriteDeadline(want)
}

// fail ends the writing. The batch on its way is left to the garbage collector:
// the connection may still look at it.
func (w *writer) fail(err error) {
	w.mu.Lock()
	first := w.err == nil
	w.stopLocked(err)
	w.flushing = false
	w.mu.Unlock()
	if first {
		w.failed(err)
	}
}

// stopLocked drops what is not written and lets nothing more be appended.
func (w *writer) stopLocked(err error) {
	if w.err == nil {
		w.err = err
	}
	w.out = batch{}
	w.room()
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
