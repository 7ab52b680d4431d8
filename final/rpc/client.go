package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Client makes calls over one connection, many at a time, and connects anew
// when the connection is lost. All its methods may be called by many goroutines,
// and from every hook and function that was given to it.
type Client struct {
	options clientOptions
	addr    string
	fixed   *clientConn   // of NewClient, the only one ever; nil: there is an address to connect to
	caller  Caller        // the interceptors around group.invoke; nil in a Pool, which has them
	records sync.Pool     // *clientCall: they hold channels, so they are this Client's alone
	group   *group        // it is the only member of, or a Pool's
	server  *serverHealth // what the group knows of addr

	conn     atomic.Pointer[clientConn] // that has said hello, for new calls; nil while there is none
	calls    atomic.Int32               // in flight
	streams  atomic.Int32               // open
	phase    atomic.Int32               // of connecting: see client_connect.go; set under mu
	served   atomic.Bool                // of NewClient: the calls that waited for the hello have had their turn
	lastErr  atomic.Pointer[Error]      // of the last attempt to connect; nil if it did not fail
	lost     atomic.Pointer[Error]      // why the last connection is no more; nil while there is one
	failures atomic.Int32               // attempts to connect that failed in a row; set under mu

	notUntil atomic.Pointer[time.Time] // the next attempt to connect; nil: at once; set under mu

	mu     sync.Mutex    // no foreign code runs under it
	all    []*clientConn // with those that are going away
	begun  time.Time     // when the attempt to connect began
	closed bool
	stop   context.CancelFunc // ends life, and with it the pauses of connecting
	life   context.Context

	stopDial context.CancelFunc // ends the attempt; nil: none is made
}

// Dial connects to a server at "host:port" or "unix:path", says hello, and
// returns. Without a host, as in ":7001", it connects to this machine. ctx
// bounds Dial alone, not the life of the Client. Dial tries once, for no
// longer than [WithHandshakeTimeout]; if the server may not be running yet,
// use a [Pool], which connects when first needed. When the connection is lost
// later, the next call makes a new one, with backoff: see [WithMaxWait].
//
// Its errors are *[Error]: InvalidArgument for an option that is refused or an
// address that cannot be parsed, Unavailable if no connection can be made, or
// not in that time, or if a name is not found, and Canceled or DeadlineExceeded
// if ctx ends first. A server that refuses this client chooses the code.
func Dial(ctx context.Context, addr string, opts ...ClientOption) (*Client, error) {
	o := defaultClientOptions()
	o.apply(opts)
	if o.err != nil {
		return nil, unrun(o.err)
	}
	c := newClient(o)
	if refused := c.options.err; refused != nil {
		return nil, unrun(refused)
	}
	c.addr = addr
	if _, err := c.connected(ctx, true); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// NewClient makes calls over conn, which belongs to the Client from then on. It
// says hello in the background. When conn is lost, calls fail with Unavailable:
// a Client over a given connection does not reconnect. It panics if conn is nil
// or an option makes no sense: see [ClientOption]. For TLS, give it a
// tls.Client(conn, cfg); it refuses WithTLS.
func NewClient(conn net.Conn, opts ...ClientOption) *Client {
	o := defaultClientOptions()
	o.apply(opts)
	switch {
	case isNil(conn):
		panic(fmt.Errorf("rpc: NewClient: the connection is nil%s", typeOfNil(conn)))
	case o.err != nil:
		panic(fmt.Errorf("rpc: NewClient: %s", o.err.Message))
	case o.forDialing != "":
		panic(fmt.Errorf("rpc: NewClient: %s has no effect: the connection is made already", o.forDialing))
	case o.tls != nil:
		panic(errors.New("rpc: NewClient: WithTLS: the connection is made already: use tls.Client(conn, cfg), or Dial"))
	}
	c := newClient(o)
	if refused := c.options.err; refused != nil {
		panic(fmt.Errorf("rpc: NewClient: %s", refused.Message))
	}
	c.fixed = newClientConn(conn, c, c.options.helloDue())
	c.fixed.start()
	return c
}

// newClient makes a Client that is the one member of its group.
func newClient(o clientOptions) *Client {
	g := &group{heard: true}
	c := newMember(o, g, new(serverHealth))
	g.init(&c.options, c)
	c.caller = c.options.chain(groupCaller{g})
	return c
}

// newMember makes a Client that connects; its calls are the group's.
func newMember(o clientOptions, g *group, s *serverHealth) *Client {
	c := &Client{options: o, server: s, group: g}
	c.records.New = func() any { return &clientCall{done: make(chan struct{}, 1)} }
	c.life, c.stop = context.WithCancel(context.Background())
	return c
}

// check returns an error if c was not made as a Client is.
func (c *Client) check() error {
	if c == nil || c.caller == nil {
		return unrun(Errorf(InvalidArgument, "a Client is made by Dial or NewClient"))
	}
	return nil
}

var (
	errNoContext     = Errorf(InvalidArgument, "the context is nil: want context.Background() at least")
	errNoCallContext = unrun(errNoContext.clone())
)

// checkWith returns an error if c was not made as a Client is, or if there is no context.
func (c *Client) checkWith(ctx context.Context) error {
	if ctx == nil {
		return errNoCallContext
	}
	return c.check()
}

// Call calls method and waits for the reply: see [Caller]. A reply that is
// neither nil nor a pointer is InvalidArgument, and less than a millisecond
// until the deadline is DeadlineExceeded; in both cases the call never ran.
func (c *Client) Call(ctx context.Context, method string, params, reply any) error {
	if err := c.checkWith(ctx); err != nil {
		return err
	}
	return c.caller.Call(ctx, method, params, reply)
}

// Go starts a call and returns once params are encoded, so the caller may
// change them from then on. The caller must not touch reply before the call is
// done. [Pending.Wait] returns all errors, also those of encoding. Calls may
// reach the server in another order than that in which Go was called.
//
// Interceptors get a copy of params. Some types can be copied neither as
// memory nor by encoding and decoding. For those, interceptors get params
// themselves, and may see later changes; the client sends what Go has encoded.
func (c *Client) Go(ctx context.Context, method string, params, reply any) *Pending {
	if err := c.checkWith(ctx); err != nil {
		return failed(err)
	}
	return start(ctx, c.caller, &c.options, method, params, reply)
}

// Ping sends the server a ping and waits for the pong, until ctx ends. Without
// a connection it first waits for one, as a call does. Its error is an
// *[Error]. Beyond 500 pings at once and 50 per second, callers wait and share
// a ping: a server ends a connection that pings too often.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.checkWith(ctx); err != nil {
		return err
	}
	conn, err := c.connected(ctx, false)
	if err != nil {
		return err
	}
	return conn.ping(ctx)
}

// Close fails the calls in flight and the open streams with an error that wraps
// [ErrClientClosed], and closes the connection. It does not wait for callbacks and dialers that
// are running; observers may be told of the connection's end a little later.
// It returns nil, and may be called again.
func (c *Client) Close() error {
	if err := c.check(); err != nil {
		return err
	}
	c.group.close()
	c.shut()
	return nil
}

// shut is Close for a member.
func (c *Client) shut() {
	for _, conn := range c.end() {
		defer conn.fail(ErrClientClosed) // all of them, also if one ends this goroutine
	}
}

// withDefaultTimeout gives ctx the default deadline if it has none, and an end if it
// has a deadline alone.
func (o *clientOptions) withDefaultTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	switch {
	case bounded && ctx.Done() == nil: // a user's, which does not end by itself
		return context.WithDeadline(ctx, deadline)
	case bounded || o.defaultTimeout <= 0:
		return ctx, func() {}
	}
	return context.WithTimeout(derivable(ctx), o.defaultTimeout)
}

// connected returns a connection, and waits for one as a call does, or for one
// attempt.
func (c *Client) connected(ctx context.Context, once bool) (*clientConn, error) {
	if conn := c.conn.Load(); conn != nil {
		return conn, nil
	}
	w := &waitingCall{done: make(chan struct{}), ping: true, once: once}
	err := c.group.wait(ctx, &tries{}, w)
	return w.conn, err
}
