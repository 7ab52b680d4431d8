package rpc

import (
	"context"
	"io"
	"time"
)

// open opens a stream on a member: attempts until one is sent or may not be repeated. What
// was sent is sent again by again alone, which is nil for a stream that the caller sends on.
func (g *group) open(ctx context.Context, t *tries, kind MethodKind, method string, params any, again *reopening) (*clientStream, error) {
	if kind < ServerStreaming || kind > BidiStreaming {
		return nil, unrun(Errorf(InvalidArgument, "open %s: %s is no kind of stream", method, kind))
	}
	for {
		conn, err := g.take(ctx, t)
		if err != nil {
			return nil, err
		}
		s, err := g.openOn(ctx, conn, t, kind, method, params, again)
		switch {
		case err == nil:
			return s, nil
		case conn.streamPlaces() == 0:
			t.tried = append(t.tried, conn.owner)
			g.tryNoMore(t, conn.owner.server)
			if !g.nobodyBut(t.tried) {
				err = nil // another one, also one that is about to be connected, may grant streams
			}
		case !g.mayGoOn(ctx, t, method, conn.owner, err):
			return nil, err
		default:
			err = g.payAgain(ctx, t, err)
		}
		if err != nil {
			return nil, err
		}
	}
}

// openOn opens a stream on a connection that has a slot for it.
func (g *group) openOn(ctx context.Context, conn *clientConn, t *tries, kind MethodKind, method string, params any, again *reopening) (s *clientStream, err error) {
	c := conn.owner
	callers := ctx
	if again != nil {
		callers = again.callers
	}
	s = &clientStream{conn: conn, method: method, kind: kind, again: again, probe: t.probe, attempt: g.streamAttempt(callers, c, t, kind, method)}
	c.streams.Add(1)
	returned := false
	defer func() {
		if !returned {
			err = errUserEnded(method)
		}
		switch {
		case s.table == nil: // it has not used its slot
			c.streams.Add(-1)
			conn.release(true, 0)
			g.noteOutcome(c, conn, t.probe, err)
		case !returned:
			s.leave(errUserEnded(method))
		case t.probe:
			time.AfterFunc(g.options.ejectMin, s.passProbe)
		}
		if err != nil && s.attempt != nil && (returned || s.table == nil) { // else leave has
			s.attempt.tell(err)
			t.number, t.failed = s.attempt.Number, err
		}
	}()
	err = conn.open(ctx, s, params)
	returned = true
	return s, err
}

// verdict is what a stream says of its server. The zero value says nothing.
type verdict struct {
	on    *clientStream
	probe bool // it was the one that decides
	says  bool // err, which may be nil, is the outcome
	err   error
}

// judgeLocked returns what s says of its server, once. The first item is a success, as a reply
// is. A stream that ends without one has the outcome of a call, but for two ends: a cancel by
// its caller, and a deadline after the server has sent something of it.
func (s *clientStream) judgeLocked(ended bool) verdict {
	if s.judged || s.in.items == 0 && !ended {
		return verdict{}
	}
	s.judged = true
	v := verdict{on: s, probe: s.probe, says: true}
	s.probe = false
	if err := s.in.err; s.in.items == 0 && err != io.EOF {
		code := CodeOf(err)
		v.err, v.says = err, !(code == Canceled && !remote(err) || code == DeadlineExceeded && s.heard)
	}
	return v
}

// note tells the group. No lock is held.
func (v verdict) note() {
	if v.on == nil {
		return
	}
	c := v.on.conn.owner
	switch {
	case v.says:
		c.group.noteOutcome(c, v.on.conn, v.probe, v.err)
		if v.err == nil {
			c.group.budget.earn()
		}
	case v.probe:
		c.group.endProbe(c.server)
	}
}

// passProbe lets another call or stream decide the probe that s has.
func (s *clientStream) passProbe() {
	s.conn.mu.Lock()
	probe := s.probe
	s.probe = false
	s.conn.mu.Unlock()
	if probe {
		s.conn.owner.group.endProbe(s.conn.owner.server)
	}
}

// streamAttempt is what observers are told when a stream has ended.
type streamAttempt struct {
	Attempt
	ctx context.Context // the caller's
	all *observers
}

// streamAttempt begins one; nil if no observer wants it.
func (g *group) streamAttempt(ctx context.Context, c *Client, t *tries, kind MethodKind, method string) *streamAttempt {
	all := &g.options.observers
	if len(all.attempted) == 0 {
		return nil
	}
	return &streamAttempt{Attempt{
		Method: method, Kind: kind, Addr: c.addr, Number: t.number + 1, After: t.failed, Begun: time.Now(),
	}, ctx, all}
}

// tell tells them how it has ended; io.EOF is a good end.
func (a *streamAttempt) tell(err error) {
	a.Ended = time.Now()
	if err != io.EOF {
		a.Err = err
	}
	a.all.attemptDone(a.ctx, a.Attempt)
}
