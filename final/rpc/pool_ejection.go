package rpc

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// serverHealth is what a Pool knows of one address. A server can hold its connections
// open and fail every call: it hangs, or breaks the connection in each. Backoff,
// which is about connecting, does not see that; ejection does.
//
//	healthy  ── failures in a row ─▶ ejected ── a pause, then a pong ─▶ halfOpen ── a call ─▶ probing
//	ejected  ── due, then a hello ─▶ halfOpen
//	ejected  ── a pause, no pong ──▶ ejected, for longer
//	probing  ── no decision ───────▶ halfOpen; after a while of that, ejected, for longer
//	probing  ── the call failed ───▶ ejected, for longer
//	any      ── a call succeeded ──▶ healthy
type serverHealth struct {
	state    atomic.Int32 // changed under the group's mu, but for beginProbe and endProbe
	failures atomic.Int32 // since the last success
	trial    atomic.Int64 // when the first probe since it became half-open began, in Unix ns; 0: there was none

	// Guarded by the group's mu.
	ejections int  // since the last success
	round     int  // of all ejections, so that an old pause ends nothing
	due       bool // the next hello stands for the pong: the pause is over, or it was ejected for want of one
}

// What a server may have.
const (
	healthy  int32 = iota // calls
	ejected               // none, unless there is no other server
	halfOpen              // one call, or one stream
	probing               // no other one until that has ended, or the stream was judged
)

// beginProbe reports whether the caller has the one call that decides.
func (s *serverHealth) beginProbe() bool {
	if !s.state.CompareAndSwap(halfOpen, probing) {
		return false
	}
	s.trial.CompareAndSwap(0, time.Now().UnixNano())
	return true
}

// triedFor returns for how long calls have tried to decide.
func (s *serverHealth) triedFor() time.Duration {
	return time.Since(time.Unix(0, s.trial.Load()))
}

// endProbe leaves the decision to another call. It is for the one that has the probe.
func (s *serverHealth) endProbe() { s.state.CompareAndSwap(probing, halfOpen) }

// endProbe is for a probe that has lasted: calls may wait for their turn.
func (g *group) endProbe(s *serverHealth) {
	s.endProbe()
	g.changed()
}

// mayTake reports whether c may have a call, and whether that is the one that decides.
func (c *Client) mayTake() (ok, probe bool) {
	switch c.server.state.Load() {
	case healthy:
		return true, false
	case halfOpen:
		if c.server.beginProbe() {
			return true, true
		}
	}
	return c.group.nobodyBut(nil), false // a server that is left out is the last resort
}

// noteOutcome updates what is known of c's server from the outcome of a call or a
// stream, which may be the one that decides its probe.
func (g *group) noteOutcome(c *Client, conn *clientConn, probe bool, err error) {
	s := c.server
	switch {
	case g.options.ejectAfter <= 0:
	case err == nil || answered(err):
		if s.failures.Load() != 0 || s.state.Load() != healthy {
			g.markHealthy(s)
		}
	case conn.failed(err):
		if g.count(c, false) {
			g.changed()
		}
	case probe && leftByCaller(err) && s.triedFor() >= g.options.ejectMin: // a server that works has had its time
		if g.count(c, false) {
			g.changed()
		}
	case probe:
		g.endProbe(s)
	}
}

// leftByCaller reports whether a call's own context has ended it.
func leftByCaller(err error) bool {
	code := CodeOf(err)
	return !remote(err) && (code == Canceled || code == DeadlineExceeded)
}

// count counts a failure of c's server, which may be that it says no hello. It
// reports whether that changes where calls may go.
func (g *group) count(c *Client, noHello bool) (changed bool) {
	s, most := c.server, int32(g.options.ejectAfter)
	n := s.failures.Add(1)
	if n >= most || s.state.Load() == probing {
		changed = g.eject(c, noHello)
	}
	return changed || n == most // from there on nothing is expected of a server that is not connected
}

// countNoHello counts a deadline that passed while a call waited, from begun on, against
// the servers that have not said hello in all that time.
func (g *group) countNoHello(begun time.Time, ctxErr error) {
	if g.options.ejectAfter <= 0 || !causes.Is(ctxErr, context.DeadlineExceeded) {
		return
	}
	var counted *serverHealth // the members of one server are next to each other
	changed := false
	for _, c := range *g.members.Load() {
		if c.server != counted && c.tryingSince(begun) && g.connTo(c.server) == nil {
			counted = c.server
			changed = g.count(c, true) || changed
		}
	}
	if changed {
		g.changed()
	}
}

// connTo returns a connection to s, or nil.
func (g *group) connTo(s *serverHealth) *clientConn {
	for _, c := range *g.members.Load() {
		if conn := c.conn.Load(); conn != nil && c.server == s {
			return conn
		}
	}
	return nil
}

// awaitHelloLocked lets the next hello of an ejected server, or one that it has
// just said, stand for the pong.
func (g *group) awaitHelloLocked(s *serverHealth) {
	s.due = true
	if g.connTo(s) != nil {
		g.halfOpenLocked(s)
	}
}

// halfOpenLocked gives an ejected server the one call that decides.
func (g *group) halfOpenLocked(s *serverHealth) {
	s.due = false
	s.round++
	s.trial.Store(0)
	s.state.Store(halfOpen)
}

// heardFrom is called when c has said hello.
func (g *group) heardFrom(c *Client) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s := c.server; s.due && s.state.Load() == ejected {
		g.halfOpenLocked(s)
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
		return !c.over.Load() || !c.counted.Swap(true)
	case DeadlineExceeded:
		return remote(err) || !NeverRan(err)
	}
	return false
}

// eject gives the server of c no calls for a while, if that leaves enough others.
// It reports whether it has done so.
func (g *group) eject(c *Client, noHello bool) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	s := c.server
	state := s.state.Load()
	enough := s.failures.Load() >= int32(g.options.ejectAfter) // still: a call may have succeeded meanwhile
	mayBe := state == probing || state == healthy && enough && g.ejectedLocked() < g.mostEjectedLocked()
	if !mayBe || !g.ejectLocked(c) {
		return false
	}
	if noHello {
		g.awaitHelloLocked(s)
	}
	return true
}

// mostEjectedLocked is half of the servers: the others must be able to carry on.
func (g *group) mostEjectedLocked() int { return len(g.servers) / 2 }

func (g *group) ejectedLocked() (n int) {
	for _, s := range g.servers {
		if s.state.Load() != healthy {
			n++
		}
	}
	return n
}

// ejectLocked begins a pause, each longer than the one before. It returns false if
// c's server has left.
func (g *group) ejectLocked(c *Client) bool {
	s := c.server
	if g.closed || g.servers[c.addr] != s {
		return false
	}
	s.state.Store(ejected)
	s.due = false
	pause := g.options.chance.backoff(g.options.ejectMin, g.options.ejectMax, s.ejections)
	s.ejections++
	s.round++
	round := s.round
	time.AfterFunc(pause, func() { g.ping(c, round) })
	return true
}

// ping asks an ejected server for a sign of life before a call is put at risk.
func (g *group) ping(c *Client, round int) {
	err := g.signOfLife(c)
	g.mu.Lock()
	s := c.server
	switch {
	case s.round != round || s.state.Load() != ejected: // a call has succeeded meanwhile
	case causes.Is(err, errNoHello):
		g.awaitHelloLocked(s)
	case err != nil:
		g.ejectLocked(c)
	default:
		g.halfOpenLocked(s)
	}
	g.mu.Unlock()
	g.changed()
}

var errNoHello = errors.New("not connected")

// signOfLife asks on any connection to the server of c.
func (g *group) signOfLife(c *Client) error {
	ctx, cancel := context.WithTimeout(c.life, g.options.ejectMin)
	defer cancel()
	if conn := g.connTo(c.server); conn != nil {
		return conn.ping(ctx)
	}
	c.connect(false)
	return errNoHello
}

// markHealthy forgets what a server has failed.
func (g *group) markHealthy(s *serverHealth) {
	s.failures.Store(0)
	if s.state.Load() == healthy {
		return
	}
	g.mu.Lock()
	g.markHealthyLocked(s)
	g.mu.Unlock()
	g.changed()
}

func (g *group) markHealthyLocked(s *serverHealth) {
	s.ejections = 0
	s.due = false
	s.failures.Store(0)
	s.state.Store(healthy)
}

// restoreSomeLocked lets servers back when others have left and too large a part of
// the rest is ejected.
func (g *group) restoreSomeLocked() {
	for _, s := range g.servers {
		if g.ejectedLocked() <= g.mostEjectedLocked() {
			return
		}
		if s.state.Load() != healthy {
			g.markHealthyLocked(s)
		}
	}
}
