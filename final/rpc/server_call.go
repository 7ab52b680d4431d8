package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// serverCall is one call on the server and, in one allocation with it, the
// context of its handler. It is not used again for another call: a handler may
// keep its context for longer than it runs.
//
// The channel and the timer are made when Done is first called. A handler that
// never calls it costs neither.
type serverCall struct {
	id       uint64
	method   *method
	peer     *Peer
	identity Identity // what Authorize returned
	metadata Metadata
	deadline time.Time // zero: none

	header atomic.Pointer[Metadata] // of the reply, see SetHeader; what it points to does not change

	params    any              // decoded by the reader; gob only
	body      *bytepool.Buffer // else params to decode: data, which lies in body
	data      []byte
	charge    int64 // what params have taken of the connection's share
	expandsTo int   // data is compressed, of at most so many bytes; 0: it is not

	mu    sync.Mutex
	done  chan struct{}
	err   error
	timer *time.Timer
	after map[*afterFunc]struct{}
}

// keep holds on to params that are still to be decoded: in the frame's large
// buffer, or by a copy.
func (c *serverCall) keep(f *wire.Frame, body []byte) {
	switch {
	case c.params != nil || c.method.newParams == nil:
		bytepool.Put(f.Large)
	case f.Large != nil:
		c.body, c.data = f.Large, body
	case len(body) > 0:
		c.body = bytepool.Get(len(body))
		c.body.B = append(c.body.B, body...)
		c.data = c.body.B
	}
}

type afterFunc struct{ f func() }

var _ context.Context = (*serverCall)(nil)

// Deadline implements context.Context.
func (c *serverCall) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Value answers for this call; what else a handler wants to know is in values of its own contexts.
func (c *serverCall) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return nil
}

// Done implements context.Context.
func (c *serverCall) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		} else if !c.deadline.IsZero() {
			c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.end(context.DeadlineExceeded) })
		}
	}
	return c.done
}

// Err implements context.Context.
func (c *serverCall) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.end(context.DeadlineExceeded)
		return c.Err()
	}
	return err
}

// AfterFunc is what package context looks for, so that contexts derived from
// this one need no goroutine.
func (c *serverCall) AfterFunc(f func()) (stop func() bool) {
	c.Done() // start the timer
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	entry := &afterFunc{f}
	if c.after == nil {
		c.after = map[*afterFunc]struct{}{}
	}
	c.after[entry] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := c.after[entry]
		delete(c.after, entry)
		return waiting
	}
}

// cancel ends the context because the caller has left. If that is because the
// time is up, as it is here too, the handler is told so.
func (c *serverCall) cancel() {
	if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.end(context.DeadlineExceeded)
		return
	}
	c.end(context.Canceled)
}

// end ends the context, once.
func (c *serverCall) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for entry := range c.after {
		go entry.f()
	}
	c.after = nil
}
