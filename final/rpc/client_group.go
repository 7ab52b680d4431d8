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
	queue   callQueue                 // of calls that wait for a slot
	opens   callQueue                 // of streams that wait for a slot
	crowd   callQueue                 // of calls that wait for a slot, and for room for their params
	waiting waitingLimit              // of all these
	budget  retryBudget
	ended   chan struct{} // closed by close

	mu         sync.Mutex               // guards what follows; no foreign code runs under it
	servers    map[string]*serverHealth // of a Pool's members, by address
	heard      bool                     // the resolver has spoken; true for a Client
	resolveErr error                    // why the resolver returned, nil once it has spoken again
	closed     bool
}

func (g *group) init(o *clientOptions, members ...*Client) {
	g.options = o
	o.settleStreams()
	g.waiting.most = int64(o.maxWaiting)
	for _, queue := range []*callQueue{&g.queue, &g.opens, &g.crowd} {
		queue.limit = &g.waiting
	}
	g.budget.init(o)
	g.ended = make(chan struct{})
	g.servers = map[string]*serverHealth{}
	g.members.Store(&members)
}

// close lets no call begin or wait, and returns the members. They go first: who is told
// that the client is closed gets no connection afterwards. A call that enters the queue
// after it was emptied sees that the group is closed: see wait.
func (g *group) close() []*Client {
	g.mu.Lock()
	if !g.closed {
		g.closed = true
		close(g.ended)
	}
	g.mu.Unlock()
	members := g.members.Swap(&[]*Client{})
	g.dismiss(hopeNone, g.latest())
	return *members
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
			g.budget.earn()
			return nil
		}
		if crowded, ok := err.(*waitForRoom); ok {
			t.params = crowded.params
			continue
		}
		if !g.mayGoOn(ctx, &t, method, conn.owner, err) {
			if answered(err) && !NeverRan(err) { // a server that refuses calls must not pay for their retries
				g.budget.earn()
			}
			return afterAttempts(err, t.mayHaveRun)
		}
		if err = g.payAgain(ctx, &t, err); err != nil {
			return afterAttempts(err, t.mayHaveRun)
		}
	}
}

// attempt makes the call once, on a connection that has a slot for it. If a user's code
// ends the goroutine, by runtime.Goexit or a panic, another call may decide a probe.
func (g *group) attempt(ctx context.Context, conn *clientConn, t *tries, method string, params, reply any) (err error) {
	c, returned := conn.owner, false
	var begun time.Time
	if len(g.options.observers.attempted) > 0 {
		begun = time.Now()
	}
	c.calls.Add(1)
	defer func() {
		c.calls.Add(-1)
		if returned {
			return
		}
		if t.probe {
			g.endProbe(c.server)
		}
		g.tellAttempt(ctx, c, t, method, begun, errUserEnded(method))
	}()
	err = conn.call(ctx, method, params, reply, t.params)
	returned = true
	if _, crowded := err.(*waitForRoom); crowded { // no attempt was made
		if t.probe {
			g.endProbe(c.server)
		}
		return err
	}
	g.noteOutcome(c, conn, t.probe, err)
	g.tellAttempt(ctx, c, t, method, begun, err)
	return err
}

// tellAttempt tells observers of an attempt that has ended with err. There are none if
// begun is zero.
func (g *group) tellAttempt(ctx context.Context, c *Client, t *tries, method string, begun time.Time, err error) {
	if begun.IsZero() {
		return
	}
	t.number++
	g.options.observers.attemptDone(ctx, Attempt{
		Method: method, Addr: c.addr, Number: t.number, After: t.failed, Begun: begun, Ended: time.Now(), Err: err,
	})
	t.failed = err
}

// take returns a connection that has taken a slot for the call or the stream.
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
		passed := g.passedBy(t)
		if conn, t.probe = g.takeNow(t, passed); conn != nil {
			return conn, nil
		}
		w := &waitingCall{done: make(chan struct{}), tried: passed, stream: t.stream, params: t.params}
		if err := g.wait(ctx, t, w); err != nil || w.outcome != nobodyElse { // else it goes on with the next round
			t.probe = w.probe
			return w.conn, err
		}
	}
}

// passedBy returns the members that the call does not go to: those that it has tried. An
// open passes those that grant no streams, too, as long as there is another.
func (g *group) passedBy(t *tries) []*Client {
	if !t.stream {
		return t.tried
	}
	passed := slices.Clip(t.tried)
	for _, c := range *g.members.Load() {
		if conn := c.conn.Load(); conn != nil && conn.streamPlaces() == 0 && !slices.Contains(t.tried, c) {
			passed = append(passed, c)
		}
	}
	if len(passed) == len(t.tried) || g.nobodyBut(passed) {
		return t.tried
	}
	return passed
}

// takeNow returns a connection if one has room and no call waits for it: those that wait
// come first. A slot that looked free may be taken by then, so it chooses again. A call
// that needs room for its params, too, is given both by its queue.
func (g *group) takeNow(t *tries, passed []*Client) (conn *clientConn, probe bool) {
	for t.params == 0 && g.queueFor(t.stream, 0).n.Load() == 0 {
		c := g.choose(*g.members.Load(), passed, t.stream)
		if c == nil {
			return nil, false
		}
		if conn, probe = c.takeSlot(t.stream); conn != nil {
			return conn, probe
		}
	}
	return nil, false
}

func (g *group) queueFor(stream bool, params int64) *callQueue {
	switch {
	case stream:
		return &g.opens
	case params > 0:
		return &g.crowd
	}
	return &g.queue
}

// nobodyBut reports whether no member but those in tried can take a call, now or
// when the attempt to connect that is under way succeeds. It runs under the queue's lock,
// which is taken last: so all that it looks at is atomic.
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
	limit := g.waitLimit(ctx, t, w)
	w.needs = g.needs(w, limit)
	queue := g.queueFor(w.stream, w.params)
	if err := g.enter(queue, w); err != nil {
		return err
	}
	out := queue.await(w, ended, limit)
	t.waited += time.Since(begun)
	if g.crowd.n.Load() > 0 && (w.conn == nil || queue == &g.crowd && len(*g.members.Load()) > 1) {
		g.serve() // those behind w may need less room, on other members if one has taken w
	}
	err := errors.New("the context ended the goroutine") // unless whyEnded, which asks a user's context, returns
	defer func() {
		if err != nil {
			g.giveBack(w)
		}
	}()
	if err = whyEnded(ctx, ended, !out); err != nil {
		g.countNoHello(begun, err)
		return g.gaveUp(w, err)
	}
	return g.whyOut(w, out)
}

// waitLimit returns how long w may wait: 0 if that is not a matter of time.
func (g *group) waitLimit(ctx context.Context, t *tries, w *waitingCall) time.Duration {
	deadline, bounded := ctx.Deadline()
	switch {
	case bounded:
		return max(time.Until(deadline), 1) // 0 would be no bound
	case w.once || g.options.maxWait <= 0:
		return 0
	}
	return max(g.options.maxWait-t.waited, 1)
}

// needs returns how much hope a call needs that may wait for so long.
func (g *group) needs(w *waitingCall, limit time.Duration) hope {
	switch {
	case g.options.failFast && limit > 0 || w.once:
		return hopeFull
	case limit == 0:
		return hopeConnecting
	}
	return hopeLater
}

// enter puts w into a queue, and has the members take it if one can.
func (g *group) enter(queue *callQueue, w *waitingCall) error {
	if !queue.push(w) {
		return unrun(Errorf(Unavailable, "%d calls are waiting for a server already (WithMaxWaiting)", g.waiting.most))
	}
	g.serve() // after the push: a goroutine that frees a slot from now on sees w
	// What w hopes for may have gone before the push, when the calls in the queue were told.
	// hope takes locks, so it is called here, and not under the queue's.
	queue.reconsider(w, g.hope(), g.nobodyBut)
	return nil
}

// whyOut returns the error of a call that does not wait any more, though its context goes on.
// out says that it has an outcome.
func (g *group) whyOut(w *waitingCall, out bool) error {
	switch {
	case !out:
		return g.waitedTooLong(w)
	case w.outcome == dismissed:
		return g.unavailable(w)
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
		return ctxError(ctx) // which may have ended just now
	default:
	}
	if _, bounded := ctx.Deadline(); bounded {
		return context.DeadlineExceeded
	}
	return nil
}

// giveBack gives back the slot of a call whose context ended as it was granted.
func (g *group) giveBack(w *waitingCall) {
	if w.conn != nil && !w.ping {
		w.conn.release(w.stream, w.params)
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
			c.connect(true) // patient, since calls wait: for the next attempt, too
		}
	}
}

// changed is called when a member may be able to take a call that it could not
// take before, or the other way round. A call that is not in the queue yet finds out by
// itself: see wait. If it enters after serve, a connection with a free slot is no reason
// to dismiss it: it was not asked yet.
func (g *group) changed() {
	if g.callsWait() {
		before := g.latest()
		g.serve()
		g.dismiss(g.hope(), before)
	}
}

func (g *group) callsWait() bool { return g.waiting.n.Load() > 0 }

// pushes has the number of a call in each of the queues.
type pushes struct{ queue, opens, crowd uint64 }

// latest returns the calls that were pushed last.
func (g *group) latest() pushes {
	return pushes{g.queue.latest(), g.opens.latest(), g.crowd.latest()}
}

// dismiss ends the waiting of calls that wait in vain, of those up to upTo.
func (g *group) dismiss(most hope, upTo pushes) {
	g.queue.dismiss(most, upTo.queue, g.nobodyBut)
	g.opens.dismiss(most, upTo.opens, g.nobodyBut)
	g.crowd.dismiss(most, upTo.crowd, g.nobodyBut)
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
