package rpc

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// ErrClientClosed is what calls return after Close.
var ErrClientClosed = errors.New("rpc: client closed")

// A Client calls the methods of one server over one connection. It may be used
// concurrently; one call is under way at a time, the others wait.
type Client struct {
	conn   net.Conn
	r      *bufio.Reader
	closed atomic.Bool

	mu  sync.Mutex // held from a request to its response
	err error      // why the connection is broken; nil while it works
}

// Dial connects to the server at the TCP address addr.
func Dial(addr string) (*Client, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return NewClient(conn), nil
}

// NewClient returns a client that calls the server at the other end of conn.
// Closing the client closes conn.
func NewClient(conn net.Conn) *Client {
	return &Client{conn: conn, r: bufio.NewReader(conn)}
}

// Call calls a method with params and stores its result in what result points
// to. Without params, or without interest in the result, pass nil.
//
// If the server answered with an error, Call returns it as an *Error. Params
// that cannot be sent, or a result that does not fit, fail this call alone. After
// any other error the connection is broken: all later calls fail at once, with
// the same error.
func (c *Client) Call(method string, params, result any) error {
	req, err := newRequest(method, params)
	if err != nil {
		return fmt.Errorf("rpc: %s: %w", method, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.send(req); err != nil {
		return err
	}
	resp, err := c.receive()
	if err != nil {
		return err
	}
	return resp.decode(method, result)
}

// Close closes the connection. A call under way fails with ErrClientClosed, and
// so does every later one.
func (c *Client) Close() error {
	if !c.closed.Swap(true) {
		c.conn.Close()
	}
	return nil
}

// send writes a request. The caller holds c.mu.
func (c *Client) send(req Request) error {
	if c.err != nil {
		return c.err
	}
	err := writeRequest(c.conn, req)
	if errors.Is(err, errCannotSend) {
		return fmt.Errorf("rpc: %s: %w", req.Method, err)
	}
	if err != nil {
		return c.fail(err)
	}
	return nil
}

// receive reads a response. The caller holds c.mu.
func (c *Client) receive() (Response, error) {
	resp, err := readResponse(c.r)
	if err != nil {
		return Response{}, c.fail(err)
	}
	return resp, nil
}

// fail notes that the connection is broken, and returns the error for this call
// and all later ones. The caller holds c.mu.
func (c *Client) fail(err error) error {
	c.err = fmt.Errorf("rpc: connection broken: %w", err)
	if c.closed.Load() {
		c.err = ErrClientClosed
	}
	c.conn.Close()
	return c.err
}
