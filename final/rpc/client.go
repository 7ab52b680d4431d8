package rpc

import (
	"context"
	"net"
	"strings"
)

// Client makes calls over one connection, many at a time, and connects anew
// when the connection is lost. All its methods may be called by many goroutines.
type Client struct {
	options clientOptions
}

// Dial connects to a server at "host:port" or "unix:path", says hello under ctx
// and returns. A connection that is lost later is made again, with backoff, by
// the calls that need one.
func Dial(ctx context.Context, addr string, opts ...ClientOption) (*Client, error) {
	return nil, Unimplemented
}

// NewClient makes calls over conn, which it owns from now on. The hello is said
// in the background. When conn is lost, calls fail with Unavailable.
func NewClient(conn net.Conn, opts ...ClientOption) *Client { return &Client{} }

// Call calls method and waits for the reply: see [Caller].
func (c *Client) Call(ctx context.Context, method string, params, reply any) error {
	return Unimplemented
}

// Go starts a call and returns once params are encoded. The reply must not be
// touched before the call is done.
func (c *Client) Go(ctx context.Context, method string, params, reply any) *Pending { return nil }

// Ping asks the server for a pong and waits for it.
func (c *Client) Ping(ctx context.Context) error { return Unimplemented }

// Close fails the calls in flight with an error that is [ErrClientClosed] and
// closes the connection. It may be called again.
func (c *Client) Close() error { return nil }

func splitAddr(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}
