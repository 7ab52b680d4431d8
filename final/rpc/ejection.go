package rpc

import (
	"context"
	"sync/atomic"
	"time"
)

// server is what a Pool knows of one address. A server can hold its connections
// open and fail every call: it hangs, or breaks the connection in each. Backoff,
// which is about connecting, does not see that; ejection does.
//
//	admitted ── failures in a row ─▶ ejected ── a pause, then a pong ─▶ onTrial ── a call ─▶ tried
//	ejected  ── a pause, no pong ──▶ ejected, for longer
//	tried    ── the call failed ───▶ ejected, for longer
//	any      ── a call succeeded ──▶ admitted
type server struct {
	standing atomic.Int32 // changed under the Pool's mu, but for beginTrial and endTrial
	failures atomic.Int32 // since the last success

	// Guarded by the Pool's mu.
	ejections int // since the last success
	round     int // of all ejections, so that an old pause ends nothing
}

// What a server may have.
const (
	admitted int32 = iota // calls
	ejected               // none, unless there is no other server
	onTrial               // one call
	tried                 // no other call until that one has ended
)

// beginTrial reports whether the caller has the one call that decides.
func (s *server) beginTrial() bool { return s.standing.CompareAndSwap(onTrial, tried) }

// endTrial leaves the decision to another call.
func (s *server) endTrial() { s.standing.CompareAndSwap(tried, onTrial) }

// judge updates the server's state from a call's outcome. conn is nil if the call
// says nothing about the server.
func (p *Pool) judge(c *Client, conn *clientConn, err error) {
	s := c.server
	switch {
	case p.options.ejectAfter <= 0:
	case err == nil || answered(err):
		if s.failures.Load() != 0 || s.standing.Load() != admitted {
			p.admit(s)
		}
	case conn != nil && conn.failed(err):
		if s.failures.Add(1) >= int32(p.options.ejectAfter) || s.standing.Load() == tried {
			p.eject(c)
		}
	default:
		s.endTrial()
	}
}

// answered reports whether a server that works has refused or failed the call.
func answered(err error) bool {
	code := CodeOf(err)
	return remote(err) && code != Unavailable && code != DeadlineExceeded
}

// failed reports whether err speaks against the server. A connection that was lost
// or is going away speaks once, for all the calls that it held.
func (c *clientConn) failed(err error) bool {
	switch CodeOf(err) {
	case Unavailable:
		return !c.over.Load() || !c.blamed.Swap(true)
	case DeadlineExceeded:
		return true // also of a call that waited for its turn: the server is stuck
	}
	return false
}

// eject gives the server of c no calls for a while, if that leaves enough others.
func (p *Pool) eject(c *Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch c.server.standing.Load() {
	case tried:
		p.ejectLocked(c)
	case admitted:
		enough := c.server.failures.Load() >= int32(p.options.ejectAfter) // still: a success may have come
		if enough && p.ejectedLocked() < p.mostEjectedLocked() {
			p.ejectLocked(c)
		}
	}
}

// mostEjectedLocked is half of the servers: the others must be able to carry on.
func (p *Pool) mostEjectedLocked() int { return len(p.servers) / 2 }

func (p *Pool) ejectedLocked() (n int) {
	for _, s := range p.servers {
		if s.standing.Load() != admitted {
			n++
		}
	}
	return n
}

// ejectLocked begins a pause, each longer than the one before.
func (p *Pool) ejectLocked(c *Client) {
	s := c.server
	if p.closed || p.servers[c.addr] != s {
		return
	}
	s.standing.Store(ejected)
	pause := backoff(p.options.ejectMin, p.options.ejectMax, s.ejections)
	s.ejections++
	s.round++
	round := s.round
	time.AfterFunc(pause, func() { p.ping(c, round) })
}

// ping asks an ejected server for a sign of life before a call is put at risk.
func (p *Pool) ping(c *Client, round int) {
	ctx, cancel := context.WithTimeout(c.life, p.options.ejectMin)
	err := c.Ping(ctx)
	cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	s := c.server
	switch {
	case s.round != round || s.standing.Load() != ejected: // a call has succeeded meanwhile
	case err != nil:
		p.ejectLocked(c)
	default:
		s.standing.Store(onTrial)
		p.wake()
	}
}

// admit forgets what a server has failed.
func (p *Pool) admit(s *server) {
	s.failures.Store(0)
	if s.standing.Load() == admitted {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.admitLocked(s)
}

func (p *Pool) admitLocked(s *server) {
	s.ejections = 0
	s.failures.Store(0)
	s.standing.Store(admitted)
	p.wake()
}

// admitSomeLocked lets servers back when others have left and too large a part of
// the rest is ejected.
func (p *Pool) admitSomeLocked() {
	for _, s := range p.servers {
		if p.ejectedLocked() <= p.mostEjectedLocked() {
			return
		}
		if s.standing.Load() != admitted {
			p.admitLocked(s)
		}
	}
}
