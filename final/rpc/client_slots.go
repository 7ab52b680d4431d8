package rpc

import "errors"

// A connection has as many slots as its server allows calls in flight. A call
// takes one before it is encoded, and keeps it until the server's one reply.

// acquire takes a slot if one is free. It does not wait: that is for callQueue.
func (c *clientConn) acquire() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.greeted && !c.over.Load() && c.freeLocked()
	if ok {
		c.inFlight++
	}
	c.noteRoomLocked()
	return ok
}

// release gives back a slot that was not used.
func (c *clientConn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.releaseLocked()
}

// grant gives what is free to the calls that wait.
func (c *clientConn) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grantLocked()
}

func (c *clientConn) freeLocked() bool {
	return c.inFlight < c.maxInFlight && c.out.size < highWater
}

func (c *clientConn) releaseLocked() {
	c.inFlight--
	c.grantLocked()
}

// grantLocked gives what is free to the calls that wait, and ends a connection
// that is going away once nothing is in flight.
func (c *clientConn) grantLocked() {
	queue := &c.owner.group.queue
	for queue.n.Load() > 0 && c.greeted && !c.over.Load() && c.grantOneLocked(queue) {
	}
	c.noteRoomLocked()
	if c.over.Load() && c.inFlight == 0 && c.err == nil {
		c.err = errDrained
		go c.lose(errDrained)
	}
}

func (c *clientConn) grantOneLocked(queue *callQueue) bool {
	w := queue.pop(c.owner, c.freeLocked())
	if w == nil {
		return false
	}
	if !w.ping {
		c.inFlight++
	}
	w.conn = c
	close(w.done)
	return true
}

// noteRoomLocked notes whether the connection has room, to be read without the lock
// by a call that chooses one.
func (c *clientConn) noteRoomLocked() {
	if full := !c.freeLocked(); full != c.full.Load() {
		c.full.Store(full)
	}
}

var errDrained = lostError(errors.New("the server went away"))
