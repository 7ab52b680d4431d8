package rpc

import (
	"context"
	"errors"
	"sync"
)

// A Pool makes calls on a server, or on several that do the same, and connects
// anew when a connection is lost. Calls take turns over the addresses. It may be
// used concurrently.
type Pool struct {
	addrs []string
	dial  func(ctx context.Context, addr string) (*Client, error)

	mu      sync.Mutex
	next    int                // whose turn it is
	clients map[string]*Client // connected lately, by address
	closed  bool
}

// NewPool returns a pool of the servers at addrs, one or more. It connects when
// the first call needs it.
func NewPool(addrs ...string) *Pool {
	return &Pool{addrs: addrs, dial: Dial, clients: make(map[string]*Client)}
}

type idempotentKey struct{}

// WithIdempotent marks the calls made with the returned context as harmless when
// they run twice. A Pool may then repeat a call that has perhaps run already.
func WithIdempotent(ctx context.Context) context.Context {
	return context.WithValue(ctx, idempotentKey{}, true)
}

// Call is Client.Call, tried on one server after the other, at most twice each.
// It repeats a call that was not sent because there was no connection, and an
// idempotent one whose connection was lost. An *Error is an answer: that call is
// never repeated.
func (p *Pool) Call(ctx context.Context, method string, params, result any) (err error) {
	for range 2 * len(p.addrs) {
		var client *Client
		if client, err = p.connected(ctx); err == nil {
			err = client.Call(ctx, method, params, result)
		}
		if !mayRepeat(ctx, client, err) {
			return err
		}
	}
	return err
}

// mayRepeat reports whether a call that ended with err may be made again. Without
// a client, nothing was sent. With one, its connection must be lost, and the call
// must be idempotent.
func mayRepeat(ctx context.Context, client *Client, err error) bool {
	var answered *Error
	failed := err != nil && ctx.Err() == nil && !errors.Is(err, ErrClientClosed) && !errors.As(err, &answered)
	return failed && (client == nil || !client.usable() && ctx.Value(idempotentKey{}) != nil)
}

// usable reports whether calls can still be made.
func (c *Client) usable() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err == nil
}

// connected returns a client that works, of the server whose turn it is.
func (p *Pool) connected(ctx context.Context) (*Client, error) {
	p.mu.Lock()
	addr := p.addrs[p.next%len(p.addrs)]
	p.next++
	client, closed := p.clients[addr], p.closed
	p.mu.Unlock()
	switch {
	case closed:
		return nil, ErrClientClosed
	case client != nil && client.usable():
		return client, nil
	}
	client, err := p.dial(ctx, addr) // two callers may do this at once: one is enough, see keep
	if err != nil {
		return nil, err
	}
	return p.keep(addr, client)
}

// keep stores client for addr, unless another caller was faster.
func (p *Pool) keep(addr string, client *Client) (*Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		client.Close()
		return nil, ErrClientClosed
	}
	if old := p.clients[addr]; old != nil && old.usable() {
		client.Close()
		return old, nil
	}
	p.clients[addr] = client
	return client, nil
}

// Close closes the connections. Calls fail with ErrClientClosed from now on.
func (p *Pool) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, client := range p.clients {
		client.Close()
	}
	return nil
}
