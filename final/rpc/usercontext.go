package rpc

import (
	"cmp"
	"context"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// A context may be of a user's type, and break the rules of package context: it may have a
// deadline and not end with it, or end without an error. Its methods may even end the
// goroutine that calls them, so none of them is called under a lock.

// ctxError returns the error of a context whose Done is closed. A user's type may have none.
func ctxError(ctx context.Context) error { return cmp.Or(ctx.Err(), context.Canceled) }

// contextError returns the error of a call that ended with its context, whose error is err.
func contextError(err error) *Error {
	if causes.Is(err, context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "%w", err)
	}
	return Errorf(Canceled, "%w", err)
}

// endOfContext returns the error of a Send or Receive whose ctx has ended. The context of a
// stream's handler has a cause, which says more: what the stream has failed with.
func endOfContext(ctx context.Context) *Error {
	err := ctxError(ctx)
	if err == context.Canceled {
		if why, ok := context.Cause(ctx).(*Error); ok && why != nil && why.Code == Canceled {
			return why
		}
	}
	return contextError(err)
}

// afterEnd returns a channel that receives a value soon after ctx's deadline; nil without a
// deadline. Who waits for ctx.Done waits for it, too: a user's context may have a deadline
// and not end with it. Each use costs a timer, so calls have another way: see overdue.
func afterEnd(ctx context.Context) (late <-chan time.Time, stop func() bool) {
	deadline, bounded := ctx.Deadline()
	if !bounded {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(time.Until(deadline) + afterDeadline)
	return timer.C, timer.Stop
}

// derivable returns ctx as a parent for the functions of package context. They panic, in a
// goroutine of their own, if a parent has ended and its Err returns nil, as that of a user's
// type may.
func derivable(ctx context.Context) context.Context {
	if _, ours := ctx.(*serverCall); ours || ctx.Done() == nil {
		return ctx
	}
	return soundContext{ctx}
}

// soundContext is a context whose Err is not nil once it has ended.
type soundContext struct{ context.Context }

func (c soundContext) Err() error {
	if err := c.Context.Err(); err != nil {
		return err
	}
	select {
	case <-c.Done():
		return ctxError(c.Context) // which may have ended just now
	default:
		return nil
	}
}
