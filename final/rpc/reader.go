package rpc

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// frame is one message from the wire. Its payload, the kind's fields, is valid
// until the next frame is read, unless it lies in a large buffer, which then
// belongs to the receiver of the frame.
type frame struct {
	kind    kind
	flags   uint8
	id      uint64
	payload []byte
	large   *bytepool.Buffer // nil for small frames
}

const (
	minReadBuffer = 2 << 10
	maxReadBuffer = 64 << 10
	largeFrame    = 16 << 10 // from here on a frame is read into a buffer of its own

	shrinkAfter = 10 * time.Second // without a byte, more than minReadBuffer is given back
)

var (
	errIdle      = errors.New("rpc: idle timeout")
	errSlowFrame = Errorf(DeadlineExceeded, "a frame took too long to arrive")
	errHurry     = errors.New("rpc: the reader has to give way")
)

// frameReader cuts a connection's bytes into frames. A frame that has arrived only
// in part is kept here, not on a stack, so that reading can stop at a deadline
// and be taken up by another goroutine. One goroutine uses it at a time.
type frameReader struct {
	conn  net.Conn
	limit int // a frame's largest length

	frameTimeout time.Duration // from a frame's first byte to its last; 0: any
	idleTimeout  time.Duration // without a byte between frames; 0: any
	observer     ConnObserver  // may be nil
	shrunk       func()        // called when shrink has given back memory, for other memory; may be nil

	buf        []byte
	start, end int // received and not handed out yet: buf[start:end]

	large     *bytepool.Buffer // a large frame that is being read, header taken off
	largeWant int
	largeHead [headerSize]byte
	lastLarge int // size of the last large frame that was received whole

	begun time.Time // when reading the current frame began; zero between frames
	last  time.Time // when the last bytes arrived; kept with idleTimeout, and while buf is large
	armed time.Time // the read deadline that is set; zero: none
	hurry time.Time // give way then with errHurry; zero: never

	frame frame         // what next returned
	reads atomic.Uint64 // how often bytes have arrived; may be read by any goroutine
}

// next returns the next frame, valid until it is called again. io.EOF means that the peer ended between two
// frames. After errIdle and errHurry, next may be called again.
func (r *frameReader) next() (*frame, error) {
	for {
		if ok, err := r.parse(); ok || err != nil {
			return &r.frame, err
		}
		r.frame = frame{} // handled: while we wait it must not keep a large buffer from being used again
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// buffered reports whether next would return without reading.
func (r *frameReader) buffered() bool {
	if r.large != nil {
		return false
	}
	have := r.end - r.start
	return have >= 4 && have >= 4+int(binary.BigEndian.Uint32(r.buf[r.start:]))
}

// parse takes a frame from the bytes received. It checks the length before anything else.
func (r *frameReader) parse() (ok bool, err error) {
	if r.large != nil {
		if len(r.large.B) < r.largeWant {
			return false, nil
		}
		r.set(r.largeHead[:], r.large.B)
		r.frame.large = r.large
		r.lastLarge = r.largeWant
		r.large = nil
		return true, nil
	}
	have := r.buf[r.start:r.end]
	if len(have) < 4 {
		return false, nil
	}
	length := binary.BigEndian.Uint32(have)
	if length < minLength {
		return false, errProtocol("frame of length %d, less than %d", length, minLength)
	}
	if uint64(length) > uint64(r.limit) {
		return false, Errorf(ResourceExhausted, "frame of length %d: at most %d are allowed", length, r.limit)
	}
	if len(have) < headerSize {
		return false, nil
	}
	total := 4 + int(length)
	if len(have) >= total {
		r.start += total
		r.set(have, have[headerSize:total])
		return true, nil
	}
	if total >= largeFrame {
		r.beginLarge(have, total-headerSize)
	}
	return false, nil
}

func (r *frameReader) set(head, payload []byte) {
	r.begun = time.Time{}
	r.frame = frame{
		kind:    kind(head[4]),
		flags:   head[5],
		id:      binary.BigEndian.Uint64(head[6:]),
		payload: payload,
	}
}

// beginLarge moves the received part of a large frame to a buffer of its own. The
// buffer grows with what arrives; only as much as has arrived before on this
// connection is believed at once.
func (r *frameReader) beginLarge(have []byte, want int) {
	copy(r.largeHead[:], have)
	have = have[headerSize:]
	r.large = bytepool.Get(min(want, max(r.lastLarge, 2*len(have), minReadBuffer)))
	r.large.B = append(r.large.B, have...)
	r.largeWant = want
	r.start, r.end = 0, 0
}

// fill reads once.
func (r *frameReader) fill() error {
	dst := r.room()
	if err := r.arm(); err != nil {
		return err
	}
	n, err := r.conn.Read(dst)
	if n > 0 {
		r.took(n)
		return nil
	}
	switch {
	case err == nil:
		return nil
	case isTimeout(err):
		return r.timedOut()
	case errors.Is(err, io.EOF) && r.partial():
		return io.ErrUnexpectedEOF
	}
	return err
}

// came returns when the bytes of the last frame arrived.
func (r *frameReader) came() time.Time {
	if r.idleTimeout <= 0 || r.last.IsZero() {
		return time.Now()
	}
	return r.last
}

// room returns where the next bytes go.
func (r *frameReader) room() []byte {
	if r.large != nil {
		if len(r.large.B) == cap(r.large.B) {
			r.large = r.large.Moved(min(r.largeWant, 2*len(r.large.B)))
		}
		b := r.large.B
		return b[len(b):min(cap(b), r.largeWant)] // not past this frame's end
	}
	if r.buf == nil {
		r.buf = make([]byte, minReadBuffer)
	}
	if r.start > 0 { // what is left of a frame goes to the front
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		bigger := make([]byte, 2*len(r.buf))
		copy(bigger, r.buf)
		r.buf = bigger
	}
	return r.buf[r.end:]
}

func (r *frameReader) took(n int) {
	if r.idleTimeout > 0 || r.grown() {
		r.last = time.Now()
	}
	r.reads.Add(1)
	if r.observer != nil {
		r.observer.BytesRead(n)
	}
	if r.large != nil {
		r.large.B = r.large.B[:len(r.large.B)+n]
		return
	}
	r.end += n
	if r.end == len(r.buf) && len(r.buf) < maxReadBuffer { // more is waiting
		bigger := make([]byte, 2*len(r.buf))
		copy(bigger, r.buf[:r.end])
		r.buf = bigger
	}
}

// partial reports whether a frame has arrived in part.
func (r *frameReader) partial() bool { return r.large != nil || r.end > r.start }

// arm sets the read deadline. A deadline that is set and comes too early does
// as well, since timedOut looks again: so it is seldom set.
func (r *frameReader) arm() error {
	want := r.due()
	if !r.hurry.IsZero() && (want.IsZero() || r.hurry.Before(want)) {
		want = r.hurry
	}
	if want.Equal(r.armed) || (!r.armed.IsZero() && r.armed.Before(want)) {
		return nil
	}
	r.armed = want
	return r.setDeadline(want)
}

// setDeadline sets the read deadline. A pipe that the peer has closed fails here
// already: how the stream has ended is for Read to say.
func (r *frameReader) setDeadline(when time.Time) error {
	return unlessClosed(r.conn.SetReadDeadline(when))
}

// unlessClosed returns err, unless it says that the peer has closed a pipe.
func unlessClosed(err error) error {
	if errors.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

// due returns when waiting for bytes ends; zero: never.
func (r *frameReader) due() time.Time {
	switch {
	case r.partial() && r.frameTimeout > 0:
		if r.begun.IsZero() {
			r.begun = time.Now()
		}
		return r.begun.Add(r.frameTimeout)
	case r.partial():
		return time.Time{}
	case r.idleTimeout <= 0 && !r.grown():
		return time.Time{}
	}
	if r.last.IsZero() {
		r.last = time.Now()
	}
	switch {
	case !r.grown():
		return r.last.Add(r.idleTimeout)
	case r.idleTimeout <= 0:
		return r.last.Add(shrinkAfter)
	}
	return r.last.Add(min(r.idleTimeout, shrinkAfter))
}

// timedOut says what the deadline that passed was for; nil if for nothing that still holds.
func (r *frameReader) timedOut() error {
	r.armed = time.Time{}
	if err := r.setDeadline(time.Time{}); err != nil {
		return err
	}
	now := time.Now()
	if due := r.due(); !due.IsZero() && !now.Before(due) {
		if r.partial() {
			return errSlowFrame
		}
		r.shrink()
		if r.idleTimeout <= 0 || now.Sub(r.last) < r.idleTimeout {
			return nil
		}
		r.last = now
		return errIdle
	}
	if !r.hurry.IsZero() {
		return errHurry
	}
	return nil // the deadline was one of before
}

// grown reports whether the reader holds more than an idle connection needs.
func (r *frameReader) grown() bool { return len(r.buf) > minReadBuffer }

// shrink gives back memory that an idle connection does not need. The last frame,
// which points into it, has been handled.
func (r *frameReader) shrink() {
	if !r.partial() && r.grown() {
		r.buf, r.start, r.end = nil, 0, 0
		r.frame = frame{}
		r.lastLarge = 0
		if r.shrunk != nil {
			r.shrunk()
		}
	}
}

// checkFrame refuses kinds and flags that the version does not know or the
// hellos have not agreed upon, and fields where there are none.
func checkFrame(f *frame, compressed bool) error {
	if f.kind == 0 || int(f.kind) >= len(allowedFlags) {
		return Errorf(Unimplemented, "protocol: unknown frame kind %d", f.kind)
	}
	reserved := f.flags &^ allowedFlags[f.kind]
	if !compressed {
		reserved |= f.flags & flagCompressed
	}
	if reserved != 0 {
		return errProtocol("reserved flags %#02x in a frame of kind %d", reserved, f.kind)
	}
	switch f.kind {
	case kindCancel, kindPing, kindPong:
		if len(f.payload) > 0 {
			return errProtocol("%d bytes in a frame of kind %d, which has none", len(f.payload), f.kind)
		}
	}
	return nil
}
