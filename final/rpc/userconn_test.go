package rpc

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A net.Conn may be a user's. These tests are about those that break its contract.

// oddConn passes on all that is written, and says something else. The second write
// waits for the gate, and the last one fails.
type oddConn struct {
	net.Conn
	network string
	says    func(n int) int
	gate    chan struct{}
	last    int32
	writes  atomic.Int32
}

func (c *oddConn) LocalAddr() net.Addr { return &net.UnixAddr{Net: c.network} }

func (c *oddConn) Write(p []byte) (int, error) {
	n := c.writes.Add(1)
	if n == 2 {
		<-c.gate
	}
	if n == c.last {
		return c.says(0), errCable
	}
	_, err := c.Conn.Write(p)
	return c.says(len(p)), err
}

// Of a small request that was written in one batch with a large one, whose body was
// not, it is known that it may have run, whatever number Write has returned.
func TestNeverRan_IsFalseOfAPartThatWriteHasTaken(t *testing.T) {
	for _, c := range []struct {
		name  string
		says  func(n int) int
		known bool // that of the large one nothing was taken
	}{
		{"less", func(n int) int { return n / 2 }, true},
		{"nothing", func(int) int { return 0 }, true},
		{"less than 0", func(int) int { return -1 }, false},
		{"much less than 0", func(int) int { return -1 << 62 }, false},
		{"more", func(n int) int { return n + 1<<40 }, false},
		{"what it took", func(n int) int { return n }, true},
	} {
		for _, network := range []string{"pipe", "tls"} { // on a pipe a caller writes
			t.Run(c.name+" on "+network, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					inv := newInventory()
					srv := inv.server(t)
					near, far := net.Pipe()
					go srv.ServeConn(far)
					odd := &oddConn{Conn: near, network: network, says: c.says, gate: make(chan struct{}), last: 4}
					client := NewClient(odd)
					defer client.Close()
					first := startOne(t, client, "item1")
					small := startOne(t, client, "held")
					large := startOne(t, client, strings.Repeat("x", largeBody)) // one piece
					close(odd.gate)
					assert.ErrorIs(t, small.Wait(), errCable)
					assert.False(t, NeverRan(small.Wait()))
					assert.Equal(t, c.known, NeverRan(large.Wait()))
					first.Wait()
					synctest.Wait()
					assert.Equal(t, 1, inv.runs("held"))
				})
			})
		}
	}
}

// A needyError asks the client for something when it is compared or unwrapped.
type needyError struct {
	error
	ask func()
}

func (e needyError) Is(error) bool { e.ask(); return false }
func (e needyError) As(any) bool   { e.ask(); return false }
func (e needyError) Unwrap() error { e.ask(); return nil }

// No lock is held while the error of a connection is read.
func TestClient_ReadingAConnectionsErrorMayMakeACall(t *testing.T) {
	for _, of := range []string{"Read", "Write"} {
		t.Run(of, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var client *Client
				var inside atomic.Bool
				fails := &failingConn{fail: func(method string) error {
					if method != of {
						return nil
					}
					return needyError{errCable, func() {
						if !inside.Swap(true) {
							assert.Error(t, client.Call(timeout(t, time.Second), checkStock.Name(), &stockRequest{Item: "item1"}, nil))
							assert.Error(t, client.Ping(timeout(t, time.Second)))
							inside.Store(false)
						}
					}}
				}}
				srv := newInventory().server(t)
				client = fails.client(srv)
				defer client.Close()
				waits := startOne(t, client, "held")
				fails.now.Store(true)
				assert.Error(t, client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil))
				assert.Error(t, waits.Wait())
				assert.Error(t, client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil))
				assert.Error(t, client.Ping(timeout(t, time.Minute)))
			})
		})
	}
}

// failingConn calls fail in each of its methods, once it is told to.
type failingConn struct {
	net.Conn
	now  atomic.Bool
	fail func(method string) error
}

func (c *failingConn) client(srv *Server, opts ...ClientOption) *Client {
	near, far := net.Pipe()
	c.Conn = near
	go srv.ServeConn(far)
	client := NewClient(c, opts...)
	synctest.Wait()
	return client
}

func (c *failingConn) at(method string) error {
	if c.now.Load() {
		return c.fail(method)
	}
	return nil
}

func (c *failingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if failed := c.at("Read"); failed != nil {
		return 0, failed
	}
	return n, err
}

func (c *failingConn) Write(p []byte) (int, error) {
	if err := c.at("Write"); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *failingConn) Close() error {
	c.Conn.Close()
	return c.at("Close")
}

func (c *failingConn) SetReadDeadline(when time.Time) error {
	if err := c.at("SetReadDeadline"); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(when)
}

func (c *failingConn) SetWriteDeadline(when time.Time) error {
	if err := c.at("SetWriteDeadline"); err != nil {
		return err
	}
	return c.Conn.SetWriteDeadline(when)
}

func (c *failingConn) SetDeadline(when time.Time) error {
	if err := c.at("SetDeadline"); err != nil {
		return err
	}
	return c.Conn.SetDeadline(when)
}

func (c *failingConn) LocalAddr() net.Addr {
	c.at("LocalAddr")
	return c.Conn.LocalAddr()
}

func (c *failingConn) RemoteAddr() net.Addr {
	c.at("RemoteAddr")
	return c.Conn.RemoteAddr()
}

// A panic, or the end of the goroutine, in a connection ends that connection, on
// either side, and neither the process nor a call's waiting.
func TestConn_PanicsAndGoexitEndNoMoreThanTheConnection(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	for how, f := range map[string]func(){"panic": func() { panic("secret") }, "goexit": runtime.Goexit} {
		for _, in := range []string{"Read", "Write", "Close", "SetReadDeadline", "SetWriteDeadline"} {
			for _, side := range []string{"client", "server"} {
				t.Run(how+" in "+in+" of the "+side, func(t *testing.T) {
					bubble(t, func(t *testing.T) { callOverAConnThat(t, f, in, side) })
				})
			}
		}
	}
}

// callOverAConnThat makes calls over a connection that calls f in one of its methods.
// They end, and so do Close of client and server.
func callOverAConnThat(t *testing.T, f func(), in, side string) {
	var failed atomic.Bool
	conn := &failingConn{fail: func(method string) error {
		if method == in && !failed.Swap(true) {
			f()
		}
		return nil
	}}
	srv := newInventory().server(t)
	var client *Client
	if side == "client" {
		client = conn.client(srv)
	} else {
		near, far := net.Pipe()
		conn.Conn = far
		go srv.ServeConn(conn)
		client = NewClient(near)
	}
	held := startOne(t, client, "held")
	conn.now.Store(true)
	if in == "Close" {
		conn.Conn.Close()
	}
	apart(func() {
		client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
	})
	apart(func() { client.Close() })
	assert.Error(t, held.Wait())
	apart(func() { srv.Close() })
	srv.Close()
}

// An observer that makes a call when a connection has ended does not keep the calls
// of that connection waiting.
func TestClient_ItsCallsEndBeforeItsObserverReturns(t *testing.T) {
	for _, alone := range []bool{true, false} { // else the connection's own goroutine reads
		bubble(t, func(t *testing.T) {
			var client *Client
			a := &atHook{hook: "client ConnClosed", done: make(chan struct{})}
			a.f = func() {
				assert.Error(t, client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil))
			}
			n := newNetwork()
			inv := newInventory()
			srv := inv.server(t)
			n.set("a", srv)
			client, err := Dial(t.Context(), "a", WithDialer(n.dial), WithObserver(observe(hookObserver{a, "client"})))
			require.NoError(t, err)
			var held []*Pending
			for range 3 {
				held = append(held, startOne(t, client, "held"))
				if alone {
					break
				}
			}
			n.set("a", nil)
			begun := time.Now()
			go srv.Close()
			for _, call := range held {
				assert.ErrorIs(t, call.Wait(), Unavailable)
			}
			assert.Less(t, time.Since(begun), time.Second)
			client.Close()
			<-a.done
		})
	}
}

// TLS calls functions of a user's in its handshake. They may end the goroutine, or
// panic, and the client learns at once that there is no connection.
func TestServer_TLSCallbacksEndNoMoreThanTheConnection(t *testing.T) {
	for how, f := range map[string]func(){"panic": func() { panic("secret") }, "goexit": runtime.Goexit} {
		t.Run(how, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ca := newAuthority(t)
				cfg := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { f(); return nil, nil }}
				var told []any
				srv := newInventory().server(t, WithPanicHandler(func(_ context.Context, value any, _ []byte) { told = append(told, value) }))
				near, far := net.Pipe()
				go srv.ServeConn(tls.Server(far, cfg))
				client := NewClient(tls.Client(near, &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}))
				defer client.Close()
				begun := time.Now()
				_, err := checkStock.Call(timeout(t, time.Minute), client, &stockRequest{Item: "item1"})
				assert.ErrorIs(t, err, Unavailable)
				assert.Less(t, time.Since(begun), time.Second)
				require.NoError(t, srv.Close())
				if how == "panic" {
					assert.Equal(t, []any{"secret"}, told)
				}
			})
		})
	}
}

// endlessConn reads for ever, also when it is closed, and knows no deadlines.
type endlessConn struct {
	net.Conn
	read func(p []byte) int
}

func (c *endlessConn) Read(p []byte) (int, error)    { return c.read(p), nil }
func (*endlessConn) SetReadDeadline(time.Time) error { return nil }
func (*endlessConn) SetDeadline(time.Time) error     { return nil }

// A connection that reads nothing, or garbage, and does not end, does not keep a
// goroutine of the server's or the client's.
func TestConn_ThatReadsForEverEnds(t *testing.T) {
	for name, read := range map[string]func(p []byte) int{
		"nothing":           func([]byte) int { return 0 },
		"less than nothing": func([]byte) int { return -1 },
		"garbage": func(p []byte) int {
			<-time.After(time.Millisecond)
			return len(p)
		},
	} {
		for _, side := range []string{"client", "server"} {
			t.Run(name+" on the "+side, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					near, far := net.Pipe()
					ends := map[string]net.Conn{"client": near, "server": far}
					ends[side] = &endlessConn{ends[side], read}
					srv := newInventory().server(t)
					go srv.ServeConn(ends["server"])
					client := NewClient(ends["client"])
					err := client.Call(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
					assert.NotErrorIs(t, err, DeadlineExceeded)
					assert.True(t, NeverRan(err), "%v", err)
					assert.NoError(t, client.Close())
					assert.NoError(t, srv.Close())
				})
			})
		}
	}
}

// closePanics panics when it is closed.
type closePanics struct{ net.Conn }

func (c closePanics) Close() error {
	c.Conn.Close()
	panic("secret")
}

// crypto/tls closes a connection whose handshake takes too long, in a goroutine of its own.
func TestClient_APanicInCloseDuringTLSEndsNoMoreThanTheConnection(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		go io.Copy(io.Discard, far)
		_, err := Dial(t.Context(), "a:1", WithTLS(&tls.Config{ServerName: "a"}), WithHandshakeTimeout(time.Second),
			WithDialer(func(context.Context, string) (net.Conn, error) { return closePanics{near}, nil }))
		assert.ErrorIs(t, err, Unavailable)
	})
}
