package http2

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// conn is one side of a stream, on the server and on the client alike: a pipe
// for the bytes that come and one for those that go. net/http stands at their
// other ends. So a deadline, or Close, never waits for the network.
type conn struct {
	in, out       *pipe
	local, remote net.Addr
	closing       sync.Once

	mu    sync.Mutex
	abort func() // resets the stream; nil once it has ended
}

func newConn() *conn { return &conn{in: newPipe(), out: newPipe()} }

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	return n, c.wrap("read", err)
}

// Write implements net.Conn. It returns once b is on its way to net/http, as
// TCP's does once b is on its way to the kernel.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.out.Write(b)
	return n, c.wrap("write", err)
}

// CloseWrite ends this side's sending: the other side reads what was written,
// and then io.EOF. On the server the stream ends with it, since net/http cannot
// end a response and read on: Read returns what has come, and then io.EOF.
func (c *conn) CloseWrite() error {
	c.out.closeWrite(io.EOF)
	return nil
}

// Close implements net.Conn. What was written still goes out, in the background
// and for at most a second.
func (c *conn) Close() error {
	c.closing.Do(func() {
		c.out.closeWrite(io.EOF)
		c.in.closeRead(net.ErrClosed)
		time.AfterFunc(lingerTime, c.reset)
	})
	return nil
}

// reset ends the stream at once, if it has not ended.
func (c *conn) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.abort != nil {
		c.abort()
		c.abort = nil
	}
}

// ended says that the stream has ended: abort must not be called any more.
func (c *conn) ended() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.abort = nil
}

// LocalAddr returns the address of the TCP connection's end on this side.
func (c *conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the TCP connection's other end.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline implements net.Conn.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *conn) SetReadDeadline(t time.Time) error { return c.wrap("set", c.in.setReadDeadline(t)) }

// SetWriteDeadline implements net.Conn.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.wrap("set", c.out.setWriteDeadline(t)) }

// wrap makes err what TCP would have returned: io.EOF, or a *net.OpError.
func (c *conn) wrap(op string, err error) error {
	if err == nil || causes.Is(err, io.EOF) {
		return err
	}
	return &net.OpError{Op: op, Net: "http2", Source: c.local, Addr: c.remote, Err: err}
}

// requestBody is a client's out as net/http reads it, which closes it when the
// stream ends.
type requestBody struct{ out *pipe }

func (b requestBody) Read(p []byte) (int, error) { return b.out.Read(p) }

func (b requestBody) Close() error {
	b.out.closeRead(net.ErrClosed)
	return nil
}

// secured is a connection over TLS. Its methods are those of a tls.Conn by which
// rpc.Server finds out who the peer is.
type secured struct {
	*conn
	state *tls.ConnectionState
}

// HandshakeContext does nothing: the handshake is net/http's, and over.
func (secured) HandshakeContext(context.Context) error { return nil }

// ConnectionState returns what the handshake has found out.
func (c secured) ConnectionState() tls.ConnectionState { return *c.state }

// withTLS adds the state, if there is one, to a connection.
func withTLS(c *conn, state *tls.ConnectionState) net.Conn {
	if state == nil {
		return c
	}
	return secured{conn: c, state: state}
}
