package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// modelNet is a network in memory, for a synctest bubble: connections with a
// window, latency, torn reads, half-close, stalls, and cuts in the middle of a frame.
type modelNet struct {
	window  int           // bytes that a direction holds
	chunk   int           // the most that one Read returns; 0: no bound
	latency time.Duration // of each byte
	name    string        // of the network, in addresses
	spoils  bool          // a write that has timed out cannot go on, as with TLS
	offered func(id int)  // a Write was given the end of the request of call id

	mu        sync.Mutex
	listeners map[string]*modelListener
	conns     map[*modelConn]string // open ends at the client, with the address dialled
	open      int                   // ends that are not closed
	made      int
}

type modelAddr struct{ network, name string }

func (a modelAddr) Network() string { return a.network }
func (a modelAddr) String() string  { return a.name }

// modelListener takes the connections to one address until it is closed.
type modelListener struct {
	net    *modelNet
	addr   modelAddr
	accept chan net.Conn
	ended  chan struct{}
	once   sync.Once
}

func (n *modelNet) listen(addr string) *modelListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := &modelListener{net: n, addr: modelAddr{n.name, addr}, accept: make(chan net.Conn, 64), ended: make(chan struct{})}
	n.listeners[addr] = ln
	return ln
}

func (l *modelListener) Addr() net.Addr { return l.addr }

func (l *modelListener) Accept() (net.Conn, error) {
	select {
	case <-l.ended:
		return nil, net.ErrClosed
	case conn := <-l.accept:
		return conn, nil
	}
}

// Close refuses what was not accepted, as a kernel does.
func (l *modelListener) Close() error {
	l.once.Do(func() {
		l.net.mu.Lock()
		if l.net.listeners[l.addr.name] == l {
			delete(l.net.listeners, l.addr.name)
		}
		close(l.ended)
		l.net.mu.Unlock()
		for {
			select {
			case conn := <-l.accept:
				conn.(*modelConn).cut()
				conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

// dial is for rpc.WithDialer.
func (n *modelNet) dial(_ context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := n.listeners[addr]
	if ln == nil {
		return nil, &net.OpError{Op: "dial", Net: n.name, Err: syscall.ECONNREFUSED}
	}
	n.made++
	there, back := newModelHalf(n), newModelHalf(n)
	there.offered, there.seen = n.offered, map[int]bool{}
	there.twin, back.twin = back, there
	client := modelAddr{n.name, "client" + strconv.Itoa(n.made)}
	near := &modelConn{net: n, in: back, out: there, local: client, remote: ln.addr}
	far := &modelConn{net: n, in: there, out: back, local: ln.addr, remote: client}
	select {
	case ln.accept <- far:
	default:
		return nil, &net.OpError{Op: "dial", Net: n.name, Err: syscall.ECONNREFUSED}
	}
	n.open += 2
	n.conns[near] = addr
	return near, nil
}

// to returns the connections to addr.
func (n *modelNet) to(addr string) (conns []*modelConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c, to := range n.conns {
		if to == addr {
			conns = append(conns, c)
		}
	}
	return conns
}

func (n *modelNet) openEnds() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.open
}

// modelConn is one end of a connection.
type modelConn struct {
	net           *modelNet
	in, out       *modelHalf
	local, remote modelAddr
	once          sync.Once
}

func (c *modelConn) LocalAddr() net.Addr         { return c.local }
func (c *modelConn) RemoteAddr() net.Addr        { return c.remote }
func (c *modelConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *modelConn) Write(p []byte) (int, error) { return c.out.write(p) }
func (c *modelConn) SetReadDeadline(t time.Time) error {
	c.in.set(func(h *modelHalf) { h.readBy = t })
	return nil
}
func (c *modelConn) SetWriteDeadline(t time.Time) error {
	c.out.set(func(h *modelHalf) { h.writeBy = t })
	return nil
}
func (c *modelConn) CloseWrite() error { c.out.set(func(h *modelHalf) { h.eof = true }); return nil }

func (c *modelConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

// Close with unread input resets the connection, as TCP does: what the peer has
// not read by then is lost.
func (c *modelConn) Close() error {
	c.once.Do(func() {
		unread := false
		c.in.set(func(h *modelHalf) {
			unread = len(h.queue) > 0
			h.readEnd, h.queue, h.size = net.ErrClosed, nil, 0
			if h.writeEnd == nil {
				h.writeEnd = syscall.EPIPE
			}
		})
		c.out.set(func(h *modelHalf) {
			h.eof, h.writeEnd = true, net.ErrClosed
			if unread && h.readEnd == nil {
				h.readEnd = syscall.ECONNRESET
			}
		})
		c.net.mu.Lock()
		c.net.open--
		delete(c.net.conns, c)
		c.net.mu.Unlock()
	})
	return nil
}

// cut ends the connection for both sides. What is on its way is lost.
func (c *modelConn) cut() {
	for _, half := range []*modelHalf{c.in, c.out} {
		half.set(func(h *modelHalf) { h.breakLocked() })
	}
}

// modelHalf is one direction of a connection.
type modelHalf struct {
	net     *modelNet
	offered func(id int)
	tail    []byte       // of what was offered; the writer's
	seen    map[int]bool // calls that were offered; the writer's

	mu                sync.Mutex
	changed           chan struct{} // closed, and replaced, at every change
	queue             []modelPiece
	size              int
	eof               bool
	readEnd, writeEnd error
	readBy, writeBy   time.Time
	stalled           bool
	cutAfter          int // so many more bytes are taken, then the connection is cut; -1: never
	twin              *modelHalf
}

type modelPiece struct {
	due  time.Time
	data []byte
}

func newModelHalf(n *modelNet) *modelHalf {
	return &modelHalf{net: n, changed: make(chan struct{}), cutAfter: -1}
}

func (h *modelHalf) set(change func(*modelHalf)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
	h.signalLocked()
}

func (h *modelHalf) signalLocked() {
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *modelHalf) breakLocked() {
	h.queue, h.size = nil, 0
	if h.readEnd == nil {
		h.readEnd = syscall.ECONNRESET
	}
	if h.writeEnd == nil {
		h.writeEnd = syscall.ECONNRESET
	}
}

func (h *modelHalf) read(p []byte) (int, error) {
	for {
		h.mu.Lock()
		n, due, err := h.readLocked(p)
		changed := h.changed
		h.mu.Unlock()
		if n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
		awaitModel(changed, due)
	}
}

// readLocked returns when to look again if there is nothing yet.
func (h *modelHalf) readLocked(p []byte) (n int, due time.Time, err error) {
	now := time.Now()
	switch {
	case h.readEnd != nil:
		return 0, due, &net.OpError{Op: "read", Net: h.net.name, Err: h.readEnd}
	case !h.readBy.IsZero() && !now.Before(h.readBy):
		return 0, due, os.ErrDeadlineExceeded
	}
	due = h.readBy
	if h.stalled {
		return 0, due, nil
	}
	if len(h.queue) == 0 {
		if h.eof {
			return 0, due, io.EOF
		}
		return 0, due, nil
	}
	first := &h.queue[0]
	if first.due.After(now) {
		if due.IsZero() || first.due.Before(due) {
			due = first.due
		}
		return 0, due, nil
	}
	n = copy(p, first.data)
	if h.net.chunk > 0 {
		n = min(n, h.net.chunk)
	}
	if first.data = first.data[n:]; len(first.data) == 0 {
		h.queue = h.queue[1:]
	}
	h.size -= n
	h.signalLocked()
	return n, due, nil
}

func (h *modelHalf) write(p []byte) (written int, err error) {
	h.note(p)
	for {
		h.mu.Lock()
		n, err := h.writeLocked(p[written:])
		changed, due := h.changed, h.writeBy
		cut := h.cutAfter == 0
		if cut {
			h.breakLocked()
			h.signalLocked()
		}
		h.mu.Unlock()
		if cut && h.twin != nil {
			h.twin.set((*modelHalf).breakLocked)
		}
		if written += n; err != nil || written == len(p) {
			return written, err
		}
		awaitModel(changed, due)
	}
}

// writeLocked takes what there is room for.
func (h *modelHalf) writeLocked(p []byte) (n int, err error) {
	now := time.Now()
	switch {
	case h.writeEnd != nil:
		return 0, &net.OpError{Op: "write", Net: h.net.name, Err: h.writeEnd}
	case h.eof:
		return 0, &net.OpError{Op: "write", Net: h.net.name, Err: errors.New("written after CloseWrite")}
	case !h.writeBy.IsZero() && !now.Before(h.writeBy):
		if h.net.spoils {
			h.writeEnd = os.ErrDeadlineExceeded
		}
		return 0, os.ErrDeadlineExceeded
	}
	n = min(len(p), max(h.net.window-h.size, 0))
	if h.cutAfter >= 0 {
		n = min(n, h.cutAfter)
		h.cutAfter -= n
	}
	if n > 0 {
		h.queue = append(h.queue, modelPiece{now.Add(h.net.latency), bytes.Clone(p[:n])})
		h.size += n
		h.signalLocked()
	}
	return n, nil
}

func awaitModel(changed <-chan struct{}, due time.Time) {
	if due.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

// note finds the ends of requests in what a Write is given: see modelToken.
func (h *modelHalf) note(p []byte) {
	if h.offered == nil {
		return
	}
	text := append(h.tail, p...)
	for {
		at := bytes.Index(text, []byte("call-"))
		if at < 0 {
			break
		}
		text = text[at:]
		end := bytes.IndexByte(text, '.')
		if end < 0 {
			break
		}
		if id, err := strconv.Atoi(string(text[len("call-"):end])); err == nil && !h.seen[id] {
			h.seen[id] = true // the rest of a batch may be offered again
			h.offered(id)
		}
		text = text[end:]
	}
	h.tail = bytes.Clone(text[max(0, len(text)-20):])
}
