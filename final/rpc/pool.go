package rpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Resolver tells a Pool where the servers are.
type Resolver interface {
	// Resolve calls update with the complete list of addresses, as Dial takes
	// them: once at the start, then whenever the list changes. It calls update
	// from one goroutine at a time. update makes a copy of addrs. It ignores
	// an address that occurs again; with an empty list, calls wait.
	//
	// Resolve returns when ctx ends, or with an error. If it returns before
	// ctx ends, even without an error, the pool calls it again after a pause
	// (see [WithBackoff]), and the addresses known so far stay in use.
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

// Pool makes calls over connections to several servers. With its first call it
// connects to all of them, and later calls connect again what was lost. It
// prefers the connection with the fewest calls and streams in flight (see
// [WithBalancing]), leaves out servers that fail (see [WithEjection]), and
// tries a call that never ran, or is idempotent, on another connection. A call
// that no connection can take waits for the first one that can (see
// [WithMaxWait]).
//
// A stream is opened in the same way, and then stays on its connection. If its
// server refuses it, being full for instance, a [ServerStream] is opened on
// another one. A [ClientStream] or [BidiStream] is not, since an item may have
// gone out: open another stream if [NeverRan] says so.
//
// A Pool has no Ping, since one server's answer says nothing of the others. To
// know whether it is ready, call a method that every server has, such as that
// of package health; this also makes it connect. [Pool.Members] says which
// connections there are, and makes none.
//
// All its methods may be called by many goroutines, and from every hook and
// function that was given to it.
type Pool struct {
	group
	caller  Caller
	stop    context.CancelFunc // ends resolving
	leaving []*Client          // no members any more, with calls in flight; guarded by the group's mu
}

// NewPool returns a pool over the addresses that resolver gives, without
// waiting for them. It keeps asking resolver until Close. It panics if resolver
// is nil or an option makes no sense: see [PoolOption].
func NewPool(resolver Resolver, opts ...PoolOption) *Pool {
	o := defaultClientOptions()
	o.applyPool(opts)
	switch {
	case isNil(resolver):
		panic(fmt.Errorf("rpc: NewPool: the resolver is nil%s", typeOfNil(resolver)))
	case o.err != nil:
		panic(fmt.Errorf("rpc: NewPool: %s", o.err.Message))
	}
	p := new(Pool)
	p.init(&o)
	if p.caller = o.chain(groupCaller{&p.group}); o.err != nil {
		panic(fmt.Errorf("rpc: NewPool: %s", o.err.Message))
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go p.follow(ctx, resolver)
	return p
}

// follow asks the resolver until ctx ends.
func (p *Pool) follow(ctx context.Context, resolver Resolver) {
	pause := p.options.backoffMin
	for ctx.Err() == nil {
		begun := time.Now()
		err := p.resolve(ctx, resolver)
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.resolveErr = err
		p.mu.Unlock()
		p.changed()
		p.options.report(onOneLine(because(Unavailable, "the resolver: ", err)))
		if time.Since(begun) > p.options.backoffMax {
			pause = p.options.backoffMin
		}
		if sleep(ctx, pause) != nil {
			return
		}
		pause = min(2*pause, p.options.backoffMax)
	}
}

// resolve returns why the resolver returned.
func (p *Pool) resolve(ctx context.Context, resolver Resolver) error {
	err := runApart(fmt.Sprintf("the Resolver %T", resolver), func() error { return resolver.Resolve(ctx, p.update) })
	if err == nil {
		err = errors.New("it returned without an error")
	}
	return err
}

// update keeps the members whose address is still there and adds the new ones.
// Those that are gone end their calls in flight first.
func (p *Pool) update(addrs []string) {
	gone := p.replace(slices.Clone(addrs))
	p.changed()
	for _, c := range gone {
		c.drain()
	}
}

// replace makes the members those of addrs, and returns the others.
func (p *Pool) replace(addrs []string) (gone []*Client) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.heard, p.resolveErr = true, nil
	var members []*Client
	for _, c := range *p.members.Load() {
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
		p.servers[addr] = new(serverHealth)
		for range p.options.connsPerAddr {
			c := newMember(*p.options, &p.group, p.servers[addr])
			c.addr = addr
			members = append(members, c)
		}
	}
	p.restoreSomeLocked()
	p.members.Store(&members)
	p.leaving = append(slices.DeleteFunc(p.leaving, (*Client).hasEnded), gone...)
	return gone
}

// check returns an error if p was not made as a Pool is.
func (p *Pool) check() error {
	if p == nil || p.caller == nil {
		return unrun(Errorf(InvalidArgument, "a Pool is made by NewPool"))
	}
	return nil
}

// checkWith is [Client.checkWith].
func (p *Pool) checkWith(ctx context.Context) error {
	if ctx == nil {
		return errNoCallContext
	}
	return p.check()
}

// Call calls method on one of the servers: see [Caller].
func (p *Pool) Call(ctx context.Context, method string, params, reply any) error {
	if err := p.checkWith(ctx); err != nil {
		return err
	}
	return p.caller.Call(ctx, method, params, reply)
}

// Go starts a call and returns once params are encoded: see [Client.Go].
func (p *Pool) Go(ctx context.Context, method string, params, reply any) *Pending {
	if err := p.checkWith(ctx); err != nil {
		return failed(err)
	}
	return start(ctx, p.caller, p.options, method, params, reply)
}

// Close fails calls and streams, as [Client.Close] does, and closes all
// connections. Like that, it does not wait for callbacks. It returns nil, and
// may be called again.
func (p *Pool) Close() error {
	if err := p.check(); err != nil {
		return err
	}
	p.stop()
	members := p.group.close() // from here on no member leaves
	p.mu.Lock()
	leaving := p.leaving
	p.leaving = nil
	p.mu.Unlock()
	for _, c := range append(members, leaving...) {
		defer c.shut() // all of them, also if one ends this goroutine
	}
	return nil
}

var (
	_ Caller = (*Client)(nil)
	_ Caller = (*Pool)(nil)
)
