package ratelimit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Messages limits the messages of one method's streams that clients send: to perSecond,
// and to burst at once, of all streams of the method together. What is over the limit
// waits: the handler's next Receive returns later, and so the clients have to send more
// slowly. The streams themselves count as calls do.
//
// The server needs [Limiter.Middleware]. Without it, Authorize refuses the method's
// streams with Internal. name is the exact one, "Service.Method".
func Messages(name string, perSecond float64, burst int) Option {
	return func(l *Limiter) error {
		if err := misuse.CheckMethod(name); err != nil {
			return err
		}
		bucket, err := newBucket(perSecond, burst)
		if err != nil {
			return fmt.Errorf("messages of %s: %w", name, err)
		}
		if l.messages[name] == nil {
			l.messages[name] = new(messages)
		}
		m := l.messages[name]
		m.buckets = append(m.buckets, bucket)
		return nil
	}
}

// messages is the limit of one method's messages.
type messages struct {
	buckets []*rate.Limiter
	applied atomic.Bool // there is middleware around the method
}

// Middleware is what [Messages] needs, for rpc.WithServerMiddleware. Calls pass it.
func (l *Limiter) Middleware() rpc.ServerMiddleware {
	return rpc.PassCalls(func(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
		limit := l.messages[info.Name]
		if limit == nil {
			return next
		}
		limit.applied.Store(true)
		return func(ctx context.Context, params any, s rpc.Stream) error {
			return next(ctx, params, &paced{Stream: s, ctx: ctx, limit: limit})
		}
	})
}

// checkMessages refuses a stream whose messages should be limited, and are not.
func (l *Limiter) checkMessages(method string) error {
	if limit := l.messages[method]; limit != nil && !limit.applied.Load() {
		return rpc.Errorf(rpc.Internal, "ratelimit: the messages of %s are not limited: the server lacks Limiter.Middleware, or it is no stream", method)
	}
	return nil
}

// paced is a stream whose messages are limited. One that was received pays for itself by
// a pause before the next: no message is held while it waits, and an idle stream takes
// nothing.
type paced struct {
	rpc.Stream
	ctx   context.Context // the stream's
	limit *messages
	next  time.Time // Receive may go on then; of the goroutine that receives
}

func (p *paced) Receive(ctx context.Context, item any) error {
	if err := p.pause(ctx); err != nil {
		return err
	}
	if err := p.Stream.Receive(ctx, item); err != nil {
		return err
	}
	now := time.Now()
	for _, b := range p.limit.buckets {
		if next := now.Add(b.ReserveN(now, 1).DelayFrom(now)); next.After(p.next) {
			p.next = next
		}
	}
	return nil
}

// pause waits until the next message may be received. If the stream ends meanwhile,
// Receive says how.
func (p *paced) pause(ctx context.Context) error {
	d := time.Until(p.next)
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-p.ctx.Done():
		return nil
	case <-ctx.Done():
		return rpc.Errorf(rpc.CodeOf(ctx.Err()), "%w", ctx.Err())
	}
}
