package cmd

import (
	"context"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/rpc"
)

// seen is what one part of the shop saw while it ran.
type seen struct {
	Calls      int64 `json:"calls"`      // that it answered or, for the customers, made
	Retries    int64 `json:"retries"`    // of calls that it made
	Reconnects int64 `json:"reconnects"` // to a server that it was connected to before
	Repeated   int   `json:"repeated"`   // inventory: requests for an order that it knew
	Commits    int   `json:"commits"`    // inventory: writes to the disk
}

// counter counts the calls that a server runs.
type counter struct{ atomic.Int64 }

// count is an [rpc.ServerInterceptor].
func (c *counter) count(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	return func(ctx context.Context, params any) (any, error) {
		c.Add(1)
		return next(ctx, params)
	}
}

// connections counts the connections that a client makes. It is an [rpc.ConnObserver].
type connections struct{ opened atomic.Int64 }

// again returns how many were made beyond the first to each of n servers.
func (c *connections) again(n int) int64 { return max(0, c.opened.Load()-int64(n)) }

func (c *connections) ConnOpened()    { c.opened.Add(1) }
func (*connections) ConnClosed()      {}
func (*connections) BytesRead(int)    {}
func (*connections) BytesWritten(int) {}
