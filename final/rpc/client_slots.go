package rpc

import "errors"

// A connection has as many slots as its server allows calls in flight. A call
// takes one before it is encoded, and keeps it until the server's one reply. For params
// that have had no room it takes that, too: see client_params.go. A stream takes a stream
// slot instead, before its open is encoded, and keeps it to its end.

// mostInFlight is how many slots a connection has at most, whatever its server says: a server
// that never replies would have a client keep any number of calls whose callers have left.
const mostInFlight = 1 << 18

// acquire takes a slot, for a call or for a stream, if one is free. It does not wait: that is
// for callQueue.
func (c *clientConn) acquire(stream bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.greeted && !c.over.Load() && c.freeLocked(stream)
	if ok {
		c.takeLocked(stream, 0)
	}
	c.noteRoomLocked()
	return ok
}

// takeLocked takes a slot, and room for params, or a stream slot.
func (c *clientConn) takeLocked(stream bool, params int64) {
	switch {
	case !stream:
		c.inFlight++
		c.params.taken += params
	case c.granted.most > 0:
		if c.streams == nil {
			c.makeStreamsLocked()
		}
		c.streams.promised++
	}
}

// release gives back a slot, and room for params, or a stream slot, that was not used.
func (c *clientConn) release(stream bool, params int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !stream:
		c.releaseLocked(params)
	case c.streams != nil:
		c.streams.promised--
		c.grantLocked()
	}
}

// grant gives what is free to the calls that wait.
func (c *clientConn) grant() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.grantLocked()
}

// freeLocked reports whether there is a slot, of a call or a stream. A server that grants no streams
// lets each open learn that at once.
func (c *clientConn) freeLocked(stream bool) bool {
	switch {
	case c.out.size >= highWater:
		return false
	case stream:
		return c.granted.most == 0 || c.streams.slotsTaken() < c.granted.most
	}
	return c.inFlight < c.maxInFlight
}

// streamPlaces returns how many streams may be open at once.
func (c *clientConn) streamPlaces() int { return c.granted.most }

func (c *clientConn) releaseLocked(params int64) {
	c.inFlight--
	c.params.taken -= params
	c.grantLocked()
}

// grantLocked gives what is free to the calls that wait, and ends a connection
// that is going away once nothing is in flight.
func (c *clientConn) grantLocked() {
	opens := &c.owner.group.opens
	for c.greeted && !c.over.Load() && (c.grantCallLocked() || c.grantOneLocked(opens, true)) {
	}
	c.noteRoomLocked()
	if c.over.Load() && c.inFlight == 0 && c.streams.slotsTaken() == 0 && c.err == nil {
		c.err = errDrained
		go c.lose(errDrained)
	}
}

// grantCallLocked lets those that wait for a slot and those that wait for room as well
// take turns.
func (c *clientConn) grantCallLocked() bool {
	g := c.owner.group
	if c.crowdNext && c.grantOneLocked(&g.crowd, false) {
		c.crowdNext = false
		return true
	}
	if c.grantOneLocked(&g.queue, false) {
		c.crowdNext = true
		return true
	}
	return c.grantOneLocked(&g.crowd, false)
}

func (c *clientConn) grantOneLocked(queue *callQueue, stream bool) bool {
	if queue.n.Load() == 0 {
		return false
	}
	w := queue.pop(c.owner, c.freeLocked(stream), &c.params)
	if w == nil {
		return false
	}
	if !w.ping {
		c.takeLocked(stream, w.params)
	}
	w.conn = c
	close(w.done)
	return true
}

// noteRoomLocked notes whether the connection has room, to be read without the lock
// by a call that chooses one.
func (c *clientConn) noteRoomLocked() {
	if full := !c.freeLocked(false); full != c.full.Load() {
		c.full.Store(full)
	}
	if full := !c.freeLocked(true); full != c.streamsFull.Load() {
		c.streamsFull.Store(full)
	}
}

// isFull reports whether there is no slot, of a call or a stream, as far as is known without the lock.
func (c *clientConn) isFull(stream bool) bool {
	if stream {
		return c.streamsFull.Load()
	}
	return c.full.Load()
}

var errDrained = lostError(errors.New("the server went away"))
