package rpc

import (
	"context"
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// ping waits for a pong.
func (c *clientConn) ping(ctx context.Context) error {
	late, stop := afterEnd(ctx)
	defer stop()
	select {
	case <-c.ready:
	case <-ctx.Done():
		return contextError(ctxError(ctx))
	case <-late:
		return contextError(context.DeadlineExceeded)
	}
	id, pong, err := c.expectPong()
	if err != nil {
		return err
	}
	c.control(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPing, 0, id, 0) })
	c.readSoon()
	var ended error
	select {
	case <-pong:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil {
			return c.err
		}
		return nil
	case <-ctx.Done():
		ended = ctxError(ctx)
	case <-late:
		ended = context.DeadlineExceeded
	}
	c.mu.Lock()
	delete(c.pings, id)
	c.mu.Unlock()
	return contextError(ended)
}

// keepAlive runs every keepalive period. If nothing has arrived since the last
// time it sends a ping; if nothing arrives after that either, it gives up.
func (c *clientConn) keepAlive(reads uint64, pinged bool) {
	now := c.in.reads.Load()
	quiet := now == reads
	if quiet && pinged {
		c.fail(fmt.Errorf("keepalive timeout: nothing received from the server for %v (WithKeepalive)", 2*c.options.keepalive))
		return
	}
	if quiet {
		c.control(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPing, 0, 0, 0) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.keepalive = time.AfterFunc(c.options.keepalive, func() { c.keepAlive(now, quiet) })
	}
}

func (c *clientConn) expectPong() (id uint64, pong chan struct{}, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.usableLocked(); err != nil {
		return 0, nil, err
	}
	if c.pings == nil {
		c.pings = map[uint64]chan struct{}{}
	}
	c.lastPing++
	pong = make(chan struct{})
	c.pings[c.lastPing] = pong
	return c.lastPing, pong, nil
}

func (c *clientConn) handlePong(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pong := c.pings[id]; pong != nil {
		delete(c.pings, id)
		close(pong)
	}
}

// stopKeepaliveLocked wakes everyone who waits for a pong.
func (c *clientConn) stopKeepaliveLocked() {
	if c.keepalive != nil {
		c.keepalive.Stop()
	}
	for _, pong := range c.pings {
		close(pong)
	}
	c.pings = nil
}
