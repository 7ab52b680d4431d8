package rpc

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// group makes the calls of a Client, which is its one member, or of a Pool, which
// has many. Members connect in the background: see client_connect.go. A call takes a slot
// on a member that is connected, or waits in the queue for the first one that is
// free on any member. Connecting is no attempt to make the call.
type group struct {
	options *clientOptions
	members atomic.Pointer[[]*Client] // replaced, never changed
	next    atomic.Uint32             // where searching begins, so that equals take turns
	queue   callQueue
	ended   chan struct{} // closed by close

	mu         sync.Mutex               // no foreign code runs under it
	servers    map[string]*serverHealth // of a Pool's members, by address
	heard      bool                     // the resolver has spoken; true for a Client
	resolveErr error                    // why the resolver returned, nil once it has spoken again
	closed     bool
}

func (g *group) init(o *clientOptions, members ...*Client) {
	g.options = o
	g.queue.limit = o.maxWaiting
	g.ended = make(chan struct{})
	g.servers = map[string]*serverHealth{}
	g.members.Store(&members)
}

// close lets no call begin or wait, and returns the members.
func (g *group) close() []*Client {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.ended)
	}
	g.mu.Unlock()
	g.queue.dismiss(hopeNone, g.nobodyBut)
	return *g.members.Swap(&[]*Client{})
}

// invoke is Call without interceptors: attempts until one succeeds or may not be repeated.
func (g *group) invoke(ctx context.Context, method string, params, reply any) error {
	if err := checkReply(method, reply); err != nil {
		return err
	}
	ctx, cancel := g.options.withDefaultTimeout(ctx)
	defer cancel()
	var t tries
	for {
		conn, err := g.take(ctx, &t)
		if err != nil {
			return afterAttempts(err, t.mayHaveRun)
		}
		if err = g.attempt(ctx, conn, &t, method, params, reply); err == nil {
			return nil
		}
		if !g.mayGoOn(ctx, &t, method, conn.owner, err) {
			return afterAttempts(err, t.mayHaveRun)
		}
	}
}

// attempt makes the call once, on a connection that has a slot for it. If a
// marshaler ends the goroutine, by runtime.Goexit, another call may decide a probe.
func (g *group) attempt(ctx context.Context, conn *clientConn, t *tries, method string, params, reply any) (err error) {
	c, returned := conn.owner, false
	var begun time.Time
	if len(g.options.observers.attempted) > 0 {
		begun = time.Now()
	}
	c.calls.Add(1)
	defer func() {
		c.calls.Add(-1)
		if !returned && t.probe {
			g.endProbe(c.server)
		}
	}()
	err = conn.call(ctx, method, params, reply)
	returned = true
	g.noteOutcome(c, conn, t.probe, err)
	if !begun.IsZero() {
		t.number++
		g.options.observers.attemptDone(ctx, Attempt{
			Method: method, Addr: c.addr, Number: t.number, After: t.failed, Begun: begun, Ended: time.Now(), Err: err,
		})
		t.failed = err
	}
	return err
}

// take returns a connection that has taken a slot for the call.
func (g *group) take(ctx context.Context, t *tries) (*clientConn, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, unrun(contextError(err))
		}
		if len(t.tried) > 0 && (g.lastAttempt(t) || g.nobodyBut(t.tried)) {
			if err := g.nextRound(ctx, t); err != nil {
				return nil, err
			}
		}
		var conn *clientConn
		if conn, t.probe = g.takeNow(t.tried); conn != nil {
			return conn, nil
		}
		w := &waitingCall{done: make(chan struct{}), tried: t.tried}
		if err := g.wait(ctx, t, w); err != nil || w.outcome != nobodyElse {
			t.probe = w.probe
			return w.conn, err
		}
	}
}

// takeNow returns a connection if one has room and no call waits for it.
func (g *group) takeNow(tried []*Client) (conn *clientConn, probe bool) {
	for g.queue.n.Load() == 0 {
		c := g.choose(*g.members.Load(), tried)
		if c == nil {
			return nil, false
		}
		if conn, probe = c.takeSlot(); conn != nil {
			return conn, probe
		}
	}
	return nil, false
}

// nobodyBut reports whether no member but those in tried can take a call, now or
// when the attempt to connect that is under way succeeds.
func (g *group) nobodyBut(tried []*Client) bool {
	for _, c := range *g.members.Load() {
		if !slices.Contains(tried, c) && c.server.state.Load() == healthy && (c.conn.Load() != nil || c.mayConnectSoon()) {
			return false
		}
	}
	return true
}

// wait waits until w is out of the queue. The call's deadline bounds that; without
// one, WithMaxWait does.
func (g *group) wait(ctx context.Context, t *tries, w *waitingCall) error {
	begun, ended := time.Now(), ctx.Done()
	var timeUp <-chan time.Time // nil: never
	if limit := g.waitLimit(ctx, t, w); limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeUp = timer.C
	}
	if !g.queue.push(w) {
		return unrun(Errorf(Unavailable, "%d calls are waiting for a server already (WithMaxWaiting)", g.queue.limit))
	}
	g.serve() // after the push: a goroutine that frees a slot from now on sees w
	g.queue.reconsider(w, g.hope(), g.nobodyBut)
	out := g.queue.await(w, ended, timeUp)
	t.waited += time.Since(begun)
	err := errors.New("the context ended the goroutine")
	defer func() {
		if err != nil {
			g.giveBack(w)
		}
	}()
	switch err = whyEnded(ctx, ended, !out); {
	case err != nil:
		g.countNoHello(begun, err)
		return g.gaveUp(err)
	case !out:
		return g.waitedTooLong()
	case w.outcome == dismissed:
		return g.unavailable()
	}
	return nil
}

// whyEnded returns the error of ctx, or nil if its time is not up. A user's context may
// have a deadline and not end with it, or end without an error.
func whyEnded(ctx context.Context, ended <-chan struct{}, late bool) error {
	if err := ctx.Err(); err != nil || !late {
		return err
	}
	select {
	case <-ended:
		return context.Canceled
	default:
	}
	if _, bounded := ctx.Deadline(); bounded {
		return context.DeadlineExceeded
	}
	return nil
}

// waitLimit sets how much hope w needs, and returns how long it may wait: 0 if that
// is not a matter of time.
func (g *group) waitLimit(ctx context.Context, t *tries, w *waitingCall) time.Duration {
	w.needs = hopeLater
	if g.options.failFast || w.once {
		w.needs = hopeFull
	}
	deadline, bounded := ctx.Deadline()
	switch {
	case bounded:
		return max(time.Until(deadline), 1)
	case w.once:
	case g.options.maxWait <= 0:
		w.needs = hopeConnecting
	default:
		return max(g.options.maxWait-t.waited, 1)
	}
	return 0
}

// giveBack gives back the slot of a call whose context ended as it was granted.
func (g *group) giveBack(w *waitingCall) {
	if w.conn != nil && !w.ping {
		w.conn.release()
		if w.probe {
			g.endProbe(w.conn.owner.server)
		}
	}
	w.conn = nil
}

// serve gives the calls that wait what is free, and has the members connect.
func (g *group) serve() {
	for _, c := range *g.members.Load() {
		if conn := c.conn.Load(); conn != nil {
			conn.grant()
		} else {
			c.connect(true)
		}
	}
}

// changed is called when a member may be able to take a call that it could not
// take before, or the other way round.
func (g *group) changed() {
	if g.queue.n.Load() > 0 {
		g.serve()
		g.queue.dismiss(g.hope(), g.nobodyBut)
	}
}

// hope returns the most that a call can expect of any member.
func (g *group) hope() hope {
	g.mu.Lock()
	members := *g.members.Load() // of the same moment as heard
	closed, unheard := g.closed, !g.heard && g.resolveErr == nil
	g.mu.Unlock()
	switch {
	case closed:
		return hopeNone
	case unheard:
		return hopeConnecting
	case len(members) == 0:
		return hopeLater
	}
	most := hopeNone
	for _, c := range members {
		most = max(most, c.hope())
	}
	return most
}
