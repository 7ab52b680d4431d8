package rpc

import (
	"net"
	"sync"
)

// Places are what the peers of a server compete for: its connections, and its handlers.

// places are all that there are of one kind. The last quarter is for addresses that
// have not more than their share.
type places struct {
	most, share  int64
	full, unfair *Error // the refusals

	mu    sync.Mutex // guards what follows, and how many of them each address has
	taken int64
}

func (s *Server) makePlaces() {
	o := &s.options
	s.connPlaces = places{
		most:  int64(o.maxConns),
		share: int64(shareOf(o.peerConns, o.maxConns)),
		full:  Errorf(ResourceExhausted, "more than %d connections", o.maxConns),
	}
	s.connPlaces.unfair = Errorf(ResourceExhausted, "more than %d connections from this address, and more than %d in all (WithPeerShare)",
		s.connPlaces.share, s.connPlaces.threeQuarters())
	s.handlerPlaces = places{
		most:  int64(o.maxHandlers),
		share: int64(shareOf(o.peerHandlers, o.maxHandlers)),
		full:  Errorf(ResourceExhausted, "more than %d calls are running on this server", o.maxHandlers),
	}
	s.handlerPlaces.unfair = Errorf(ResourceExhausted, "more than %d calls from this address are running, and more than %d in all (WithPeerShare)",
		s.handlerPlaces.share, s.handlerPlaces.threeQuarters())
}

// leastShared is from how many places on there are shares that nobody has set: a quarter
// of fewer would not be enough for anybody else.
const leastShared = 64

// shareOf returns what one address may have of the last quarter of all places: what is
// set, or a 16th.
func shareOf(set, all int) int {
	switch {
	case set > 0:
		return set
	case all < leastShared:
		return all
	}
	return all / 16
}

func (p *places) threeQuarters() int64 { return p.most - p.most/4 }

// take takes a place, or returns why not. own counts those of the peer's address; nil
// if that is not known. Who may have extra places needs no share.
func (p *places) take(own *int64, extra int64) *Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.taken-extra >= p.most:
		return p.full
	case own != nil && *own >= p.share && p.taken >= p.threeQuarters() && extra == 0:
		return p.unfair
	}
	p.countLocked(own, 1)
	return nil
}

func (p *places) give(own *int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.countLocked(own, -1)
}

func (p *places) countLocked(own *int64, n int64) {
	p.taken += n
	if own != nil {
		*own += n
	}
}

// enterFrom returns where a peer comes from; nil if that is not known. Its places are
// to be given back before it leaves.
func (s *Server) enterFrom(conn net.Conn, addr net.Addr) *origin {
	key, ok := originOf(conn, addr)
	if !ok {
		return nil
	}
	return s.origins.enter(key)
}

// connsInspected is how many connections beyond all are asked for their address, so that
// the callbacks for errors can say whom the server had no place for.
const connsInspected = 64

// inspect finds out where a connection comes from. A user's may take its time to say
// that, so it has a place meanwhile, though not yet one of its address.
func (s *Server) inspect(c *serverConn) error {
	if asksUser(c.conn) {
		if refusal := s.connPlaces.take(nil, connsInspected); refusal != nil {
			return refusal
		}
		defer s.connPlaces.give(nil) // also if a user's code ends this goroutine
	}
	return c.inspect()
}

// admitConn takes a place for a connection, or returns why not.
func (s *Server) admitConn(c *serverConn) error {
	if err := s.inspect(c); err != nil {
		return err
	}
	c.origin = s.enterFrom(c.conn, c.peer.Addr)
	if refusal := s.connPlaces.take(c.origin.ownConns(), 0); refusal != nil {
		s.origins.leave(c.origin)
		return refusal
	}
	if c.origin != nil {
		c.params.own, c.replies.own = &c.origin.params, &c.origin.replies
	}
	return nil
}

// connLeaves gives back what admitConn has taken.
func (s *Server) connLeaves(c *serverConn) {
	s.connPlaces.give(c.origin.ownConns())
	s.origins.leave(c.origin)
}

// acquire takes a handler's place for a call of m, or returns why not.
func (s *Server) acquire(m *method, from *origin) *Error {
	extra := int64(0)
	if m.vital {
		extra = vitalHandlers
	}
	return s.handlerPlaces.take(from.ownHandlers(), extra)
}

func (s *Server) release(from *origin) { s.handlerPlaces.give(from.ownHandlers()) }
