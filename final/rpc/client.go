package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Client makes calls over one connection, many at a time, and connects anew
// when the connection is lost. All its methods may be called by many goroutines.
type Client struct {
	options clientOptions
	addr    string
	redial  bool      // there is an address to connect to
	caller  Caller    // the interceptors around invoke
	records sync.Pool // *clientCall: they hold channels, so they are this Client's alone

	conn  atomic.Pointer[clientConn] // for new calls; nil while there is none
	calls atomic.Int32               // in flight, for Pool to compare

	waitingCalls atomic.Int64 // for a connection

	server *server // Pool's; nil elsewhere

	changed func() // Pool's: an attempt to connect has ended; nil elsewhere

	mu       sync.Mutex
	all      map[*clientConn]struct{} // with those that are going away
	dialing  *dialing                 // nil: nobody connects
	failures int                      // attempts to connect that failed in a row
	notUntil time.Time                // the next attempt
	lastErr  error                    // of the last attempt; nil if it did not fail
	closed   bool
	stop     context.CancelFunc // ends dialing
	life     context.Context
}

// dialing is one attempt to connect, for which many calls may wait.
type dialing struct {
	done chan struct{}
	err  error // set before done is closed
}

// Dial connects to a server at "host:port" or "unix:path", says hello under ctx
// and returns. It makes one attempt. A connection that is lost later is made again,
// with backoff, by the calls that need one: see [WithMaxWait]. An address that
// cannot be parsed is InvalidArgument; a name that is not found is Unavailable.
func Dial(ctx context.Context, addr string, opts ...ClientOption) (*Client, error) {
	o, err := newClientOptions(opts)
	if err != nil {
		return nil, err
	}
	c := newClient(o)
	c.addr, c.redial = addr, true
	if _, err := c.connectedOnce(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// NewClient makes calls over conn, which it owns from now on. The hello is said
// in the background. When conn is lost, calls fail with Unavailable. It panics if
// conn is nil or an option makes no sense (see [ClientOption]), WithTLS among
// them: give it a tls.Client(conn, cfg) instead.
func NewClient(conn net.Conn, opts ...ClientOption) *Client {
	o, err := newClientOptions(opts)
	switch {
	case isNil(conn):
		panic(fmt.Errorf("rpc: NewClient: the connection is nil%s", typeOfNil(conn)))
	case err != nil:
		panic(fmt.Errorf("rpc: NewClient: %s", o.err.Message))
	case o.tls != nil:
		panic(errors.New("rpc: NewClient: WithTLS: the connection is made already: use tls.Client(conn, cfg), or Dial"))
	}
	c := newClient(o)
	made := newClientConn(conn, &c.options, &c.records, c.dropped, c.gone)
	c.all[made] = struct{}{}
	c.conn.Store(made)
	made.start()
	return c
}

func newClient(o clientOptions) *Client {
	c := &Client{options: o, all: map[*clientConn]struct{}{}}
	c.records.New = func() any { return &clientCall{done: make(chan struct{}, 1)} }
	c.life, c.stop = context.WithCancel(context.Background())
	c.caller = chainCaller(CallerFunc(c.invoke), o.interceptors)
	return c
}

// Call calls method and waits for the reply: see [Caller].
func (c *Client) Call(ctx context.Context, method string, params, reply any) error {
	return c.caller.Call(ctx, method, params, reply)
}

// Go starts a call and returns once params are encoded, so that they may be
// changed. The reply must not be touched before the call is done. Interceptors
// get a copy of params. Where a type cannot be copied, neither as memory nor by
// encoding and decoding it, they get params themselves, which they may then see
// changed; what is sent is what Go has encoded.
func (c *Client) Go(ctx context.Context, method string, params, reply any) *Pending {
	return start(ctx, c.caller, &c.options, method, params, reply)
}

// Ping asks the server for a pong and waits for it.
func (c *Client) Ping(ctx context.Context) error {
	conn, err := c.connected(ctx)
	if err != nil {
		return err
	}
	return conn.ping(ctx)
}

// Close fails the calls in flight with an error that is [ErrClientClosed] and
// closes the connection. It may be called again.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.stop()
	all := c.all
	c.all = map[*clientConn]struct{}{}
	c.mu.Unlock()
	for conn := range all {
		conn.fail(ErrClientClosed)
	}
	return nil
}

// invoke is Call without interceptors: attempts until one succeeds or may not be
// repeated. Connecting is no attempt.
func (c *Client) invoke(ctx context.Context, method string, params, reply any) error {
	ctx, cancel := c.options.withDefaultTimeout(ctx)
	defer cancel()
	mayHaveRun := false
	for attempt := 1; ; attempt++ {
		conn, err := c.connected(ctx)
		if err != nil {
			return afterAttempts(err, mayHaveRun)
		}
		if err = conn.call(ctx, method, params, reply); err == nil {
			return nil
		}
		mayHaveRun = mayHaveRun || !NeverRan(err)
		again := attempt < c.options.maxAttempts && ctx.Err() == nil
		if pause, asked := askedToWait(ctx, err); again && asked {
			again, err = c.options.wait(ctx, pause, err)
		} else {
			again = again && c.redial && mayRetry(ctx, err)
		}
		if !again {
			return afterAttempts(err, mayHaveRun)
		}
	}
}

// afterAttempts returns the error of a call whose last attempt failed with err.
// That one may never have run, and an earlier one all the same have done so.
func afterAttempts(err error, mayHaveRun bool) error {
	if mayHaveRun {
		return ran(err)
	}
	return err
}

// withDefaultTimeout gives ctx the default deadline if it has none.
func (o *clientOptions) withDefaultTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	if o.defaultTimeout <= 0 {
		return ctx, func() {}
	}
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, o.defaultTimeout)
}

// mayRetry reports whether a call that failed with err may be tried again: it
// never ran or does no harm twice, and the reason is one that may pass.
func mayRetry(ctx context.Context, err error) bool {
	if errors.Is(err, ErrClientClosed) || CodeOf(err) != Unavailable {
		return false
	}
	if NeverRan(err) {
		return true
	}
	var e *Error
	lost := errors.As(err, &e) && !e.remote // a handler may also say Unavailable: it has run
	return lost && optionsFrom(ctx).idempotent
}

// askedToWait reports whether the call that failed with err may be tried again
// after a pause that the server asked for.
func askedToWait(ctx context.Context, err error) (time.Duration, bool) {
	if code := CodeOf(err); code != ResourceExhausted && code != Unavailable {
		return 0, false
	}
	pause, asked := RetryAfter(err)
	return pause, asked && (NeverRan(err) || optionsFrom(ctx).idempotent)
}

// wait waits for a server that answered with refused. If that is too long, or
// ctx ends first, it returns false and what the call fails with.
func (o *clientOptions) wait(ctx context.Context, pause time.Duration, refused error) (bool, error) {
	if o.maxRetryAfter <= 0 || pause > o.maxRetryAfter {
		return false, refused
	}
	pause += rand.N(pause/4 + 1)
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return false, refused
	}
	if err := sleep(ctx, pause); err != nil {
		return false, unrun(contextError(err))
	}
	return true, nil
}

// connected returns a connection for new calls. Without one it waits for the first
// attempt to connect that succeeds, for as long as a call may wait.
func (c *Client) connected(ctx context.Context) (*clientConn, error) {
	if conn := c.conn.Load(); conn != nil {
		return conn, nil
	}
	if n := c.options.maxWaiting; c.waitingCalls.Add(1) > int64(n) {
		c.waitingCalls.Add(-1)
		return nil, unrun(Errorf(Unavailable, "%d calls are waiting for a server already (WithMaxWaiting)", n))
	}
	defer c.waitingCalls.Add(-1)
	waiting, cancel := c.options.waiting(ctx)
	defer cancel()
	for {
		conn, err := c.connectedOnce(waiting)
		switch {
		case err == nil:
			return conn, nil
		case ctx.Err() != nil:
			return nil, c.gaveUpConnecting(ctx)
		case waiting.Err() != nil:
			return nil, c.options.waitedTooLong(c.last())
		case c.options.isHasty(ctx) || !mayPass(err):
			return nil, err
		}
	}
}

// connectedOnce is connected for one attempt.
func (c *Client) connectedOnce(ctx context.Context) (*clientConn, error) {
	c.mu.Lock()
	if conn := c.conn.Load(); conn != nil {
		c.mu.Unlock()
		return conn, nil
	}
	d, err := c.dialLocked()
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case <-d.done:
	case <-ctx.Done():
		return nil, c.gaveUpConnecting(ctx)
	}
	if d.err != nil {
		return nil, d.err
	}
	if conn := c.conn.Load(); conn != nil {
		return conn, nil
	}
	return nil, unrun(Errorf(Unavailable, "the connection was lost as soon as it was made"))
}

// last returns why the last attempt to connect failed, if it did.
func (c *Client) last() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lastErr
}

// gaveUpConnecting is the error of a call whose context ended before there was a connection.
func (c *Client) gaveUpConnecting(ctx context.Context) *Error {
	c.mu.Lock()
	last := c.lastErr
	c.mu.Unlock()
	e := contextError(ctx.Err())
	e.Message = "connecting to " + c.addr + ": " + e.Message
	if last != nil {
		e.Message += "; the last attempt: " + last.Error()
	}
	return unrun(e)
}

// dialLocked returns the attempt under way, or starts one. Callers hold mu.
func (c *Client) dialLocked() (*dialing, error) {
	switch {
	case c.closed:
		return nil, unrun(Errorf(Canceled, "%w", ErrClientClosed))
	case c.dialing == nil:
		c.dialing = &dialing{done: make(chan struct{})}
		go c.dial(c.dialing, time.Until(c.notUntil))
	}
	return c.dialing, nil
}

// dial makes one attempt to connect, after the pause that backoff asks for. The
// connection is one for calls when the server has answered the hello.
func (c *Client) dial(d *dialing, pause time.Duration) {
	err := sleep(c.life, pause)
	var conn net.Conn
	if err == nil {
		conn, err = c.open()
	}
	var made *clientConn
	if err == nil {
		made, err = c.greet(conn)
	}
	c.mu.Lock()
	if err == nil {
		made.born = time.Now()
		c.useLocked(made)
	} else {
		c.backOffLocked(true)
	}
	c.dialing = nil
	c.lastErr = nil
	if err != nil {
		d.err = dialError(c.addr, err)
		c.lastErr = d.err
	}
	c.mu.Unlock()
	close(d.done)
	if c.changed != nil {
		c.changed()
	}
}

// greet says hello on conn and waits for the answer.
func (c *Client) greet(conn net.Conn) (*clientConn, error) {
	made := newClientConn(conn, &c.options, &c.records, c.dropped, c.gone)
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.all[made] = struct{}{}
	}
	c.mu.Unlock()
	if closed {
		conn.Close()
		return nil, Errorf(Canceled, "%w", ErrClientClosed)
	}
	made.start()
	return made, made.greeted()
}

func dialError(addr string, err error) *Error {
	var coded *Error
	if errors.As(err, &coded) {
		return unrun(&Error{Code: coded.Code, Message: "dial " + addr + ": " + coded.Message, remote: coded.remote, cause: err})
	}
	code := Unavailable
	if isBadAddr(err) {
		code = InvalidArgument
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return unrun(Errorf(code, "dial %s: %w", addr, op.Err))
	}
	return unrun(Errorf(code, "dial %s: %w", addr, err))
}

// backOffLocked sets when the next attempt to connect may begin. A connection that
// ends soon counts like one that was not made: a server that breaks each one would
// be connected to in a tight loop.
func (c *Client) backOffLocked(failed bool) {
	if !failed {
		c.failures, c.notUntil = 0, time.Time{}
		return
	}
	pause := backoff(c.options.backoffMin, c.options.backoffMax, c.failures)
	c.failures++
	c.notUntil = time.Now().Add(pause)
}

// backoff is the pause after a failure that came after so many others: doubled
// each time, less up to half at random, so that not all come back together.
func backoff(least, longest time.Duration, failures int) time.Duration {
	pause := least
	for range min(failures, 30) {
		pause = min(2*pause, longest)
	}
	if pause > 1 {
		pause -= rand.N(pause / 2)
	}
	return pause
}

// connectSoon starts an attempt to connect and does not wait for it.
func (c *Client) connectSoon() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn.Load() == nil {
		c.dialLocked()
	}
}

// drain ends the client once the calls in flight are answered.
func (c *Client) drain() {
	c.mu.Lock()
	c.closed = true
	c.stop()
	c.mu.Unlock()
	if conn := c.conn.Load(); conn != nil {
		conn.drain()
	}
}

// backingOff reports whether the last attempt failed and the next is not due.
func (c *Client) backingOff() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failures > 0 && time.Now().Before(c.notUntil)
}

// open connects and, with TLS, shakes hands.
func (c *Client) open() (net.Conn, error) {
	ctx := c.life
	if d := c.options.handshakeTimeout; d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	dial := c.options.dial
	if dial == nil {
		dial = dialNet
	}
	conn, err := dial(ctx, c.addr)
	if err != nil || c.options.tls == nil {
		return conn, err
	}
	cfg := c.options.tls
	if cfg.ServerName == "" && !cfg.InsecureSkipVerify {
		cfg = cfg.Clone()
		cfg.ServerName = hostOf(c.addr)
	}
	secure := tls.Client(conn, cfg)
	if err := secure.HandshakeContext(ctx); err != nil {
		conn.Close()
		return nil, err
	}
	return secure, nil
}

// useLocked makes conn the connection for new calls. Callers hold mu.
func (c *Client) useLocked(conn *clientConn) {
	c.conn.Store(conn)
	if conn.over.Load() { // it may have failed already
		c.dropped(conn)
	}
}

// dropped is told that no new call can be made on conn. Without a way to make
// another one, conn stays, to say why.
func (c *Client) dropped(conn *clientConn) {
	if c.redial {
		c.conn.CompareAndSwap(conn, nil)
	}
}

// gone is told that conn has ended.
func (c *Client) gone(conn *clientConn) {
	c.mu.Lock()
	delete(c.all, conn)
	if c.redial && !conn.born.IsZero() {
		c.backOffLocked(time.Since(conn.born) < c.options.backoffMax)
	}
	c.mu.Unlock()
	if c.changed != nil {
		c.changed()
	}
}

// sleep waits, or returns the context's error if that comes first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
