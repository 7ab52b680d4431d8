package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Resolver tells a Pool where the servers are.
type Resolver interface {
	// Resolve calls update with the complete list of addresses, as Dial takes
	// them: once soon, then whenever it changes. It returns when ctx ends, or
	// with an error; it is then called again after a pause and the addresses
	// known so far stay in use. The error is part of what calls that find no server
	// return. update may be called from one goroutine at a time.
	Resolve(ctx context.Context, update func(addrs []string)) error
}

// StaticResolver is a list of addresses that does not change.
type StaticResolver []string

// Resolve implements Resolver.
func (s StaticResolver) Resolve(ctx context.Context, update func([]string)) error {
	update(s)
	<-ctx.Done()
	return ctx.Err()
}

// Pool makes calls over connections to several servers. It connects when first
// needed. A call takes a connection whose server has answered the hello and has room,
// the one with the fewest calls in flight (see [WithBalancing]); if there is none, it
// waits for the first (see [WithMaxWait]). The pool leaves out servers that fail (see
// [WithEjection]), and tries a call that never ran, or is idempotent, on another
// connection. All its methods may be called by many goroutines, and from every hook
// and resolver that was given to it.
type Pool struct {
	options clientOptions
	caller  Caller
	members atomic.Pointer[[]*Client] // replaced, never changed
	next    atomic.Uint32             // where searching begins, so that equals take turns

	waitingCalls atomic.Int64
	changeMu     sync.Mutex
	change       chan struct{} // closed when a member changes; nil if no call waits

	mu         sync.Mutex         // one update at a time; no foreign code runs under it
	servers    map[string]*server // of the members, by address
	heard      bool               // the resolver has spoken
	resolveErr error              // why the resolver returned; nil once it has spoken again
	closed     bool
	stop       context.CancelFunc
}

// NewPool returns a pool over the addresses that resolver gives. Close ends it. It
// panics if resolver is nil or an option makes no sense: see [ClientOption].
func NewPool(resolver Resolver, opts ...ClientOption) *Pool {
	o, err := newClientOptions(opts)
	switch {
	case isNil(resolver):
		panic(fmt.Errorf("rpc: NewPool: the resolver is nil%s", typeOfNil(resolver)))
	case err != nil:
		panic(fmt.Errorf("rpc: NewPool: %s", o.err.Message))
	}
	p := &Pool{options: o, servers: map[string]*server{}}
	p.members.Store(&[]*Client{})
	p.caller = chainCaller(CallerFunc(p.invoke), o.interceptors)
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.resolve(ctx, resolver)
	return p
}

// resolve follows the resolver until ctx ends.
func (p *Pool) resolve(ctx context.Context, resolver Resolver) {
	pause := p.options.backoffMin
	for ctx.Err() == nil {
		begun := time.Now()
		p.resolverReturned(ctx, callResolver(ctx, resolver, p.update))
		if time.Since(begun) > p.options.backoffMax {
			pause = p.options.backoffMin
		}
		if sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, p.options.backoffMax)
	}
}

// callResolver turns a panic of the resolver, which runs on a goroutine of ours,
// into an error.
func callResolver(ctx context.Context, r Resolver, update func([]string)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			printPanic(fmt.Sprintf("in the resolver %T", r), p, debug.Stack())
			err = Errorf(Internal, "the resolver panicked")
		}
	}()
	return r.Resolve(ctx, update)
}

// resolverReturned keeps err for the calls that wait.
func (p *Pool) resolverReturned(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	p.mu.Lock()
	p.resolveErr = err
	p.mu.Unlock()
	p.wake()
}

// update keeps the members whose address is still there and adds the new ones.
// Those that are gone end their calls in flight first.
func (p *Pool) update(addrs []string) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	old := *p.members.Load()
	var members, gone []*Client
	for _, c := range old {
		if slices.Contains(addrs, c.addr) {
			members = append(members, c)
		} else {
			gone = append(gone, c)
			delete(p.servers, c.addr)
		}
	}
	for _, addr := range addrs {
		if p.servers[addr] != nil {
			continue
		}
		p.servers[addr] = new(server)
		for range p.options.connsPerAddr {
			members = append(members, p.member(addr, p.servers[addr]))
		}
	}
	p.admitSomeLocked()
	p.members.Store(&members)
	p.heard, p.resolveErr = true, nil
	p.mu.Unlock()
	p.wake()
	for _, c := range gone {
		c.drain()
	}
}

// member makes a client that tries once: trying again is for the pool.
func (p *Pool) member(addr string, of *server) *Client {
	o := p.options
	o.maxAttempts = 1
	o.interceptors = nil
	o.defaultTimeout = 0
	c := newClient(o)
	c.addr, c.redial, c.server, c.changed = addr, true, of, p.wake
	return c
}

// Call calls method on one of the servers: see [Caller].
func (p *Pool) Call(ctx context.Context, method string, params, reply any) error {
	return p.caller.Call(ctx, method, params, reply)
}

// Go starts a call and returns once params are encoded: see [Client.Go].
func (p *Pool) Go(ctx context.Context, method string, params, reply any) *Pending {
	return start(ctx, p.caller, &p.options, method, params, reply)
}

// Close fails the calls in flight and closes all connections. It may be called again.
func (p *Pool) Close() error {
	p.mu.Lock()
	p.closed = true
	p.stop()
	members := *p.members.Load()
	p.members.Store(&[]*Client{})
	p.mu.Unlock()
	p.wake()
	for _, c := range members {
		c.Close()
	}
	return nil
}

// invoke is Call without interceptors. A connection that refused is not asked
// again while there are others; each round over those that can take the call counts
// as one attempt, if a request has left in it. Connecting is no attempt.
func (p *Pool) invoke(ctx context.Context, method string, params, reply any) error {
	ctx, cancel := p.options.withDefaultTimeout(ctx)
	defer cancel()
	var r round
	mayHaveRun := false
	for attempt := 1; ; {
		c, err := p.take(ctx, r.tried)
		if err != nil {
			return afterAttempts(err, mayHaveRun)
		}
		if err = p.attempt(ctx, c, method, params, reply); err == nil {
			return nil
		}
		mayHaveRun = mayHaveRun || !NeverRan(err)
		asked := r.note(ctx, c, err)
		if ctx.Err() != nil || !asked && !mayTryElsewhere(ctx, err) {
			return afterAttempts(err, mayHaveRun)
		}
		if p.othersThan(r.tried) {
			continue
		}
		if r.left {
			attempt++
		}
		if attempt > p.options.maxAttempts {
			return afterAttempts(err, mayHaveRun)
		}
		if again, err := r.next(ctx, &p.options, err); !again {
			return afterAttempts(err, mayHaveRun)
		}
	}
}

// othersThan reports whether a member that is not in tried can take a call, or may
// be about to.
func (p *Pool) othersThan(tried []*Client) bool {
	for _, c := range *p.members.Load() {
		if !slices.Contains(tried, c) && (c.usable() || c.conn.Load() == nil && !c.backingOff()) {
			return true
		}
	}
	return false
}

// attempt makes the call once, on a connection of c's, which has counted it.
func (p *Pool) attempt(ctx context.Context, c *Client, method string, params, reply any) error {
	deadline, bounded := ctx.Deadline()
	fair := !bounded || time.Until(deadline) >= time.Millisecond
	conn := c.conn.Load()
	err := error(unrun(Errorf(Unavailable, "the connection to %s was lost", c.addr)))
	if conn != nil {
		err = conn.call(ctx, method, params, reply)
	}
	c.calls.Add(-1)
	if !fair {
		conn = nil // a deadline that no server could keep
	}
	p.judge(c, conn, err)
	return err
}

// round is one attempt of a pool: each of its members, once.
type round struct {
	tried []*Client
	left  bool          // a request has left, or a server has answered
	empty int           // rounds in a row in which none has
	asked bool          // one of them asked for a pause
	pause time.Duration // the shortest of those
}

// note remembers that c failed, and reports whether it asked for a pause.
func (r *round) note(ctx context.Context, c *Client, err error) bool {
	r.tried = append(r.tried, c)
	r.left = r.left || !NeverRan(err) || remote(err)
	pause, asked := askedToWait(ctx, err)
	if asked && (!r.asked || pause < r.pause) {
		r.asked, r.pause = true, pause
	}
	return asked
}

// next begins another round, after the pause that was asked for: see
// [clientOptions.wait]. Connections that are lost before anything has left are a
// reason to pause, too.
func (r *round) next(ctx context.Context, o *clientOptions, failed error) (bool, error) {
	wait, pause, empty := r.asked, r.pause, r.empty
	*r = round{tried: r.tried[:0], empty: empty + 1}
	switch {
	case wait:
		return o.wait(ctx, pause, failed)
	case r.left:
		r.empty = 0
	case empty > 0:
		if err := sleep(ctx, backoff(o.backoffMin, o.backoffMax, empty)); err != nil {
			return false, unrun(contextError(err))
		}
	}
	return true, nil
}

// mayTryElsewhere is mayRetry, and another server may have room where one has not.
func mayTryElsewhere(ctx context.Context, err error) bool {
	if errors.Is(err, ErrClientClosed) { // this member left the pool, or the pool is closed, which pick will say
		return NeverRan(err)
	}
	return mayRetry(ctx, err) || NeverRan(err) && CodeOf(err) == ResourceExhausted && remote(err)
}

func remote(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.remote
}

var (
	_ Caller = (*Client)(nil)
	_ Caller = (*Pool)(nil)
)
