package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
)

// ErrClientClosed is what calls return after Close.
var ErrClientClosed = errors.New("rpc: client closed")

// A Client calls the methods of one server over one connection. It may be used
// concurrently, and any number of calls may be under way at a time.
type Client struct {
	conn    net.Conn
	r       *bufio.Reader // used by readLoop alone
	writing chan struct{} // a lock: full while held; a select can wait for it
	out     bytes.Buffer  // the encoded request that is being written; guarded by writing

	mu      sync.Mutex
	lastID  uint64
	pending map[uint64]*pendingCall // the calls that wait for a response, by id
	err     error                   // why the connection is broken; nil while it works
}

// A pendingCall waits for its response.
type pendingCall struct {
	id    uint64
	reply chan Response
}

// Dial connects to the server at the TCP address addr. When ctx ends, it stops
// trying; the client it returns does not depend on ctx.
func Dial(ctx context.Context, addr string) (*Client, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("rpc: %w", err)
	}
	return NewClient(conn), nil
}

// NewClient returns a client that calls the server at the other end of conn.
// Closing the client closes conn, and ends the goroutine that reads from it.
func NewClient(conn net.Conn) *Client {
	c := &Client{
		conn:    conn,
		r:       bufio.NewReader(conn),
		writing: make(chan struct{}, 1),
		pending: make(map[uint64]*pendingCall),
	}
	go c.readLoop()
	return c
}

// Call calls a method with params and stores its result in what result points
// to. Without params, or without interest in the result, pass nil.
//
// If the server answered with an error, Call returns it as an *Error. When ctx
// ends, Call returns its error (wrapped) at once. Params that cannot be sent, or a
// result that does not fit, fail this call alone. After any other error the
// connection is broken: all calls, waiting or later, fail with the same error.
func (c *Client) Call(ctx context.Context, method string, params, result any) error {
	req, err := newRequest(method, params)
	if err != nil {
		return fmt.Errorf("rpc: %s: %w", method, err)
	}
	call, err := c.register()
	if err != nil {
		return err
	}
	defer c.take(call.id)
	req.ID = call.id
	if err := c.send(ctx, req); err != nil {
		return err
	}
	select {
	case resp, ok := <-call.reply:
		if !ok {
			return c.err
		}
		return resp.decode(method, result)
	case <-ctx.Done():
		return fmt.Errorf("rpc: %s: %w", method, ctx.Err())
	}
}

// Close closes the connection. Calls under way fail with ErrClientClosed, and
// so does every later one.
func (c *Client) Close() error {
	c.fail(ErrClientClosed)
	return nil
}

// register gives a call its id, and the channel on which its response will arrive.
func (c *Client) register() (*pendingCall, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, c.err
	}
	c.lastID++
	call := &pendingCall{
		id:    c.lastID,
		reply: make(chan Response, 1), // the reader must never wait for a caller
	}
	c.pending[call.id] = call
	return call, nil
}

// take takes the call with that id off the list and returns it, or nil if it
// has left the list already. Only the goroutine that takes a call off the list
// sends to its channel or closes it.
func (c *Client) take(id uint64) *pendingCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pending[id]
	delete(c.pending, id)
	return call
}

// send writes a request when its turn comes, unless ctx ends first. The write
// itself goes on without the caller: a server that does not read can delay it for
// ever, and half a request would spoil the connection.
func (c *Client) send(ctx context.Context, req Request) error {
	select {
	case c.writing <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("rpc: %s: %w", req.Method, ctx.Err())
	}
	if err := writeRequest(&c.out, req); err != nil {
		<-c.writing
		return fmt.Errorf("rpc: %s: %w", req.Method, err)
	}
	go c.write()
	return nil
}

// write writes the encoded request, and then releases the lock writing.
func (c *Client) write() {
	if _, err := c.out.WriteTo(c.conn); err != nil {
		c.fail(fmt.Errorf("rpc: connection broken: %w", err))
	}
	<-c.writing
}

// readLoop hands each response to the call it answers, until the connection
// breaks. A response whose call has ended already is dropped.
func (c *Client) readLoop() {
	for {
		resp, err := c.receive()
		if err != nil {
			c.fail(fmt.Errorf("rpc: connection broken: %w", err))
			return
		}
		if call := c.take(resp.ID); call != nil {
			call.reply <- resp
		}
	}
}

// receive reads a response. One that has no id is an error: it answers none of our
// calls.
func (c *Client) receive() (Response, error) {
	resp, err := readResponse(c.r)
	if err == nil && resp.ID == 0 {
		err = fmt.Errorf("%w: no id (error %q)", errInvalidResponse, resp.Error)
	}
	return resp, err
}

// fail ends all calls under way, because of err. It returns the error that they
// and all later calls report: that of the first failure.
func (c *Client) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		c.conn.Close()
		for id, call := range c.pending {
			delete(c.pending, id)
			close(call.reply)
		}
	}
	return c.err
}
