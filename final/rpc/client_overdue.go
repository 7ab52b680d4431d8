package rpc

import (
	"context"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// overdue ends the calls whose deadline has passed although their context has not
// ended: it is a user's, whose Deadline and Done do not agree. One timer does for a
// connection. As a rule a call has its reply long before, and the timer, which is set
// for the first deadline that it was told of, then is set for the next.
type overdue struct {
	timer *time.Timer
	next  time.Time // when the timer fires; zero: it is not set
}

// afterDeadline is how much later than at the deadline a call is overdue. A context
// that ends by itself is earlier.
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
	for id, call := range c.pending {
		switch {
		case call.deadline.IsZero():
		case !call.deadline.After(now):
			late = append(late, call)
			c.pending[id] = abandoned
			c.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindCancel, 0, id, 0) }, nil)
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

// afterEnd returns a channel that is sent to when the deadline of ctx has passed, nil
// if it has none, for what waits for ctx.Done and is rare enough to have a timer.
func afterEnd(ctx context.Context) (late <-chan time.Time, stop func() bool) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(time.Until(deadline) + afterDeadline)
	return timer.C, timer.Stop
}
