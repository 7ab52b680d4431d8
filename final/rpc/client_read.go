package rpc

import "time"

// readerRole says who reads a client's connection.
type readerRole uint8

const (
	readerGoroutine readerRole = iota // the connection's own
	readerCaller                      // a caller, for its reply
	readerNone                        // no goroutine: nothing is pending
)

// clientReader is the role, and what passes it on.
type clientReader struct {
	role  readerRole    // guarded by mu
	wake  chan struct{} // capacity 1: the goroutine has been given the role
	timer *time.Timer   // the goroutine's, for park; nil while the connection is idle
}

// idleBeforeReading is how long the goroutine waits for a caller that reads,
// before it takes over to see pings, go-aways and the end.
const idleBeforeReading = 5 * time.Millisecond

// read is the connection's own goroutine. It reads while calls are pending that
// were not alone, and while the connection is idle.
func (c *clientConn) read() {
	defer c.fail(errExited) // if nothing else has ended the connection
	for c.readUntil(func() bool { return c.leaveRole(readerGoroutine) }) {
		c.park()
	}
}

// readUntil reads and handles frames until stop, asked after each, is true, or
// the reader has to hurry. It returns false if the connection has ended.
func (c *clientConn) readUntil(stop func() bool) bool {
	for {
		f, err := c.in.next()
		if err == errHurry {
			return true
		}
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.failRead(err)
			return false
		}
		if stop() {
			return true
		}
	}
}

// leaveRole gives the role back if nothing is pending, else it stays with, or
// goes to, the goroutine. The decision is made under the lock, so that no call
// is pending without a reader.
func (c *clientConn) leaveRole(from readerRole) bool {
	if !c.flusher.inline {
		return false // what stops at a deadline cannot go on later: the goroutine reads for good
	}
	buffered := c.in.Buffered()
	if buffered && from == readerGoroutine {
		return false // it has the role, and keeps it
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) == 0 && len(c.pings) == 0 && c.streams.open() == 0 && !buffered && c.err == nil {
		c.reader.role = readerNone
		return true
	}
	c.reader.role = readerGoroutine
	if from == readerCaller {
		c.reader.wake <- struct{}{}
	}
	return false
}

// park waits until the goroutine has the role.
func (c *clientConn) park() {
	if c.reader.timer == nil {
		c.reader.timer = time.NewTimer(idleBeforeReading)
	} else {
		c.reader.timer.Reset(idleBeforeReading)
	}
	timer := c.reader.timer
	defer timer.Stop()
	ended := c.ended
	for {
		seen := c.in.reads.Load()
		select {
		case <-c.reader.wake:
			return
		case <-ended:
			ended = nil // a caller that reads finds out, and wakes us
		case <-timer.C:
		}
		c.mu.Lock()
		take := c.reader.role == readerNone && (ended == nil || seen == c.in.reads.Load())
		if take {
			c.reader.role = readerGoroutine
		}
		c.mu.Unlock()
		if take {
			c.reader.timer = nil
			c.in.shrink()
			return
		}
		timer.Reset(idleBeforeReading)
	}
}

// readSoon gives the goroutine the role if it is free: a pong is awaited, though no
// call is pending.
func (c *clientConn) readSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader.role == readerNone {
		c.reader.role = readerGoroutine
		c.reader.wake <- struct{}{}
	}
}

// takeRole makes sure that a goroutine reads: the caller, if the role is free and
// its call is the only one, else the connection's own.
func (c *clientConn) takeRole(call *clientCall) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reader.role != readerNone || c.pending[call.id] != call {
		return false
	}
	if len(c.pending) > 1 || c.streams.open() > 0 {
		c.reader.role = readerGoroutine
		c.reader.wake <- struct{}{}
		return false
	}
	c.reader.role = readerCaller
	return true
}

// readOwn reads until the call's reply has arrived or its time is up. A frame that
// has arrived in part by then stays in the reader.
func (c *clientConn) readOwn(call *clientCall) {
	now := time.Now()
	c.in.hurry = now.Add(2 * briefly)
	if !call.deadline.IsZero() && call.deadline.Before(c.in.hurry) {
		c.in.hurry = call.deadline
	}
	if c.in.armed.Before(now.Add(briefly)) {
		c.in.armed = time.Time{} // the deadline that is set comes too soon: set one that serves many calls
	}
	exited := true
	defer func() {
		c.in.hurry = time.Time{}
		c.leaveRole(readerCaller)
	}()
	defer func() {
		if exited {
			c.fail(errExited)
		}
	}()
	c.readUntil(func() bool { return len(call.done) > 0 })
	exited = false
}
