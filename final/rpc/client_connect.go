package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/internal/belowtls"
	"example.com/rpc-from-scratch/final/internal/causes"
)

// A Client connects in a goroutine of its own, under no lock. Its conn is set once
// the hellos are exchanged, so that no call is given to a server that takes
// connections and says nothing.
//
//	idle ── a call needs it ─▶ trying ── hello, conn is set ─▶ pausing ─▶ idle
//	trying ── failed ─▶ pausing ── calls wait, backoff ─▶ trying
//	pausing ── none waits ─▶ idle
const (
	idle int32 = iota
	trying
	pausing
)

// connect starts connecting, unless there is a connection. During a backoff pause a
// patient caller gets an attempt after it, any other none.
func (c *Client) connect(patient bool) {
	if c.fixed != nil || !patient && (c.phase.Load() != idle || c.pause() > 0) {
		return // without the lock, which all calls would take while a server is down
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	pause := c.pause()
	if c.closed || c.phase.Load() != idle || c.conn.Load() != nil || pause > 0 && !patient {
		return
	}
	c.enterLocked(pause)
	go c.keepConnecting(pause)
}

// enterLocked enters the phase before or after a pause.
func (c *Client) enterLocked(pause time.Duration) {
	switch {
	case pause > 0:
		c.phase.Store(pausing)
	case c.phase.Load() != trying: // else connect has noted when the attempt began
		c.phase.Store(trying)
		c.begun = time.Now()
	}
}

// keepConnecting makes attempts until one succeeds or no call waits any more. The
// calls that wait for one attempt alone are told of its end before the next begins,
// even if there is no pause between the two.
func (c *Client) keepConnecting(pause time.Duration) {
	for again := true; again; pause, again = c.another() {
		if sleep(c.life, pause) != nil {
			return // closed for good
		}
		c.mu.Lock()
		c.enterLocked(0)
		c.mu.Unlock()
		var failed *Error
		if err := c.open(); err != nil {
			failed = dialError(c.addr, err)
		}
		c.attempted(failed)
		c.group.changed()
		if failed != nil && c.life.Err() == nil {
			c.options.report(failed)
		}
	}
}

// attempted notes how an attempt ended.
func (c *Client) attempted(failed *Error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if failed != nil { // else greeted has noted it, and the connection may have broken since
		c.lastErr.Store(failed)
		c.backOffLocked()
	}
	c.phase.Store(pausing)
	c.stopDial = nil
}

// another returns whether calls wait for another attempt, and after which pause it
// may begin.
func (c *Client) another() (pause time.Duration, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	again = c.conn.Load() == nil && !c.closed && c.group.callsWait()
	if !again {
		c.phase.Store(idle)
	}
	return c.pause(), again
}

// open makes one attempt to connect and returns when the hellos are exchanged.
func (c *Client) open() error {
	due := c.options.helloDue()
	conn, err := c.dial(due)
	if err != nil {
		return err
	}
	made := newClientConn(conn, c, due)
	made.start()
	<-made.ready // at the latest at the hello's deadline, or when Close is called
	made.mu.Lock()
	defer made.mu.Unlock()
	if !made.greeted {
		return c.maybeWantsTLS(made.unusable())
	}
	return nil
}

// maybeWantsTLS says why a server may have hung up on a client that speaks no TLS: TLS has
// no answer for such a client. A dialer's connection may have TLS of its own.
func (c *Client) maybeWantsTLS(err *Error) *Error {
	if c.options.tls != nil || c.options.dial != nil || !causes.Is(err, io.EOF) {
		return err
	}
	told := err.clone()
	told.Message += ": the server closed the connection without an answer, as one that wants TLS does"
	return told
}

// adopt makes sure that Close finds conn: either Close sees it among all, or adopt sees
// that the Client is closed, for both look under the lock.
func (c *Client) adopt(conn *clientConn) {
	c.mu.Lock()
	c.all = append(c.all, conn)
	closed := c.closed
	c.mu.Unlock()
	if closed {
		conn.fail(ErrClientClosed)
	}
}

// greeted makes conn, which has said hello, the connection for new calls.
func (c *Client) greeted(conn *clientConn) {
	c.mu.Lock()
	closed := c.closed
	if !closed {
		c.conn.Store(conn)
		c.lastErr.Store(nil)
		c.lost.Store(nil)
	}
	c.mu.Unlock()
	switch {
	case closed:
		conn.fail(ErrClientClosed)
	case conn.over.Load(): // it may have failed already
		c.dropped(conn)
	default:
		c.group.heardFrom(c)
		c.group.changed()
		if c.fixed != nil {
			c.served.Store(true)
			c.group.changed()
		}
	}
}

// dropped is called when no new call can be made on conn. A connection that breaks
// soon delays the next one as a failed attempt would: otherwise a server that breaks
// each one would be connected to in a tight loop.
func (c *Client) dropped(conn *clientConn) {
	well := conn.endsWell()
	c.mu.Lock()
	if c.conn.CompareAndSwap(conn, nil) { // else it never was in use, or another one is by now
		if why := conn.why.Load(); why != nil {
			c.lost.Store(unrun(lossOf(c.addr, why))) // for calls that wait: these have not run
		}
		if well {
			c.failures.Store(0)
			c.notUntil.Store(nil)
		} else {
			c.backOffLocked()
			if conn.in.reads.Load() == 0 { // as from a proxy that has lost its server
				c.lastErr.Store(dialError(c.addr, errBroke))
			}
		}
	}
	c.mu.Unlock()
	c.group.changed()
}

var errBroke = errors.New("the connection broke right after its hello")

// gone is called when conn has ended.
func (c *Client) gone(conn *clientConn) {
	c.mu.Lock()
	if i := slices.Index(c.all, conn); i >= 0 {
		c.all = slices.Delete(c.all, i, i+1)
	}
	c.mu.Unlock()
}

// drain ends the client once the calls in flight are answered.
func (c *Client) drain() {
	for _, conn := range c.end() {
		conn.drain()
	}
}

// end lets the client make no more connections, and returns those that there are.
func (c *Client) end() []*clientConn {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.stop()
	if c.stopDial != nil {
		c.stopDial()
	}
	return slices.Clone(c.all)
}

// hasEnded reports whether a client that was drained has no connection left.
func (c *Client) hasEnded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.all) == 0
}

// hope returns what a call that waits can expect of c. An attempt to connect lasts
// until the calls that wait for it have had their turn.
func (c *Client) hope() hope {
	phase, failed := c.phase.Load(), c.failure()
	switch {
	case phase == trying, c.fixed != nil && failed == nil && !c.served.Load():
		return hopeConnecting
	case c.conn.Load() != nil:
		return hopeFull
	case failed == nil && phase == idle: // an attempt will be made, or a hello is awaited
		return hopeConnecting
	case failed != nil && (c.fixed != nil || failed.refuses()):
		return hopeNone
	}
	return hopeLater
}

// mayConnectSoon reports whether c may be connected soon: an attempt is under way, or
// the next call begins one, and the ones before did not fail, nor the calls that
// waited for it.
func (c *Client) mayConnectSoon() bool {
	phase, most := c.phase.Load(), int32(c.options.ejectAfter)
	if c.lastErr.Load() != nil || most > 0 && c.server.failures.Load() >= most {
		return false
	}
	return phase == trying || phase == idle && c.fixed == nil && c.failures.Load() == 0
}

// tryingSince reports whether an attempt to connect is under way since before t.
func (c *Client) tryingSince(t time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase.Load() == trying && !c.begun.After(t)
}

// failure returns why there is no connection, as far as that is known.
func (c *Client) failure() *Error {
	if c.fixed == nil {
		return c.lastErr.Load()
	}
	c.fixed.mu.Lock()
	defer c.fixed.mu.Unlock()
	if c.fixed.usableLocked() == nil {
		return nil
	}
	return c.fixed.unusable()
}

// refuses reports whether the next attempt to connect will not fare better than
// the one that failed with e: the server does not want this client, or one of
// them does not trust the other's certificate.
func (e *Error) refuses() bool {
	switch e.Code {
	case Unavailable:
		return isCertificate(e)
	case DeadlineExceeded, Canceled:
		return false
	}
	return true
}

// isCertificate reports whether TLS has failed for good: this side has refused the
// server's certificate, or has been told by an alert what the server has refused.
func isCertificate(err error) bool {
	_, unverified := causes.Find[*tls.CertificateVerificationError](err)
	_, invalid := causes.Find[x509.CertificateInvalidError](err)
	_, authority := causes.Find[x509.UnknownAuthorityError](err)
	_, host := causes.Find[x509.HostnameError](err)
	_, notTLS := causes.Find[tls.RecordHeaderError](err)
	alert, told := causes.Find[*net.OpError](err)
	return unverified || invalid || authority || host || notTLS || told && alert.Op == "remote error"
}

func dialError(addr string, err error) *Error {
	if coded, ok := causes.Find[*Error](err); ok {
		return unrun(&Error{Code: coded.Code, Message: "dial " + addr + ": " + coded.Message, remote: coded.remote, cause: err})
	}
	code := Unavailable
	if isBadAddr(err) {
		code = InvalidArgument
	}
	if op, ok := causes.Find[*net.OpError](err); ok && op.Op == "dial" {
		return unrun(Errorf(code, "dial %s: %w", addr, op.Err))
	}
	return unrun(Errorf(code, "dial %s: %w", addr, err))
}

// backOffLocked sets when the next attempt may begin, after one that failed.
func (c *Client) backOffLocked() {
	next := time.Now().Add(c.options.chance.backoff(c.options.backoffMin, c.options.backoffMax, int(c.failures.Load())))
	c.notUntil.Store(&next)
	c.failures.Add(1)
}

// pause returns how long the next attempt has to wait, if above 0.
func (c *Client) pause() time.Duration {
	next := c.notUntil.Load()
	if next == nil {
		return 0
	}
	return time.Until(*next)
}

// backingOff reports whether the last attempt failed and the next is not due.
func (c *Client) backingOff() bool {
	return c.failures.Load() > 0 && c.pause() > 0
}

// dial connects and, with TLS, shakes hands, until it is due, if it is at all.
func (c *Client) dial(due time.Time) (net.Conn, error) {
	ctx, cancel := c.untilDue(due)
	defer cancel()
	cfg, err := c.tlsConfig()
	if err != nil {
		return nil, err
	}
	conn, err := c.dialPlain(ctx)
	if err != nil || cfg == nil {
		return conn, err
	}
	secure, err := c.shakeHands(ctx, conn, cfg)
	if !isNoProtocol(err) {
		return secure, err
	}
	// What terminates TLS for the server may know HTTP's names alone.
	if conn, err = c.dialPlain(ctx); err != nil {
		return nil, err
	}
	cfg = cfg.Clone()
	cfg.NextProtos = nil
	return c.shakeHands(ctx, conn, cfg)
}

// untilDue returns the context of an attempt, which end ends, too. It does not derive from
// life, which would keep the memory for that as long as the Client.
func (c *Client) untilDue(due time.Time) (ctx context.Context, cancel context.CancelFunc) {
	if due.IsZero() {
		ctx, cancel = context.WithCancel(context.Background())
	} else {
		ctx, cancel = context.WithDeadline(context.Background(), due)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopDial = cancel
	if c.closed {
		cancel()
	}
	return ctx, cancel
}

// dialPlain connects, without TLS.
func (c *Client) dialPlain(ctx context.Context) (conn net.Conn, err error) {
	dial := c.options.dial
	if dial == nil {
		dial = dialNet
	}
	err = runApart("the dialer", func() (err error) {
		if conn, err = dial(ctx, c.addr); err == nil && isNil(conn) {
			err = errors.New("the dialer returned no connection")
		}
		return err
	})
	return conn, err
}

// shakeHands speaks TLS over conn, and closes it if that fails.
func (c *Client) shakeHands(ctx context.Context, conn net.Conn, cfg *tls.Config) (net.Conn, error) {
	secure := tls.Client(belowtls.New(guardConn(conn), c.options.writeTimeout), cfg) // which closes it in a goroutine of its own
	err := runApart("a callback of TLS", func() (err error) {
		shaken := false
		defer func() {
			if !shaken {
				conn.Close()
			}
		}()
		err = secure.HandshakeContext(ctx)
		shaken = err == nil
		return err
	})
	return secure, err
}

// tlsConfig is the options', with the name that the server has to prove; nil without TLS.
func (c *Client) tlsConfig() (*tls.Config, error) {
	cfg := c.options.tls
	if cfg == nil || cfg.ServerName != "" || cfg.InsecureSkipVerify {
		return cfg, nil
	}
	if network, _ := splitAddr(c.addr); network == "unix" {
		return nil, Errorf(InvalidArgument, "WithTLS: a Unix socket has no host that a certificate could name: set ServerName")
	}
	cfg = cfg.Clone()
	cfg.ServerName = hostOf(c.addr)
	return cfg, nil
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
