package cache

import (
	"context"
	"fmt"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/rpc"
)

// Cache keeps replies for one Client or Pool. Make one with [New]. Its methods
// may be called by many goroutines at once.
type Cache struct {
	rules   map[string]*rule // by method
	ignored map[string]bool  // keys of metadata
	varying map[string]bool  // the only ones that are not ignored; nil: all others
	codec   rpc.Codec
	entries int
	bytes   int

	mu      sync.Mutex
	used    bool // by a Client or a Pool
	store   *store
	flights map[digest]*flight
	epoch   int // how often something was invalidated
	stats   Stats
}

// Stats is what a [Cache] has done since it was made, counted in calls of
// declared methods.
type Stats struct {
	Hits    int64 // answered from the cache
	Misses  int64 // went to the server, to be kept
	Shared  int64 // waited for a call that was under way
	Passed  int64 // went to the server, not to be kept: nil replies, params that do not encode or perhaps not twice, params of Go in another codec that cannot be copied, another type
	Evicted int64 // replies dropped to make room for others
	Entries int   // replies kept now, expired ones among them
	Bytes   int   // the memory that they take, about
}

// New returns a cache for the methods that the options declare. It fails if an
// option is nil, a time or a size is not above 0, the codec is nil, a name can be
// none of a method or of a key, or [NotFound] names a method that is not declared.
func New(opts ...Option) (*Cache, error) {
	c := &Cache{
		rules:   map[string]*rule{},
		ignored: map[string]bool{},
		codec:   rpc.JSON,
		entries: 10_000,
		bytes:   64 << 20,
		flights: map[digest]*flight{},
	}
	for i, set := range opts {
		if set == nil {
			return nil, fmt.Errorf("cache: option %d of %d is nil", i+1, len(opts))
		}
		if err := set(c); err != nil {
			return nil, fmt.Errorf("cache: %w", err)
		}
	}
	for name, r := range c.rules {
		if r.ttl == 0 {
			return nil, fmt.Errorf("cache: not found of %s: the method is not declared", name)
		}
	}
	if misuse.IsNil(c.codec) {
		return nil, fmt.Errorf("cache: the codec is nil")
	}
	var err error
	c.store, err = newStore(c.entries, c.bytes)
	return c, err
}

// Intercept is the interceptor of one Client or Pool, for rpc.WithClientInterceptors.
// All calls and streams of a second Client or Pool with the same cache fail with
// FailedPrecondition: it may act for another user, who must not see these
// replies.
func (c *Cache) Intercept(next rpc.Caller) rpc.Caller {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used {
		return elsewhere()
	}
	c.used = true
	return rpc.CallerFuncs{
		CallFunc: func(ctx context.Context, method string, params, reply any) error {
			if c.rules[method] == nil {
				return next.Call(ctx, method, params, reply)
			}
			return c.call(ctx, next, method, params, reply)
		},
		OpenFunc: func(ctx context.Context, kind rpc.MethodKind, method string, params any) (rpc.OpenedStream, error) {
			if c.rules[method] != nil {
				return nil, rpc.Errorf(rpc.FailedPrecondition, "cache: %s is a %s, which is not cached: do not declare it", method, kind)
			}
			return rpc.OpenStream(ctx, next, kind, method, params)
		},
	}
}

// elsewhere returns what a second client gets.
func elsewhere() rpc.Caller {
	refused := rpc.Errorf(rpc.FailedPrecondition, "cache: it belongs to another client: make one for each")
	return rpc.CallerFuncs{
		CallFunc: func(context.Context, string, any, any) error { return refused },
		OpenFunc: func(context.Context, rpc.MethodKind, string, any) (rpc.OpenedStream, error) { return nil, refused },
	}
}

// call answers a call of a declared method.
func (c *Cache) call(ctx context.Context, next rpc.Caller, method string, params, reply any) error {
	values.ForgetHeader(ctx)
	if ctx.Err() != nil {
		return gaveUp(ctx)
	}
	q, body, ok := c.ask(ctx, method, params, reply)
	if !ok {
		c.mu.Lock()
		c.stats.Passed++
		c.mu.Unlock()
		return next.Call(ctx, method, params, reply)
	}
	c.mu.Lock()
	e := c.store.get(&q, time.Now())
	if e != nil {
		c.stats.Hits++
	}
	c.mu.Unlock()
	if e != nil {
		return e.give(c.codec, method, reply)
	}
	if values.LiveIn(ctx, params) != nil {
		return c.alone(ctx, &q, next, params, reply)
	}
	own, params, exact := c.copyParams(params, body)
	if !exact {
		return c.alone(ctx, &q, next, params, reply)
	}
	return c.share(ctx, &q, next, own, params, reply)
}

// share makes a call with own, a copy of params, or waits for one that is under way.
func (c *Cache) share(ctx context.Context, q *question, next rpc.Caller, own, params, reply any) error {
	c.mu.Lock()
	if e := c.store.get(q, time.Now()); e != nil { // landed meanwhile
		c.stats.Hits++
		c.mu.Unlock()
		return e.give(c.codec, q.method, reply)
	}
	f, leads := c.joinLocked(ctx, q)
	c.mu.Unlock()
	if f == nil {
		return next.Call(ctx, q.method, params, reply)
	}
	if leads {
		f.params, f.reply = own, newReply(values.Target(reply))
		go c.fly(f, next)
	}
	select {
	case <-f.done:
		return c.landed(ctx, f, leads, next, params, reply)
	case <-ctx.Done():
		c.leave(f)
		return gaveUp(ctx)
	}
}

// Invalidate forgets the replies to a method with these params, whatever the
// metadata. It fails if params cannot be encoded.
func (c *Cache) Invalidate(method string, params any) error {
	body, err := encode(c.codec, params)
	if err != nil {
		return fmt.Errorf("cache: invalidate %s: %w", method, err)
	}
	request := sum([]byte(method), body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.forgetRequest(request)
	c.spoilLocked(func(f *flight) bool { return f.request == request })
	return nil
}

// InvalidateMethod forgets all replies of a method. Its cost grows with the
// number of replies in the cache.
func (c *Cache) InvalidateMethod(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.forgetMethod(method)
	c.spoilLocked(func(f *flight) bool { return f.method == method })
}

// InvalidateAll forgets everything.
func (c *Cache) InvalidateAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.store.lru.Purge()
	c.spoilLocked(func(*flight) bool { return true })
}

// spoilLocked sees to it that the answers of flights are not kept, and that
// callers who come later do not wait for them.
func (c *Cache) spoilLocked(which func(*flight) bool) {
	c.epoch++
	for _, f := range c.flights {
		if which(f) {
			f.stale = true
			c.endLocked(f)
		}
	}
}

// Stats returns the figures so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries, s.Bytes = c.store.lru.Len(), c.store.bytes
	return s
}
