package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
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

// tries is the state of a call between its attempts.
type tries struct {
	written    int // requests handed to Write
	mayHaveRun bool
	number     int           // attempts, written or not, for observers
	failed     error         // what the last of them ended with
	probe      bool          // the attempt under way decides the probe of its server
	waited     time.Duration // for a slot, without a deadline

	// A round is over when each server that can take the call has been tried.
	tried  []*Client
	asked  []askedPause // that are not over
	rested bool         // one was made
}

// mayGoOn notes that a call failed with err on c, and reports whether it may be
// tried again.
func (g *group) mayGoOn(ctx context.Context, t *tries, method string, c *Client, err error) bool {
	t.mayHaveRun = t.mayHaveRun || !NeverRan(err)
	if isAttempt(err) {
		t.written++
	}
	t.tried = append(t.tried, c)
	g.tryNoMore(t, c.server)
	pause, asked := askedToWait(ctx, method, err)
	if asked {
		t.asked = append(t.asked, askedPause{c.server, pause, time.Now().Add(pause), err})
	}
	switch {
	case ctx.Err() != nil || t.written >= g.options.maxAttempts:
		return false
	case asked:
		return true
	case mayRetry(ctx, method, err):
		return c.fixed == nil // else there is no other connection
	}
	return mayTryElsewhere(err) && !g.nobodyBut(t.tried)
}

// lastAttempt reports whether the attempt to come is the last one, and a server has
// asked for a pause that the call has not made: then it is made after a pause, where
// it may be of use.
func (g *group) lastAttempt(t *tries) bool {
	return len(t.asked) > 0 && !t.rested && t.written == g.options.maxAttempts-1
}

// askedPause is a pause that a server has asked for, when it is over, and the error
// that asked.
type askedPause struct {
	server *serverHealth
	pause  time.Duration
	over   time.Time
	err    error
}

// tryNoMore notes that all connections to this server have been tried.
func (g *group) tryNoMore(t *tries, server *serverHealth) {
	for _, member := range *g.members.Load() {
		if member.server == server && !slices.Contains(t.tried, member) {
			t.tried = append(t.tried, member)
		}
	}
}

// nextRound begins another round, after the shortest pause that a server asked for;
// those whose pause is longer stay out of it. Without such a pause, a call that was
// lost again and again waits a little: its servers may be about to end.
func (g *group) nextRound(ctx context.Context, t *tries) error {
	t.tried = nil
	if len(t.asked) == 0 {
		if t.written < 2 {
			return nil
		}
		return g.rest(ctx, backoff(g.options.backoffMin, g.options.backoffMax, t.written-2), nil)
	}
	first := slices.MinFunc(t.asked, func(a, b askedPause) int { return a.over.Compare(b.over) })
	if most := g.options.maxRetryAfter; most <= 0 || first.pause > most {
		return first.err
	}
	left := max(time.Until(first.over), 0)
	if err := g.rest(ctx, left+rand.N(left/4+1), first.err); err != nil {
		return err
	}
	t.rested = true
	now := time.Now()
	t.asked = slices.DeleteFunc(t.asked, func(p askedPause) bool { return !p.over.After(now) })
	for _, p := range t.asked {
		g.tryNoMore(t, p.server)
	}
	return nil
}

// rest waits. If ctx or the group ends first, it returns what the call fails with: if
// that is certain from the beginning, at once and with refused.
func (g *group) rest(ctx context.Context, pause time.Duration, refused error) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return refused
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return unrun(contextError(ctxError(ctx)))
	case <-g.ended:
		return unrun(Errorf(Canceled, "%w", ErrClientClosed))
	}
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

// waitReason is why a group's calls wait: in words, and in errors as far as there are some.
type waitReason struct {
	words    string
	last     *Error // of the last attempts to connect
	lost     *Error // of the last connections, where no attempt has failed since
	resolver error
	closed   bool
}

func (g *group) waitReason() waitReason {
	g.mu.Lock()
	members, heard := *g.members.Load(), g.heard
	p := waitReason{closed: g.closed, resolver: g.resolveErr}
	g.mu.Unlock()
	var addrs, connected []string
	for _, c := range members {
		addr := cmp.Or(c.addr, "the server") // NewClient's has no address
		addrs = append(addrs, addr)
		if c.conn.Load() != nil {
			connected = append(connected, addr)
		}
		if e := c.failure(); e != nil && (p.last == nil || e.Code == Unavailable && p.last.Code != Unavailable) {
			p.last = e
		} else if e == nil && p.lost == nil {
			p.lost = c.lost.Load()
		}
	}
	switch {
	case len(members) == 0 && heard:
		p.words = "the resolver knows no servers"
	case len(members) == 0:
		p.words = "waiting for the resolver"
	case len(connected) > 0: // it waits for these, whatever keeps others from being connected
		p.last, p.lost = nil, nil
		p.words = "all connections to " + some(connected) + " have as many calls in flight as the servers allow"
	default:
		p.words = "connecting to " + some(addrs)
	}
	return p
}

// some returns a list in words that stays short.
func some(addrs []string) string {
	const most = 3
	if len(addrs) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(addrs[:most], ", "), len(addrs)-most)
	}
	return strings.Join(addrs, ", ")
}

// unavailable is the error of a call that need not wait any longer, and why.
func (g *group) unavailable() *Error {
	p := g.waitReason()
	switch {
	case p.closed:
		return unrun(Errorf(Canceled, "%w", ErrClientClosed))
	case p.resolver == nil && p.last != nil:
		return p.last
	case p.resolver == nil && p.lost != nil: // a pause follows, in which there is no attempt
		return p.lost
	}
	return p.error("")
}

// waitedTooLong is the error of a call without a deadline that no member could take.
func (g *group) waitedTooLong() *Error {
	p := g.waitReason()
	return p.error(fmt.Sprintf("; waited %v (WithMaxWait)", g.options.maxWait))
}

func (p *waitReason) error(suffix string) *Error {
	e := &Error{Code: Unavailable, Message: p.words, neverRan: true}
	var causes []error
	if p.last != nil {
		e.Message, causes = p.last.Message, append(causes, p.last)
	}
	if p.resolver != nil {
		e.Message += "; the resolver: " + cleanText(p.resolver.Error(), wire.MaxErrorText)
		causes = append(causes, p.resolver)
	}
	e.Message += suffix
	e.cause = errors.Join(causes...)
	return e
}

// gaveUp is the error of a call whose context ended while it waited.
func (g *group) gaveUp(ctxErr error) *Error {
	p := g.waitReason()
	e := unrun(contextError(ctxErr))
	e.Message = p.words + ": " + e.Message
	causes := []error{ctxErr}
	if p.last != nil {
		e.Message += "; the last attempt: " + p.last.Error()
		causes = append(causes, withoutCode(p.last))
	}
	if p.resolver != nil {
		e.Message += "; the resolver: " + cleanText(p.resolver.Error(), wire.MaxErrorText)
		causes = append(causes, p.resolver)
	}
	e.cause = errors.Join(causes...)
	return e
}

// withoutCode returns what e is made from, down to an error that has no code: the
// call that it becomes a cause of has its own.
func withoutCode(e *Error) error {
	for {
		cause := e.cause
		inner, found := causes.Find[*Error](cause)
		if !found {
			return cause
		}
		e = inner
	}
}
