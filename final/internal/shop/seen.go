package shop

import (
	"context"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/rpc"
)

// Seen is what one part of the shop saw while it ran. A server of the demo prints it as
// JSON at its end.
type Seen struct {
	Calls      int64 `json:"calls"`      // that it answered or, for the customers, made
	Retries    int64 `json:"retries"`    // of calls that it made
	Reconnects int64 `json:"reconnects"` // to a server that it was connected to before
	Repeated   int   `json:"repeated"`   // inventory: requests for an order that it knew
	Commits    int   `json:"commits"`    // inventory: writes to the disk
}

// counter counts the calls that a server runs.
type counter struct{ atomic.Int64 }

// count is an [rpc.ServerInterceptor]. Streams are not counted: see [rpc.PassStreams].
func (c *counter) count(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	return func(ctx context.Context, params any) (any, error) {
		c.Add(1)
		return next(ctx, params)
	}
}

// Connections counts the connections that a client makes.
type Connections struct{ opened atomic.Int64 }

// Again returns how many were made beyond the first to each of n servers.
func (c *Connections) Again(n int) int64 { return max(0, c.opened.Load()-int64(n)) }

// Observer returns what counts them.
func (c *Connections) Observer() rpc.Observer {
	return rpc.Observer{ConnOpened: func() { c.opened.Add(1) }}
}
