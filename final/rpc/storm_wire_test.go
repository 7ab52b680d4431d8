package rpc_test

import (
	"encoding/binary"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// stormWire is what is seen of a connection: whatever callers and handlers are told, the
// frames keep the protocol's promises.
type stormWire struct {
	sent, answer stormStream // as the network took it
	read         stormStream // what the client has read
	inFlight     uint32      // the server's bound
	accepted     bool
	closed       bool // one of its ends is
	farClosed    bool
	last         uint64 // request
	requests     int
	open         map[uint64]bool // requests without a reply
	replies      int             // read by the client
	left         uint64          // the last ID of a go-away
	goneAway     bool
	told         bool // the client has read a go-away
}

// stormStream takes the bytes of one direction apart.
type stormStream struct {
	buf   []byte
	hello bool
}

// next returns the next hello's body, or frame; nil if there is none yet.
func (s *stormStream) next() (hello []byte, frame *wire.Frame) {
	switch {
	case !s.hello && len(s.buf) >= wire.HelloSize:
		if n := wire.HelloSize + int(binary.BigEndian.Uint16(s.buf[5:])); len(s.buf) >= n {
			hello, s.buf, s.hello = s.buf[wire.HelloSize:n], s.buf[n:], true
			return hello, nil
		}
	case s.hello && len(s.buf) >= 4:
		if n := 4 + int(binary.BigEndian.Uint32(s.buf)); len(s.buf) >= n {
			frame = &wire.Frame{
				Kind: wire.Kind(s.buf[4]), Flags: s.buf[5], ID: binary.BigEndian.Uint64(s.buf[6:]), Payload: s.buf[14:n],
			}
			s.buf = s.buf[n:]
			return nil, frame
		}
	}
	return nil, nil
}

func (w *stormWorld) wireLocked(conn *modelConn) *stormWire {
	c := w.wires[conn]
	if c == nil {
		c = &stormWire{open: map[uint64]bool{}}
		w.wires[conn] = c
	}
	return c
}

// wrote is told what the network has taken.
func (w *stormWorld) wrote(conn *modelConn, atClient bool, p []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.wireLocked(conn)
	stream := &c.answer
	if atClient {
		stream = &c.sent
	}
	stream.buf = append(stream.buf, p...)
	for {
		hello, frame := stream.next()
		switch {
		case hello != nil && !atClient:
			w.acceptsLocked(conn, c, hello)
		case hello != nil:
		case frame == nil:
			return
		case atClient:
			w.clientSentLocked(conn, c, frame)
		default:
			w.serverSentLocked(conn, c, frame)
		}
	}
}

// acceptsLocked notes a server's hello.
func (w *stormWorld) acceptsLocked(conn *modelConn, c *stormWire, body []byte) {
	hello, err := wire.ParseServerHello(body)
	if err != nil {
		w.failLocked("%v: the server's hello: %v", conn.local, err)
	}
	c.inFlight, c.accepted = hello.InFlight, hello.Code == wire.OK
	for host, s := range w.servers {
		h := w.hosts[host]
		most, open, byHost := h.conns, 0, map[string]int{}
		for other, o := range w.wires {
			if other.to == s.ln && o.accepted && !o.farClosed {
				open++
				byHost[hostOf(other.local.name)]++
			}
		}
		if most > 0 && open > most {
			w.failLocked("host %d serves %d connections, of %d (WithMaxConns)", host, open, most)
		}
		for from, n := range byHost {
			if n > mostOf(most, h.peerConns) && most > 0 {
				w.failLocked("host %d serves %d connections from %s, of %d (WithPeerShare)", host, n, from, most)
			}
		}
	}
}

func (w *stormWorld) clientSentLocked(conn *modelConn, c *stormWire, f *wire.Frame) {
	if f.Kind != wire.KindRequest {
		return
	}
	c.requests++
	inFlight := c.requests - c.replies
	switch {
	case f.ID <= c.last:
		w.failLocked("%v: request %d after %d", conn.local, f.ID, c.last)
	case inFlight > int(c.inFlight):
		w.failLocked("%v: the client has %d calls in flight, and the server allows %d", conn.local, inFlight, c.inFlight)
	}
	c.last = f.ID
	c.open[f.ID] = true
	if !c.told || f.ID <= c.left { // else it was no attempt any more when its turn to be written came
		w.sentLocked(f)
	}
}

func (w *stormWorld) serverSentLocked(conn *modelConn, c *stormWire, f *wire.Frame) {
	switch f.Kind {
	case wire.KindGoAway:
		if c.goneAway && f.ID > c.left {
			w.failLocked("%v: a go-away with ID %d after one with %d", conn.local, f.ID, c.left)
		}
		c.goneAway, c.left = true, f.ID
	case wire.KindResponse, wire.KindError:
		if !c.open[f.ID] {
			w.failLocked("%v: a reply to %d, which has none to get", conn.local, f.ID)
		}
		if c.goneAway && f.ID > c.left {
			w.failLocked("%v: a reply to %d after a go-away with %d", conn.local, f.ID, c.left)
		}
		delete(c.open, f.ID)
	}
}

// arrived is told what a Read has returned.
func (w *stormWorld) arrived(conn *modelConn, atClient bool, p []byte) {
	if !atClient {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.wireLocked(conn)
	c.read.buf = append(c.read.buf, p...)
	for {
		hello, frame := c.read.next()
		switch {
		case hello != nil:
		case frame == nil:
			return
		case frame.Kind == wire.KindResponse || frame.Kind == wire.KindError:
			c.replies++
		case frame.Kind == wire.KindGoAway:
			c.told = true
		}
	}
}

func (w *stormWorld) wireClosed(conn *modelConn, atClient bool) {
	if !atClient {
		conn = conn.peer
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.wireLocked(conn)
	c.closed, c.farClosed = true, c.farClosed || !atClient
}

// wiresAreQuiet checks that each request on a connection that lives has had its reply.
func (w *stormWorld) wiresAreQuiet() {
	unanswered := map[*modelConn]int{}
	w.mu.Lock()
	for conn, c := range w.wires {
		if !c.closed && !c.goneAway && len(c.open) > 0 {
			unanswered[conn] = len(c.open)
		}
	}
	w.mu.Unlock()
	for conn, n := range unanswered {
		if conn.whole() {
			w.fail("%v: %d requests have no reply", conn.local, n)
		}
	}
}
