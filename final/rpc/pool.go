package rpc

import "context"

// Resolver tells a Pool where the servers are.
type Resolver interface {
	// Resolve calls update with the complete list of addresses, as Dial takes
	// them: once soon, then whenever it changes. It returns when ctx ends, or
	// with an error; it is then called again after a pause and the addresses
	// known so far stay in use. update may be called from one goroutine at a time.
	Resolve(ctx context.Context, update func(addrs []string)) error
}

// StaticResolver is a list of addresses that does not change.
type StaticResolver []string

// Resolve implements Resolver.
func (s StaticResolver) Resolve(ctx context.Context, update func([]string)) error {
	update(s)
	<-ctx.Done()
	return ctx.Err()
}

// Pool makes calls over connections to several servers. It connects when first
// needed, prefers the connection with the fewest calls in flight, and tries a
// call that never ran, or is idempotent, on another connection.
type Pool struct {
	options clientOptions
}

// NewPool returns a pool over the addresses that resolver gives.
func NewPool(resolver Resolver, opts ...ClientOption) *Pool { return &Pool{} }

// Call calls method on one of the servers: see [Caller].
func (p *Pool) Call(ctx context.Context, method string, params, reply any) error {
	return Unimplemented
}

// Go starts a call and returns once params are encoded: see [Client.Go].
func (p *Pool) Go(ctx context.Context, method string, params, reply any) *Pending { return nil }

// Close closes all connections. It may be called again.
func (p *Pool) Close() error { return nil }

var (
	_ Caller = (*Client)(nil)
	_ Caller = (*Pool)(nil)
)
