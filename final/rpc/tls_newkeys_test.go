package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/belowtls"
	"example.com/rpc-from-scratch/final/internal/rawtls"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// renewing is a client over TLS that asks the server for new keys.
type renewing struct {
	t    *testing.T
	conn net.Conn
	keys *rawtls.Sealer
	cut  <-chan struct{} // closed when the server's first write has failed; of a tls.Conn alone
}

// cutTold is a connection that tells of its first write that has failed.
type cutTold struct {
	net.Conn
	once sync.Once
	cut  chan struct{}
}

func (c *cutTold) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		c.once.Do(func() { close(c.cut) })
	}
	return n, err
}

// renew connects to a server with opts, and reads its hello. With own, the server's
// connection is a tls.Conn that its user has made.
func renew(t *testing.T, own bool, opts ...ServerOption) (*renewing, *Server) {
	t.Helper()
	ca := newAuthority(t) // of the bubble's time
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}, SessionTicketsDisabled: true}
	if !own {
		opts = append(opts, WithTLS(cfg))
	}
	srv := NewServer(opts...)
	near, far := net.Pipe()
	t.Cleanup(func() { near.Close() })
	told := &cutTold{Conn: far, cut: make(chan struct{})}
	if own {
		go srv.ServeConn(tls.Server(told, cfg))
	} else {
		go srv.Serve(&oneConn{conn: far, closed: make(chan struct{})})
	}
	keys, err := rawtls.Client(near, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"})
	require.NoError(t, err)
	c := &renewing{t: t, conn: near, keys: keys, cut: told.cut}
	c.write(keys.Data(nil, (&wire.ClientHello{Codec: "json", MaxMessage: 4 << 20}).Append(nil)))
	head := make([]byte, 5) // of the record with the server's hello
	_, err = io.ReadFull(near, head)
	require.NoError(t, err)
	_, err = io.CopyN(io.Discard, near, int64(binary.BigEndian.Uint16(head[3:])))
	require.NoError(t, err)
	return c, srv
}

func (c *renewing) write(b []byte) {
	_, err := c.conn.Write(b)
	require.NoError(c.t, err)
}

// update asks for new keys.
func (c *renewing) update() {
	b, err := c.keys.KeyUpdate(nil)
	require.NoError(c.t, err)
	c.write(b)
}

// over returns a channel that is closed when the server has closed the connection.
func (c *renewing) over() <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		io.Copy(io.Discard, c.conn)
	}()
	return over
}

// oneConn is a listener from which one connection comes.
type oneConn struct {
	conn   net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return noAddr{} }

// A client may ask for new keys at any time: whether it gets them does not depend on when
// the server has last written something.
func TestTLS_NewKeysAfterAPause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, srv := renew(t, false, WithWriteTimeout(10*time.Second))
		defer srv.Close()
		over := c.over()
		for range 3 {
			<-time.After(time.Minute)
			c.update()
			c.write(c.keys.Data(nil, wire.AppendHeader(nil, wire.KindPing, 0, 7, 0))) // the pong needs the new keys
			synctest.Wait()
			select {
			case <-over:
				require.Fail(t, "the connection has ended")
			default:
			}
		}
	})
}

// Such an answer is written while the server reads. It is bounded in time, as others are, and
// then the connection is of no use.
func TestTLS_NewKeysUnread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, srv := renew(t, false, WithWriteTimeout(10*time.Second), WithIdleTimeout(time.Minute))
		defer srv.Close()
		begun := time.Now()
		c.update()
		c.write(c.keys.Data(nil, wire.AppendHeader(nil, wire.KindPing, 0, 7, 0))) // is read after that
		assert.Equal(t, 10*time.Second, time.Since(begun))
		<-c.over()
		assert.Equal(t, 10*time.Second, time.Since(begun))
	})
}

// Close ends though crypto/tls is writing an answer that nobody reads.
func TestTLS_CloseWhileNewKeysAreUnread(t *testing.T) {
	for name, own := range map[string]bool{"WithTLS": false, "a tls.Conn": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				c, srv := renew(t, own, WithWriteTimeout(0), WithIdleTimeout(0))
				c.update()
				synctest.Wait() // until the answer is being written: it holds a lock of crypto/tls
				begun := time.Now()
				assert.NoError(t, srv.Close())
				if !own { // crypto/tls gives itself five seconds
					assert.LessOrEqual(t, time.Since(begun), belowtls.ClosingTime)
				}
			})
		})
	}
}

// The same holds for a client and its server.
func TestTLS_ClientClosesWhileNewKeysAreUnread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ca := newAuthority(t)
		near, far := net.Pipe()
		defer far.Close()
		shaken := make(chan *rawtls.Sealer)
		go func() {
			keys, err := rawtls.Server(far, &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}})
			assert.NoError(t, err)
			if _, err := far.Read(make([]byte, 16<<10)); err == nil { // the client's hello
				far.Write(keys.Data(nil, (&wire.ServerHello{InFlight: 1, MaxMessage: 1 << 20}).Append(nil)))
			}
			shaken <- keys
		}()
		client, err := Dial(t.Context(), "a", WithTLS(&tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}), WithWriteTimeout(0),
			WithDialer(func(context.Context, string) (net.Conn, error) { return near, nil }))
		require.NoError(t, err)
		update, err := (<-shaken).KeyUpdate(nil)
		require.NoError(t, err)
		_, err = far.Write(update)
		require.NoError(t, err)
		synctest.Wait()
		begun := time.Now()
		assert.NoError(t, client.Close())
		assert.LessOrEqual(t, time.Since(begun), belowtls.ClosingTime)
	})
}

// A handshake has one time for all, also for what TLS writes when it has failed.
func TestTLS_HandshakeUnreadEndsInItsTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ca := newAuthority(t)
		ended := make(chan error, 1)
		srv := NewServer(WithTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}),
			WithHandshakeTimeout(5*time.Second), WithErrorHandler(func(err error) { ended <- err }))
		defer srv.Close()
		near, far := net.Pipe()
		go srv.Serve(&oneConn{conn: far, closed: make(chan struct{})})
		begun := time.Now()
		gone := make(chan struct{})
		defer close(gone)
		go tls.Client(deaf{near, gone}, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}).Handshake()
		<-ended
		assert.LessOrEqual(t, time.Since(begun), 5*time.Second+belowtls.ClosingTime)
	})
}

// deaf is a connection that reads nothing.
type deaf struct {
	net.Conn
	gone chan struct{}
}

func (d deaf) Read([]byte) (int, error) {
	<-d.gone
	return 0, io.EOF
}

// Nothing below a connection whose TLS is its user's bounds that write. It is ended some time
// after the connection was silent for too long.
func TestTLS_NewKeysUnreadOnATLSConn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, srv := renew(t, true, WithWriteTimeout(10*time.Second), WithIdleTimeout(time.Minute))
		defer srv.Close()
		begun := time.Now()
		c.update()
		<-c.cut
		<-c.over() // TLS says goodbye
		assert.Equal(t, time.Minute+10*time.Second, time.Since(begun))
	})
}

// A client that sends nothing, and answers as it has to, loses nothing by that.
func TestTLS_ASilentTLSConnKeepsItsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, srv := renew(t, true, WithWriteTimeout(10*time.Second), WithIdleTimeout(time.Minute))
		defer srv.Close()
		over := c.over()
		for range 5 {
			<-time.After(50 * time.Second)
			c.write(c.keys.Data(nil, wire.AppendHeader(nil, wire.KindPing, 0, 7, 0)))
			synctest.Wait()
			select {
			case <-over:
				require.Fail(t, "the connection has ended")
			case <-c.cut:
				require.Fail(t, "a write has failed")
			default:
			}
		}
	})
}
