package http2

import (
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipeSize is how many bytes a pipe holds: the size of an HTTP/2 frame.
const pipeSize = 16 << 10

// rings are those that no pipe needs just now: an idle connection has none to send from.
var rings = sync.Pool{New: func() any { return new([pipeSize]byte) }}

// pipe is one direction of a connection: bytes in order, bounded, with a
// deadline for each side. Unlike a stream's own deadlines in net/http, one that
// has passed can be set anew and the bytes go on where they stopped.
//
// All its methods may be called by many goroutines, fill and drain apart:
// who fills a pipe is the only one who writes, who drains it the only one who reads.
type pipe struct {
	writing sync.Mutex // makes Write atomic

	mu       sync.Mutex
	readable *sync.Cond
	writable *sync.Cond

	ring        *[pipeSize]byte // nil while nothing is in it, or about to be
	start, size int             // what is in it
	reserved    bool            // the writer has been given room

	writeErr error // what readers get after the last byte; nil: more may come
	readErr  error // what writers get at once; nil: there is a reader

	readDeadline  deadline
	writeDeadline deadline
}

func newPipe() *pipe {
	p := new(pipe)
	p.readable = sync.NewCond(&p.mu)
	p.writable = sync.NewCond(&p.mu)
	return p
}

// Read reads what there is, waiting for the first byte.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.waitLocked(); err != nil || len(b) == 0 {
		return 0, err
	}
	end := p.start + p.size
	n := copy(b, p.ring[p.start:min(end, pipeSize)])
	n += copy(b[n:], p.ring[:max(0, end-pipeSize)]) // the part that has wrapped around
	p.consumeLocked(n)
	return n, nil
}

// waitLocked waits until there is something to read.
func (p *pipe) waitLocked() error {
	for {
		switch {
		case p.readErr != nil:
			return p.readErr
		case p.readDeadline.passed:
			return os.ErrDeadlineExceeded
		case p.size > 0:
			return nil
		case p.writeErr != nil:
			return p.writeErr
		}
		p.readable.Wait()
	}
}

// Write returns when all of b is in the pipe, or with how much of it is.
func (p *pipe) Write(b []byte) (n int, err error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	for {
		space, err := p.reserve()
		if err != nil {
			return n, err
		}
		moved := copy(space, b)
		p.commit(moved)
		n += moved
		if b = b[moved:]; len(b) == 0 {
			return n, nil
		}
	}
}

// fill moves bytes from src into the pipe, without another buffer between them,
// until src ends, which readers learn, or the reader has closed its side.
func (p *pipe) fill(src io.Reader) {
	for {
		space, err := p.reserve()
		if err != nil {
			return
		}
		n, err := src.Read(space)
		p.commit(n)
		if err != nil {
			p.closeWrite(err)
			return
		}
	}
}

// reserve waits for room and returns it. It belongs to the writer until commit.
func (p *pipe) reserve() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		switch {
		case p.writeErr != nil:
			return nil, net.ErrClosed
		case p.readErr != nil:
			return nil, p.readErr
		case p.writeDeadline.passed:
			return nil, os.ErrDeadlineExceeded
		case p.size < pipeSize:
			return p.roomLocked(), nil
		}
		p.writable.Wait()
	}
}

// roomLocked returns the free piece after what is in the ring.
func (p *pipe) roomLocked() []byte {
	if p.ring == nil {
		p.ring = rings.Get().(*[pipeSize]byte)
	}
	if p.size == 0 {
		p.start = 0
	}
	p.reserved = true
	end := p.start + p.size
	if end >= pipeSize {
		return p.ring[end-pipeSize : p.start]
	}
	return p.ring[end:]
}

// commit says that n bytes were put where reserve pointed.
func (p *pipe) commit(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.size += n
	p.reserved = false
	p.readable.Broadcast()
}

// drain moves bytes from the pipe to dst, without another buffer between them,
// until the pipe ends or dst fails. It returns why: io.EOF if all went well.
func (p *pipe) drain(dst io.Writer) error {
	for {
		piece, err := p.peek()
		if err != nil {
			return err
		}
		n, err := dst.Write(piece)
		p.consume(n)
		if err != nil {
			return err
		}
	}
}

// peek waits for bytes and returns a piece of them. They stay until consume.
func (p *pipe) peek() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.waitLocked(); err != nil {
		return nil, err
	}
	return p.ring[p.start:min(p.start+p.size, pipeSize)], nil
}

func (p *pipe) consume(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.consumeLocked(n)
}

func (p *pipe) consumeLocked(n int) {
	p.start = (p.start + n) % pipeSize
	p.size -= n
	if p.size == 0 && !p.reserved && p.ring != nil {
		rings.Put(p.ring)
		p.ring = nil
	}
	p.writable.Broadcast()
}

// closeWrite lets readers have what is in the pipe and then err.
func (p *pipe) closeWrite(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writeErr == nil {
		p.writeErr = err
	}
	p.readable.Broadcast()
	p.writable.Broadcast()
}

// closeRead makes all that wait, and all that will, fail with err at once.
func (p *pipe) closeRead(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr == nil {
		p.readErr = err
	}
	p.readDeadline.stop()
	p.writeDeadline.stop()
	p.readable.Broadcast()
	p.writable.Broadcast()
}

func (p *pipe) setReadDeadline(t time.Time) error {
	return p.set(&p.readDeadline, p.readable, t)
}

func (p *pipe) setWriteDeadline(t time.Time) error {
	return p.set(&p.writeDeadline, p.writable, t)
}

// set makes t the deadline d of those who wait for cond; zero: none.
func (p *pipe) set(d *deadline, cond *sync.Cond, t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readErr != nil {
		return net.ErrClosed
	}
	d.stop()
	d.passed = !t.IsZero() && !time.Now().Before(t)
	switch {
	case d.passed:
		cond.Broadcast()
	case !t.IsZero():
		turn := d.turn
		d.timer = time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if d.turn == turn {
				d.passed = true
				cond.Broadcast()
			}
		})
	}
	return nil
}

// deadline is guarded by its pipe's lock.
type deadline struct {
	passed bool
	timer  *time.Timer
	turn   int // tells a timer that ran although it was stopped that it is late
}

func (d *deadline) stop() {
	d.turn++
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
