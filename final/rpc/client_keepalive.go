package rpc

import (
	"context"
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// awaitedPong is the pong to one ping, and those who wait for it.
type awaitedPong struct {
	id      uint64
	waiting int           // guarded by the connection's mu
	arrived chan struct{} // closed when it has, and at the connection's end
}

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
	pong, due, err := c.expectPong()
	if err != nil {
		return err
	}
	if due {
		c.sendPing(pong.id)
	}
	var ended error
	select {
	case <-pong.arrived:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.err != nil { // the connection's end closes it, too
			return c.err
		}
		return nil
	case <-ctx.Done():
		ended = ctxError(ctx)
	case <-late:
		ended = context.DeadlineExceeded
	}
	c.forgetPong(pong)
	return contextError(ended)
}

// expectPong notes that a pong is awaited, and reports whether its ping is to be sent
// now. Beyond a rate one ping waits for its turn, for all callers that come meanwhile: the
// server would end the connection, and with it the calls of others.
func (c *clientConn) expectPong() (pong *awaitedPong, due bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.usableLocked(); err != nil {
		return nil, false, err
	}
	if c.nextPing != nil {
		c.nextPing.waiting++
		return c.nextPing, false, nil
	}
	c.lastPing++
	pong = &awaitedPong{id: c.lastPing, waiting: 1, arrived: make(chan struct{})}
	if wait := c.pingLimit.ahead(time.Now(), ownPingBurst, ownPingRate); wait > 0 {
		c.nextPing = pong
		c.pingTimer = time.AfterFunc(wait, c.sendNextPing)
		return pong, false, nil
	}
	c.pongDueLocked(pong)
	return pong, true, nil
}

func (c *clientConn) pongDueLocked(pong *awaitedPong) {
	if c.pings == nil {
		c.pings = map[uint64]*awaitedPong{}
	}
	c.pings[pong.id] = pong
}

// sendNextPing sends the ping that has waited, if anyone still wants to know.
func (c *clientConn) sendNextPing() {
	c.mu.Lock()
	pong := c.nextPing
	c.nextPing = nil
	wanted := pong != nil && pong.waiting > 0 // nil: the connection has ended
	if wanted {
		c.pongDueLocked(pong)
	}
	c.mu.Unlock()
	if wanted {
		c.sendPing(pong.id)
	}
}

func (c *clientConn) sendPing(id uint64) {
	c.control(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPing, 0, id, 0) })
	c.readSoon() // a ping is no call: nobody may be reading
}

// forgetPong is for one of those who wait.
func (c *clientConn) forgetPong(pong *awaitedPong) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pong.waiting--; pong.waiting == 0 {
		delete(c.pings, pong.id)
	}
}

func (c *clientConn) handlePong(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if pong := c.pings[id]; pong != nil {
		delete(c.pings, id)
		close(pong.arrived)
	}
}

// keepAlive returns what pings a silent server, and gives up one that stays silent.
func (c *clientConn) keepAlive(d time.Duration) *keepalive {
	return &keepalive{
		period: d,
		reads:  &c.in.reads,
		ping: func() {
			c.control(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPing, 0, 0, 0) })
		},
		gone: func() {
			c.fail(fmt.Errorf("keepalive timeout: nothing received from the server for %v (WithKeepalive)", 2*d))
		},
	}
}

// stopKeepaliveLocked wakes everyone who waits for a pong.
func (c *clientConn) stopKeepaliveLocked() {
	c.keepalive.stop()
	for _, pong := range c.pings {
		close(pong.arrived)
	}
	c.pings = nil
	if c.nextPing != nil {
		c.pingTimer.Stop()
		close(c.nextPing.arrived)
		c.nextPing = nil
	}
}
