package cache

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/rpc"
)

// flight is a call to the server that callers share. The Cache's lock guards
// waiting and stale; the outcome is set before done is closed.
type flight struct {
	question
	params  any // used here alone, as is the reply
	reply   any
	begun   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	waiting int
	stale   bool // invalidated: its answer is not kept

	done     chan struct{}
	answer   *answer // nil: the call ended its goroutine, or panicked
	panicked any     // what it panicked with; nil: runtime.Goexit
}

// joinLocked returns the flight for a question, with one more caller who waits:
// a new one, which the caller leads and has to start, if there is none. It returns
// nil if there is one for another type of reply.
func (c *Cache) joinLocked(ctx context.Context, q *question) (f *flight, leads bool) {
	f = c.flights[q.key]
	switch {
	case f == nil:
		f = &flight{question: *q, begun: time.Now(), done: make(chan struct{})}
		apart := rpc.ReceiveHeader(context.WithoutCancel(ctx), nil) // the variable is its caller's, who may leave
		f.ctx, f.cancel = context.WithCancel(apart)
		c.flights[q.key] = f
		c.stats.Misses++
		leads = true
	case f.want != q.want:
		c.stats.Passed++
		return nil, false
	default:
		c.stats.Shared++
	}
	f.waiting++
	return f, leads
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

// endLocked closes a flight to further callers.
func (c *Cache) endLocked(f *flight) {
	if c.flights[f.key] == f {
		delete(c.flights, f.key)
	}
}

// fly makes a flight's call and keeps the answer. It is a goroutine's whole life.
func (c *Cache) fly(f *flight, next rpc.Caller) {
	defer func() {
		if f.answer == nil {
			f.panicked = recover()
		}
		c.land(f)
	}()
	if err := next.Call(f.ctx, f.method, f.params, f.reply); err != nil {
		f.answer = &answer{err: err}
		return
	}
	f.answer = newAnswer(c.codec, f.reply)
}

// land ends a flight.
func (c *Cache) land(f *flight) {
	f.cancel()
	c.mu.Lock()
	c.endLocked(f)
	if f.answer != nil && !f.stale {
		c.keepLocked(&f.question, f.answer, f.begun)
	}
	c.mu.Unlock()
	close(f.done)
}

// keepLocked keeps an answer for as long as the method's rule says.
func (c *Cache) keepLocked(q *question, a *answer, begun time.Time) {
	if ttl := c.rules[q.method].of(a); ttl > 0 && a.isShared() {
		c.stats.Evicted += int64(c.store.add(&entry{question: *q, answer: *a, expires: begun.Add(ttl)}))
	}
}

// landed gives the answer of a flight to one of those who waited. What cannot be
// shared goes to the one that leads, which also ends as its call did; the others
// make calls of their own.
func (c *Cache) landed(ctx context.Context, f *flight, leads bool, next rpc.Caller, params, reply any) error {
	switch {
	case f.answer != nil && f.answer.isShared():
		return f.answer.give(c.codec, f.method, reply)
	case !leads:
		return next.Call(ctx, f.method, params, reply)
	case f.answer != nil:
		set(reply, f.answer.reply)
		return nil
	case f.panicked != nil:
		panic(f.panicked)
	}
	runtime.Goexit()
	return nil
}

// alone makes a call that is not shared, because its params cannot be copied,
// and keeps the answer.
func (c *Cache) alone(ctx context.Context, q *question, next rpc.Caller, params, reply any) error {
	c.mu.Lock()
	c.stats.Misses++
	begun, epoch := time.Now(), c.epoch
	c.mu.Unlock()
	err := next.Call(ctx, q.method, params, reply)
	a := &answer{err: err}
	if err == nil {
		own, exact := values.Clone(values.Target(reply), cloneMessage)
		if !exact {
			return nil
		}
		a = newAnswer(c.codec, own)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.epoch == epoch {
		c.keepLocked(q, a, begun)
	}
	return err
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

// gaveUp is the error of a caller whose context has ended.
func gaveUp(ctx context.Context) error {
	err := ctx.Err()
	return rpc.Errorf(rpc.CodeOf(err), "%w", fmt.Errorf("waiting for a shared call: %w", err))
}
