package rpc

import (
	"container/list"
	"context"
	"errors"
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
	w := &slotWaiter{ready: make(chan struct{})}
	place := c.waiting.PushBack(w)
	c.out.mu.Unlock()
	return c.wait(ctx, w, place)
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
