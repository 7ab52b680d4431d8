package rpc

import (
	"context"
	"time"
)

// overdue ends calls whose deadline has passed although their context has not ended: it is of
// a user's type, whose Deadline and Done do not agree. A connection has one timer for all of
// its calls, set for the earliest deadline. Most calls have ended by then, and it is set
// again for the earliest of those that are left.
type overdue struct {
	timer *time.Timer
	next  time.Time // when the timer fires; zero: it is not set
}

// afterDeadline is how long after its deadline a call is overdue. A context that keeps the
// rules ends it before.
const afterDeadline = briefly

// watchLocked lets the timer fire in time for a call's deadline, if it has one.
func (c *clientConn) watchLocked(deadline time.Time) {
	o := &c.overdue
	if deadline.IsZero() || !o.next.IsZero() && !deadline.Before(o.next) {
		return
	}
	o.next = deadline
	left := time.Until(deadline) + afterDeadline
	if o.timer == nil {
		o.timer = time.AfterFunc(left, c.endOverdue)
	} else {
		o.timer.Reset(left)
	}
}

// stop is for a connection that has ended.
func (o *overdue) stop() {
	if o.timer != nil {
		o.timer.Stop()
	}
}

// endOverdue ends the calls that are overdue, and sets the timer for the others.
func (c *clientConn) endOverdue() {
	var late []*clientCall
	c.mu.Lock()
	now, first := time.Now().Add(-afterDeadline), time.Time{}
	for _, call := range c.pending {
		switch {
		case call.deadline.IsZero():
		case !call.deadline.After(now):
			late = append(late, call)
			c.abandonLocked(call)
		case first.IsZero() || call.deadline.Before(first):
			first = call.deadline
		}
	}
	c.overdue.next = time.Time{}
	c.watchLocked(first)
	start := len(late) > 0 && c.out.start()
	c.mu.Unlock()
	for _, call := range late {
		call.result.err = contextError(context.DeadlineExceeded)
		call.done <- struct{}{}
	}
	if start {
		c.flusher.flushAll()
	}
}
