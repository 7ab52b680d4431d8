package orders

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Connect returns a Pool to the servers that resolver finds, for calls that may be
// repeated, and repeats them until their context ends. It connects when the
// first call is made, and again whenever it must.
func Connect(retries *Retries, resolver rpc.Resolver, opts ...rpc.PoolOption) *rpc.Pool {
	misuse.NotNil("orders: Connect", "counter of retries", retries)
	return rpc.NewPool(resolver, append([]rpc.PoolOption{
		rpc.WithMaxAttempts(1), // Retries does it, without end, and counts
		rpc.WithBackoff(leastPause, longestPause),
		rpc.WithClientInterceptors(retries.Insist),
	}, opts...)...)
}

// The pause before a call is tried again; it doubles from one to the other.
const (
	leastPause   = 5 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// Retries repeats calls and counts how often. Its zero value is ready to use.
type Retries struct{ n atomic.Int64 }

// Count returns how often a call was tried again.
func (r *Retries) Count() int64 { return r.n.Load() }

// Insist is an [rpc.ClientInterceptor] for idempotent calls only: it tries a call
// again until it is answered or its context ends. [rpc.NeverRan] of its error is true only
// if no try ran.
func (r *Retries) Insist(next rpc.Caller) rpc.Caller {
	return rpc.CallerFunc(func(ctx context.Context, method string, params, reply any) error {
		mayHaveRun := false
		for pause := leastPause; ; pause = min(2*pause, longestPause) {
			err := next.Call(ctx, method, params, reply)
			if err == nil || !mayPass(err) || !wait(ctx, pause) {
				if mayHaveRun && rpc.NeverRan(err) {
					err = rpc.Errorf(rpc.CodeOf(err), "%w; an earlier try may have run", err)
				}
				return err
			}
			mayHaveRun = mayHaveRun || !rpc.NeverRan(err)
			r.n.Add(1)
		}
	})
}

// mayPass reports whether the reason for err is one that may be gone soon: no
// connection, a server that is going away or has no room.
func mayPass(err error) bool {
	var e *rpc.Error
	switch {
	case errors.Is(err, rpc.ErrClientClosed) || !errors.As(err, &e) || e == nil:
		return false
	case e.Code == rpc.Unavailable:
		return true
	}
	return e.Code == rpc.ResourceExhausted && e.Remote() && rpc.NeverRan(err)
}

// wait waits for about d, at random so that many callers do not come back at
// once. It reports false when ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
