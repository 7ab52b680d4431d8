package rpc_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// modelNet is a network in memory, for a synctest bubble: connections with a
// window, latency, torn reads, half-close, stalls, and cuts in the middle of a frame;
// splits, hosts that lose their power, and ends that do not hear of each other's end.
type modelNet struct {
	window  int               // bytes that a direction holds
	chunk   int               // the most that one Read returns; 0: no bound
	latency time.Duration     // of each byte
	jitter  time.Duration     // up to so much more
	rate    int               // bytes a second; 0: no bound
	seed    uint64            // of each connection's jitter
	name    string            // of the network, in addresses
	spoils  bool              // a write that has timed out cannot go on, as with TLS
	hosts   map[string]string // the IP addresses of those that dial; others have none

	offered func(c *modelConn, id int)                  // a Write was given the end of the request of call id
	wrote   func(c *modelConn, atClient bool, p []byte) // the network has taken p
	arrived func(c *modelConn, atClient bool, p []byte) // a Read returned p
	closed  func(c *modelConn, atClient bool)           // an end was closed
	paths   map[modelPath]chan struct{}                 // those that are split; closed when they are whole

	mu        sync.Mutex
	listeners map[string]*modelListener
	conns     map[*modelConn]string // open ends at the client, with the address dialled
	apart     map[*modelConn]string // and those that were closed on a split path: the server is to hear of it
	open      int                   // ends that are not closed
	made      int
}

// modelPath leads from a client's host to an address. Without a client it is all that
// leads there.
type modelPath struct{ from, to string }

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
	busy   chan struct{} // closed when connections are accepted again; nil: they are. Guarded by the network's mu
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
	for {
		l.net.mu.Lock()
		busy, accept := l.busy, l.accept
		if busy != nil {
			accept = nil
		}
		l.net.mu.Unlock()
		select {
		case <-l.ended:
			return nil, net.ErrClosed
		case conn := <-accept:
			return conn, nil
		case <-busy:
		}
	}
}

// pause lets connections wait in the backlog, or ends that.
func (l *modelListener) pause(on bool) {
	l.net.mu.Lock()
	defer l.net.mu.Unlock()
	switch {
	case on && l.busy == nil:
		l.busy = make(chan struct{})
	case !on && l.busy != nil:
		close(l.busy)
		l.busy = nil
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
				conn.(*modelConn).peer.kill()
				conn.Close()
			default:
				return
			}
		}
	})
	return nil
}

// dial is for rpc.WithDialer.
func (n *modelNet) dial(ctx context.Context, addr string) (net.Conn, error) {
	return n.dialFrom(ctx, "", addr)
}

// dialFrom connects from a host, after the time that takes. While the path is split,
// nothing comes back.
func (n *modelNet) dialFrom(ctx context.Context, from, addr string) (net.Conn, error) {
	for n.latency > 0 || n.paths != nil {
		whole := n.splitOf(from, addr)
		timer := time.NewTimer(n.latency)
		arrived := timer.C
		if whole != nil {
			arrived = nil
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, &net.OpError{Op: "dial", Net: n.name, Err: ctx.Err()}
		case <-whole:
			timer.Stop()
			continue
		case <-arrived:
		}
		if n.splitOf(from, addr) == nil {
			break
		}
	}
	return n.connect(from, addr)
}

// splitOf returns what is closed when the path is whole again; nil if it is.
func (n *modelNet) splitOf(from, to string) chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if split := n.paths[modelPath{"", to}]; split != nil {
		return split
	}
	return n.paths[modelPath{from, to}]
}

func (n *modelNet) connect(from, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ln := n.listeners[addr]
	if ln == nil {
		return nil, &net.OpError{Op: "dial", Net: n.name, Err: syscall.ECONNREFUSED}
	}
	n.made++
	there, back := newModelHalf(n), newModelHalf(n)
	there.seen = map[int]bool{}
	there.twin, back.twin = back, there
	client := modelAddr{n.name, "client" + strconv.Itoa(n.made)}
	if host := n.hosts[from]; host != "" {
		client.name = net.JoinHostPort(host, strconv.Itoa(n.made))
	}
	near := &modelConn{net: n, in: back, out: there, local: client, remote: ln.addr, from: from, made: time.Now(), to: ln}
	far := &modelConn{net: n, in: there, out: back, local: ln.addr, remote: client, far: true}
	near.peer, far.peer = far, near
	there.near, back.near = near, near
	there.up = true
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

// apartFrom returns the closed ends of which the server at addr has not heard.
func (n *modelNet) apartFrom(addr string) (conns []*modelConn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c, to := range n.apart {
		if to == addr {
			conns = append(conns, c)
		}
	}
	return conns
}

// listener returns what listens at addr, nil for nothing.
func (n *modelNet) listener(addr string) *modelListener {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.listeners[addr]
}

// vanish lets nothing listen at addr any more.
func (n *modelNet) vanish(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.listeners, addr)
}

// splitPath splits a path, or makes it whole, for the connections that there are as well.
func (n *modelNet) splitPath(path modelPath, on bool) {
	n.mu.Lock()
	whole := n.paths[path]
	switch {
	case on && whole == nil:
		n.paths[path] = make(chan struct{})
	case !on && whole != nil:
		close(whole)
		delete(n.paths, path)
	}
	n.mu.Unlock()
	for _, conn := range n.to(path.to) {
		conn.split(n.splitOf(conn.from, path.to) != nil)
	}
	for _, conn := range n.apartFrom(path.to) {
		if n.splitOf(conn.from, path.to) == nil {
			conn.split(false)
			n.mu.Lock()
			delete(n.apart, conn)
			n.mu.Unlock()
		}
	}
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
	from          string // the host that dialled
	made          time.Time
	to            *modelListener // of which server, if several had the address
	far           bool           // the server's end
	peer          *modelConn
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
			h.tellLocked(func() {
				if h.writeEnd == nil {
					h.writeEnd = syscall.EPIPE
				}
			})
		})
		c.out.set(func(h *modelHalf) {
			h.writeEnd = net.ErrClosed
			h.tellLocked(func() {
				if h.eof = true; unread && h.readEnd == nil {
					h.readEnd = syscall.ECONNRESET
				}
			})
		})
		split := !c.whole()
		c.net.mu.Lock()
		c.net.open--
		if addr, ok := c.net.conns[c]; ok && split {
			c.net.apart[c] = addr
		}
		delete(c.net.conns, c)
		c.net.mu.Unlock()
		if c.net.closed != nil {
			c.net.closed(c, !c.far)
		}
	})
	return nil
}

// cut ends the connection for both sides. What is on its way is lost.
func (c *modelConn) cut() {
	for _, half := range []*modelHalf{c.in, c.out} {
		half.set(func(h *modelHalf) { h.breakLocked() })
	}
}

// kill ends a client's connection at the server, whose process is gone. Its system says
// so, if the path is whole.
func (c *modelConn) kill() {
	c.out.set(func(h *modelHalf) {
		h.readEnd = cmp.Or(h.readEnd, error(syscall.ECONNRESET))
		h.tellLocked(h.breakLocked)
	})
	c.in.set(func(h *modelHalf) {
		h.writeEnd = cmp.Or(h.writeEnd, error(syscall.ECONNRESET))
		h.tellLocked(h.breakLocked)
	})
}

// whole reports whether the two ends hear of each other.
func (c *modelConn) whole() (whole bool) {
	c.in.set(func(h *modelHalf) { whole = !h.split && !h.severed })
	return whole
}

// split keeps the two ends apart, or ends that: what was sent, closed and reset
// meanwhile then arrives.
func (c *modelConn) split(on bool) {
	for _, half := range []*modelHalf{c.in, c.out} {
		half.set(func(h *modelHalf) {
			if h.split = on; on {
				return
			}
			for _, tell := range h.later {
				tell()
			}
			h.later = nil
		})
	}
}

// sever keeps the two ends apart for good: neither hears of the other's end.
func (c *modelConn) sever() {
	for _, half := range []*modelHalf{c.in, c.out} {
		half.set(func(h *modelHalf) { h.severed, h.later = true, nil })
	}
}

// powerOff ends a client's connection at the server, whose host is gone. The client
// does not hear of it.
func (c *modelConn) powerOff() {
	c.sever()
	c.out.set(func(h *modelHalf) { h.readEnd = cmp.Or(h.readEnd, error(syscall.ECONNRESET)) })
	c.in.set(func(h *modelHalf) { h.writeEnd = cmp.Or(h.writeEnd, error(syscall.ECONNRESET)) })
}

// powerOn lets the server's host answer again: it resets a connection that it does not
// know as soon as it hears of it.
func (c *modelConn) powerOn() {
	heard := false
	c.out.set(func(h *modelHalf) { h.unknown, heard = h.severed, h.severed && h.size > 0 })
	if heard {
		c.cut()
	}
}

// modelHalf is one direction of a connection.
type modelHalf struct {
	net  *modelNet
	near *modelConn
	up   bool         // from the client to the server
	tail []byte       // of what was offered; the writer's
	seen map[int]bool // calls that were offered; the writer's

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
	split, severed    bool
	unknown           bool     // the first byte is answered by a reset
	later             []func() // what the other end is to hear when the path is whole
	slow              time.Duration
	due               time.Time  // of the last byte
	free              time.Time  // when the line is, if it has a rate
	rand              *rand.Rand // of the jitter
}

// tellLocked tells the other end something, when it can be told.
func (h *modelHalf) tellLocked(tell func()) {
	switch {
	case h.severed:
	case h.split:
		h.later = append(h.later, tell)
	default:
		tell()
	}
}

// dueLocked returns when n bytes that are sent now arrive: not before earlier ones.
func (h *modelHalf) dueLocked(now time.Time, n int) time.Time {
	due := now.Add(h.net.latency + h.slow)
	if h.net.jitter > 0 {
		if h.rand == nil {
			h.rand = rand.New(rand.NewPCG(h.net.seed, uint64(h.near.made.UnixNano())))
		}
		due = due.Add(time.Duration(h.rand.Int64N(int64(h.net.jitter))))
	}
	if h.net.rate > 0 {
		if h.free.Before(now) {
			h.free = now
		}
		h.free = h.free.Add(time.Duration(n) * time.Second / time.Duration(h.net.rate))
		due = due.Add(h.free.Sub(now))
	}
	if due.Before(h.due) {
		due = h.due
	}
	h.due = due
	return due
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
		if n > 0 && h.net.arrived != nil {
			h.net.arrived(h.near, !h.up, p[:n])
		}
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
	if h.stalled || h.split || h.severed {
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
		cut := h.cutAfter == 0 || h.unknown
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
		h.queue = append(h.queue, modelPiece{h.dueLocked(now, n), bytes.Clone(p[:n])})
		h.size += n
		h.signalLocked()
		if h.net.wrote != nil {
			h.net.wrote(h.near, h.up, p[:n])
		}
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
	if h.net.offered == nil || !h.up {
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
			h.net.offered(h.near, id)
		}
		text = text[end:]
	}
	h.tail = bytes.Clone(text[max(0, len(text)-20):])
}
