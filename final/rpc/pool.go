package rpc

import (
	"context"
	"errors"
	"fmt"
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
	// known so far stay in use. update may be called from one goroutine at a time.
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
// needed, prefers the connection with the fewest calls in flight (see
// [WithBalancing]), leaves out servers that fail (see [WithEjection]), and tries a
// call that never ran, or is idempotent, on another connection. All its methods
// may be called by many goroutines.
type Pool struct {
	options clientOptions
	caller  Caller
	members atomic.Pointer[[]*Client] // replaced, never changed
	next    atomic.Uint32             // where searching begins, so that equals take turns
	known   chan struct{}             // closed when the resolver has spoken

	mu      sync.Mutex         // one update at a time
	servers map[string]*server // of the members, by address
	heard   bool
	closed  bool
	stop    context.CancelFunc
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
	p := &Pool{options: o, known: make(chan struct{}), servers: map[string]*server{}}
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
		resolver.Resolve(ctx, p.update)
		if time.Since(begun) > p.options.backoffMax {
			pause = p.options.backoffMin
		}
		if sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, p.options.backoffMax)
	}
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
	if !p.heard {
		p.heard = true
		close(p.known)
	}
	p.mu.Unlock()
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
	c.addr, c.redial, c.server = addr, true, of
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
	if !p.heard {
		p.heard = true
		close(p.known)
	}
	p.mu.Unlock()
	for _, c := range members {
		c.Close()
	}
	return nil
}

// invoke is Call without interceptors. A connection that refused is not asked
// again while there are others; each round over all of them counts as one attempt.
func (p *Pool) invoke(ctx context.Context, method string, params, reply any) error {
	ctx, cancel := p.options.withDefaultTimeout(ctx)
	defer cancel()
	var r round
	mayHaveRun := false
	for attempt := 1; ; {
		c, err := p.pick(ctx, r.tried)
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
		if len(r.tried) < len(*p.members.Load()) {
			continue
		}
		if attempt++; attempt > p.options.maxAttempts {
			return afterAttempts(err, mayHaveRun)
		}
		if again, err := r.next(ctx, &p.options, err); !again {
			return afterAttempts(err, mayHaveRun)
		}
	}
}

// attempt makes the call once, on a connection of c's.
func (p *Pool) attempt(ctx context.Context, c *Client, method string, params, reply any) error {
	c.calls.Add(1)
	conn, err := c.connected(ctx)
	if err == nil {
		err = conn.call(ctx, method, params, reply)
	}
	c.calls.Add(-1)
	p.judge(c, conn, err)
	return err
}

// round is one attempt of a pool: each of its members, once.
type round struct {
	tried []*Client
	asked bool          // one of them asked for a pause
	pause time.Duration // the shortest of those
}

// note remembers that c failed, and reports whether it asked for a pause.
func (r *round) note(ctx context.Context, c *Client, err error) bool {
	r.tried = append(r.tried, c)
	pause, asked := askedToWait(ctx, err)
	if asked && (!r.asked || pause < r.pause) {
		r.asked, r.pause = true, pause
	}
	return asked
}

// next begins another round, after the pause that was asked for: see
// [clientOptions.wait].
func (r *round) next(ctx context.Context, o *clientOptions, failed error) (bool, error) {
	wait, pause := r.asked, r.pause
	*r = round{tried: r.tried[:0]}
	if !wait {
		return true, nil
	}
	return o.wait(ctx, pause, failed)
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

// pick returns a member for a call, one that is not in tried if there is one.
func (p *Pool) pick(ctx context.Context, tried []*Client) (*Client, error) {
	members, err := p.ready(ctx)
	if err != nil {
		return nil, err
	}
	return p.choose(members, tried), nil
}

// ready waits for the resolver's first word and returns the members.
func (p *Pool) ready(ctx context.Context) ([]*Client, error) {
	members := *p.members.Load()
	if len(members) > 0 {
		return members, nil
	}
	select {
	case <-p.known:
	case <-ctx.Done():
		return nil, unrun(contextError(ctx.Err()))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, unrun(Errorf(Canceled, "%w", ErrClientClosed))
	}
	if members = *p.members.Load(); len(members) == 0 {
		return nil, unrun(Errorf(Unavailable, "the resolver knows no servers"))
	}
	return members, nil
}

var (
	_ Caller = (*Client)(nil)
	_ Caller = (*Pool)(nil)
)
