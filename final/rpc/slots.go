package rpc

import (
	"container/list"
	"context"
	"errors"
	"fmt"
)

// slotWaiter is a caller that waits until it may send.
type slotWaiter struct {
	ready   chan struct{}
	granted bool
}

// acquire takes a slot when the server's bound and the bytes that wait to be
// written allow it.
func (c *clientConn) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unrun(contextError(err))
	}
	c.out.mu.Lock()
	if c.maxInFlight == 0 && c.err == nil {
		c.out.mu.Unlock()
		select {
		case <-c.ready:
		case <-ctx.Done():
			return unrun(contextError(ctx.Err()))
		}
		c.out.mu.Lock()
	}
	if err := c.usableLocked(); err != nil {
		c.out.mu.Unlock()
		return err
	}
	if c.waiting.Len() == 0 && c.freeLocked() {
		c.inFlight++
		c.out.mu.Unlock()
		return nil
	}
	if n := c.options.maxWaiting; c.waiting.Len() >= n {
		c.out.mu.Unlock()
		return unrun(Errorf(Unavailable, "%d calls are waiting for a server already (WithMaxWaiting)", n))
	}
	w := &slotWaiter{ready: make(chan struct{})}
	place := c.waiting.PushBack(w)
	c.out.mu.Unlock()
	waiting, cancel := c.options.waiting(ctx)
	defer cancel()
	err := c.wait(waiting, w, place)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		full := fmt.Errorf("the connection has %d calls in flight, as many as the server allows", c.maxInFlight)
		return c.options.waitedTooLong(full)
	}
	return err
}

func (c *clientConn) wait(ctx context.Context, w *slotWaiter, place *list.Element) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch err := ctx.Err(); {
	case err == nil && w.granted:
		return nil
	case err == nil:
		return c.usableLocked()
	default:
		if w.granted {
			c.releaseLocked()
		} else {
			c.waiting.Remove(place)
		}
		return unrun(contextError(err))
	}
}

func (c *clientConn) freeLocked() bool {
	return c.inFlight < c.maxInFlight && c.out.size < highWater
}

func (c *clientConn) releaseLocked() {
	c.inFlight--
	c.grantLocked()
}

// grantLocked gives what is free to those who wait, and ends a connection that
// is going away once nothing is in flight.
func (c *clientConn) grantLocked() {
	for c.waiting.Len() > 0 {
		over := c.over.Load()
		if !over && !c.freeLocked() {
			return
		}
		w := c.waiting.Remove(c.waiting.Front()).(*slotWaiter)
		if w.granted = !over; w.granted {
			c.inFlight++
		}
		close(w.ready)
	}
	if c.over.Load() && c.inFlight == 0 && c.err == nil {
		c.err = errDrained
		go c.fail(errDrained)
	}
}

var errDrained = errors.New("the server went away")
