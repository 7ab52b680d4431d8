package cache

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"golang.org/x/sync/singleflight"

	"example.com/rpc-from-scratch/final/rpc"
)

// flight is a call to the server that callers share. The Cache's lock guards
// what changes. Package singleflight makes the call and hands out its answer;
// the map of flights beside it knows who still waits. A flight leaves both in
// one critical section, so that nobody finds it in one of them alone.
type flight struct {
	question
	params  params
	begun   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	waiting int
	stale   bool // invalidated: its answer is not kept
}

// joinLocked returns the flight for a question, a new one if there is none. It
// returns nil if there is one for another type of reply.
func (c *Cache) joinLocked(ctx context.Context, q *question, p params, next rpc.Caller) (*flight, <-chan singleflight.Result) {
	f := c.flights[q.key]
	switch {
	case f == nil:
		f = &flight{question: *q, params: p, begun: time.Now()}
		f.ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
		c.flights[q.key] = f
		c.stats.Misses++
	case f.reply != q.reply:
		c.stats.Passed++
		return nil, nil
	default:
		c.stats.Shared++
	}
	f.waiting++
	return f, c.group.DoChan(string(q.key[:]), func() (any, error) { return c.fly(f, next), nil })
}

// leave is called by a caller that no longer waits.
func (c *Cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		c.endLocked(f)
	}
}

// endLocked lets nobody join a flight any more.
func (c *Cache) endLocked(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
		c.group.Forget(string(f.key[:]))
	}
}

// fly makes a flight's call and keeps the answer.
func (c *Cache) fly(f *flight, next rpc.Caller) *answer {
	defer f.cancel()
	a := c.fetch(f, next)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.endLocked(f)
	if ttl := c.rules[f.method].of(a); ttl > 0 && !f.stale {
		c.stats.Evicted += int64(c.store.add(&entry{question: f.question, answer: *a, expires: f.begun.Add(ttl)}))
	}
	return a
}

// of returns how long an answer may be used; 0: not at all.
func (r *rule) of(a *answer) time.Duration {
	switch e, ok := a.err.(*rpc.Error); {
	case a.err == nil:
		return r.ttl
	case ok && e.Remote() && e.Code == rpc.NotFound:
		return r.notFound
	}
	return 0
}

// fetch asks the server. A panic of an interceptor becomes an error: it would
// end the process here, where no caller can catch it.
func (c *Cache) fetch(f *flight, next rpc.Caller) (a *answer) {
	defer func() {
		if p := recover(); p != nil {
			a = &answer{err: rpc.Errorf(rpc.Internal, "cache: the call of %s panicked: %v", f.method, p)}
		}
	}()
	params, err := f.params.copy(c.codec)
	if err != nil {
		return &answer{err: rpc.Errorf(rpc.InvalidArgument, "cache: copy the params of %s: %w", f.method, err)}
	}
	reply := reflect.New(f.reply.Elem()).Interface()
	if err := next.Call(f.ctx, f.method, params, reply); err != nil {
		return &answer{err: err}
	}
	body, err := encode(c.codec, reply)
	if err != nil {
		return &answer{err: rpc.Errorf(rpc.Internal, "cache: encode the reply of %s: %w", f.method, err)}
	}
	return &answer{body: body}
}

// gaveUp is the error of a caller whose context has ended.
func gaveUp(ctx context.Context) error {
	err := ctx.Err()
	return rpc.Errorf(rpc.CodeOf(err), "%w", fmt.Errorf("waiting for a shared call: %w", err))
}
