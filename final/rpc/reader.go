package rpc

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/belowtls"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// shrinkAfter is how long a connection is silent until it gives memory back.
const shrinkAfter = 10 * time.Second

var (
	errIdle      = errors.New("idle timeout")
	errSlowFrame = Errorf(DeadlineExceeded, "a frame took too long to arrive")
	errHurry     = errors.New("the reader has to give way")
)

// frameReader reads a connection's frames, and sets the read deadlines for that. A deadline
// that passes loses no byte: another goroutine can read on. One goroutine uses it at a time.
type frameReader struct {
	wire.Reader
	conn net.Conn

	frameTimeout time.Duration // from a frame's first byte to its last; 0: any
	patient      bool          // as long again for what arrives at leastRate
	idleTimeout  time.Duration // without a byte between frames; 0: any
	observers    *observers    // may be nil
	shrunk       func()        // called when shrink has given back memory, for other memory; may be nil
	late         *lateRead     // may be nil

	begun time.Time // when reading the current frame began; zero between frames
	got   int       // bytes since the last frame that was read
	last  time.Time // when the last bytes arrived; kept with idleTimeout, and while the reader has grown
	armed time.Time // the read deadline that is set; zero: none
	hurry time.Time // give way then with errHurry; zero: never

	reads atomic.Uint64 // how often bytes have arrived; may be read by any goroutine
}

// next returns the next frame, valid until it is called again. io.EOF means that the peer ended between two
// frames. After errIdle and errHurry, next may be called again.
func (r *frameReader) next() (*wire.Frame, error) {
	for {
		f, err := r.Next()
		if err != nil {
			return nil, fromWire(err)
		}
		if f != nil {
			r.begun, r.got = time.Time{}, 0
			return f, nil
		}
		if err := r.fill(); err != nil {
			return nil, err
		}
	}
}

// fill reads once.
func (r *frameReader) fill() error {
	dst := r.Room()
	if err := r.arm(); err != nil {
		return err
	}
	r.late.begin(r.armed)
	n, err := r.conn.Read(dst)
	r.late.end()
	if n > 0 {
		r.took(n)
		return nil
	}
	switch {
	case err == nil:
		return nil
	case isTimeout(err):
		return r.timedOut()
	case causes.Is(err, io.EOF) && r.Partial():
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *frameReader) took(n int) {
	if r.idleTimeout > 0 || r.Grown() {
		r.last = time.Now()
	}
	r.reads.Add(1)
	r.got += n
	if r.observers != nil {
		r.observers.bytesRead(n)
	}
	r.Took(n)
}

// expandsTo returns how large a compressed body of f may become: as large as one that was sent
// uncompressed could be. It is 0 for a body that is not compressed.
func (r *frameReader) expandsTo(f *wire.Frame, body []byte) int {
	if f.Flags&wire.FlagCompressed == 0 {
		return 0
	}
	return max(r.Limit-wire.MinLength-len(f.Payload)+len(body), 1)
}

// arrived returns when the bytes of the last frame arrived.
func (r *frameReader) arrived() time.Time {
	if r.idleTimeout <= 0 || r.last.IsZero() {
		return time.Now()
	}
	return r.last
}

// arm sets the read deadline, unless one is set that is earlier. That one does as well, since
// timedOut checks what is due and reading goes on: setting one for each frame costs time.
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

// setDeadline sets the read deadline. On a pipe that the peer has closed that fails; the error
// is ignored, since Read returns a better one.
func (r *frameReader) setDeadline(when time.Time) error {
	return unlessClosed(r.conn.SetReadDeadline(when))
}

// unlessClosed returns err, unless it says that the peer has closed a pipe.
func unlessClosed(err error) error {
	if causes.Is(err, io.ErrClosedPipe) {
		return nil
	}
	return err
}

// due returns when waiting for bytes ends; zero: never.
func (r *frameReader) due() time.Time {
	switch {
	case r.Partial() && r.frameTimeout > 0:
		if r.begun.IsZero() {
			r.begun = time.Now()
		}
		due := r.begun.Add(r.frameTimeout)
		if r.patient {
			due = due.Add(time.Duration(r.got) * (time.Second / leastRate))
		}
		return due
	case r.Partial():
		return time.Time{}
	case r.idleTimeout <= 0 && !r.Grown():
		return time.Time{}
	}
	if r.last.IsZero() {
		r.last = time.Now()
	}
	switch {
	case !r.Grown():
		return r.last.Add(r.idleTimeout)
	case r.idleTimeout <= 0:
		return r.last.Add(shrinkAfter)
	}
	return r.last.Add(min(r.idleTimeout, shrinkAfter))
}

// timedOut returns the error that belongs to the deadline that has passed: errSlowFrame,
// errIdle or errHurry. It returns nil if reading should go on: nothing is due yet, or only
// memory was to be given back.
func (r *frameReader) timedOut() error {
	r.armed = time.Time{}
	if err := r.setDeadline(time.Time{}); err != nil {
		return err
	}
	now := time.Now()
	if due := r.due(); !due.IsZero() && !now.Before(due) {
		if r.Partial() {
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
	return nil // an earlier deadline was left: see arm
}

// shrink gives back memory that an idle connection does not need.
func (r *frameReader) shrink() {
	if r.Shrink() && r.shrunk != nil {
		r.shrunk()
	}
}

// lateRead ends writes if a Read does not return by its deadline. crypto/tls answers requests
// for new keys while it reads, and no read deadline ends such a write. A nil lateRead does nothing.
type lateRead struct {
	timer *time.Timer
	grace time.Duration
}

// newLateRead returns one for a connection of TLS that its user has made: below others, each
// write has its deadline. With 0, writes may take any time.
func newLateRead(conn net.Conn, writeTimeout time.Duration) *lateRead {
	user, ok := conn.(userConn)
	if !ok || writeTimeout <= 0 {
		return nil
	}
	secure, ok := user.Conn.(*tls.Conn)
	if !ok {
		return nil
	}
	if _, bounded := secure.NetConn().(*belowtls.Conn); bounded {
		return nil
	}
	timer := time.AfterFunc(time.Hour, func() { user.SetWriteDeadline(time.Now()) })
	timer.Stop()
	return &lateRead{timer, writeTimeout}
}

func (l *lateRead) begin(deadline time.Time) {
	if l != nil && !deadline.IsZero() {
		l.timer.Reset(max(0, time.Until(deadline)) + l.grace)
	}
}

func (l *lateRead) end() {
	if l != nil {
		l.timer.Stop()
	}
}
