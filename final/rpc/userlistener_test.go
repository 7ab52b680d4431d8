package rpc

import (
	"context"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A net.Listener may be a user's, and so may its connections. These tests are about
// what a panic, or the end of the goroutine, in one of their methods may not end.

// badEnds are ways in which a method does not return.
var badEnds = map[string]func(){"panic": func() { panic("secret") }, "goexit": runtime.Goexit}

// queueListener accepts the connections that it is given. It may hold a slice, so it
// is no key of a map.
type queueListener struct {
	conns   chan net.Conn
	onClose []func()
}

func newQueueListener(onClose ...func()) queueListener {
	return queueListener{make(chan net.Conn), onClose}
}

func (l queueListener) Accept() (net.Conn, error) {
	if conn, ok := <-l.conns; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (l queueListener) Addr() net.Addr { return nil }

func (l queueListener) Close() error {
	for _, f := range l.onClose {
		f()
	}
	return nil
}

// onlyOnce returns f for the first call, and nothing for the others.
func onlyOnce(f func()) func() {
	var called atomic.Bool
	return func() {
		if !called.Swap(true) {
			f()
		}
	}
}

func TestServe_AConnectionThatMisbehavesEndsAlone(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	ends := map[string]func(){"block": func() { <-time.After(time.Hour) }}
	for how, f := range badEnds {
		ends[how] = f
	}
	for how, f := range ends {
		for _, in := range []string{"RemoteAddr", "LocalAddr", "SetDeadline", "SetReadDeadline", "SetWriteDeadline", "Read", "Write", "Close"} {
			for _, full := range []bool{false, true} {
				if how == "block" && (full || in != "RemoteAddr" && in != "LocalAddr") {
					continue // the others have always had a goroutine of their own
				}
				bubble(t, func(t *testing.T) { serveAConnThat(t, how+" in "+in, f, in, full) })
			}
		}
	}
}

// serveAConnThat serves a connection that calls f in one of its methods, and then
// another one.
func serveAConnThat(t *testing.T, name string, f func(), in string, full bool) {
	var opts []ServerOption
	if full {
		opts = append(opts, WithMaxConns(1))
	}
	srv := newInventory().server(t, opts...)
	ln := newQueueListener()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	near, far := net.Pipe()
	ln.conns <- far
	first := NewClient(near)
	require.NoError(t, first.Ping(timeout(t, time.Minute)), name)
	near, far = net.Pipe()
	odd := &failingConn{Conn: far, fail: func(method string) error {
		if method == in {
			f()
		}
		return nil
	}}
	odd.now.Store(true)
	ln.conns <- odd
	bad := NewClient(near)
	go bad.Call(t.Context(), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
	synctest.Wait()
	first.Close()
	synctest.Wait()
	near, far = net.Pipe()
	select {
	case ln.conns <- far:
		client := NewClient(near)
		if !full || in != "Close" {
			assert.NoError(t, client.Ping(timeout(t, time.Minute)), "%s, full: %v", name, full)
		}
		client.Close()
	case <-time.After(time.Minute):
		assert.Fail(t, "Serve has ended", "%s, full: %v", name, full)
	}
	bad.Close()
	close(ln.conns)
	srv.Close()
	synctest.Wait()
	assert.Len(t, served, 1, "%s, full: %v", name, full)
}

// Whatever a listener's Close does, the server closes its other listeners and its
// connections, and waits for its handlers.
func TestServer_CloseIsNotEndedByAListener(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for how, f := range badEnds {
		for name, end := range map[string]func(*Server){
			"Close":    func(srv *Server) { srv.Close() },
			"Shutdown": func(srv *Server) { srv.Shutdown(context.Background()) },
		} {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				inv.ended = make(chan error, 1)
				srv := inv.server(t)
				var wg sync.WaitGroup
				var lns []queueListener
				for range 3 {
					var ln queueListener
					ln = newQueueListener(onlyOnce(func() { close(ln.conns); f() }))
					lns = append(lns, ln)
					wg.Go(func() { srv.Serve(ln) })
				}
				near, far := net.Pipe()
				lns[0].conns <- far
				client := NewClient(near)
				held := startOne(t, client, "held")
				if name == "Shutdown" {
					close(inv.hold)
				}
				returned := false
				apart(func() { end(srv); returned = true })
				assert.True(t, returned, "%s in %s", how, name)
				assert.Len(t, inv.ended, 1, "the handler has returned")
				held.Wait()
				client.Close()
				wg.Wait()
			})
		}
	}
}

// Whatever a connection's Close does, Close of a Client or a Pool closes the others.
func TestPool_CloseIsNotEndedByAConnection(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for how, f := range badEnds {
		for _, in := range []string{"Close", "observer"} {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				var closed atomic.Int32
				dial := func(context.Context, string) (net.Conn, error) {
					near, far := net.Pipe()
					go srv.ServeConn(far)
					conn := &failingConn{Conn: near, fail: func(method string) error {
						if method == "Close" {
							closed.Add(1)
							if in == "Close" {
								f()
							}
						}
						return nil
					}}
					conn.now.Store(true)
					return conn, nil
				}
				a := &atHook{hook: "client ConnClosed", f: func() {
					if in == "observer" {
						f()
					}
				}, done: make(chan struct{})}
				pool := NewPool(StaticResolver{"a", "b", "c"}, WithDialer(dial), WithObserver(observe(hookObserver{a, "client"})))
				for range 3 {
					go pool.Call(t.Context(), checkStock.Name(), &stockRequest{Item: "held"}, nil)
					synctest.Wait()
				}
				returned := false
				apart(func() { pool.Close(); returned = true })
				assert.True(t, returned, "%s in %s", how, in)
				assert.Equal(t, int32(3), closed.Load())
			})
		}
	}
}

// A dialer's connection that misbehaves when it is asked for its address is one that
// failed: the next attempt may succeed.
func TestClient_AConnectionThatMisbehavesIsReplaced(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for how, f := range badEnds {
		for _, in := range []string{"LocalAddr", "RemoteAddr", "SetDeadline", "SetReadDeadline", "SetWriteDeadline"} {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				fail := onlyOnce(f)
				dial := func(context.Context, string) (net.Conn, error) {
					near, far := net.Pipe()
					go srv.ServeConn(far)
					conn := &failingConn{Conn: near, fail: func(method string) error {
						if method == in {
							fail()
						}
						return nil
					}}
					conn.now.Store(true)
					return conn, nil
				}
				pool := newPool(t, StaticResolver{"a"}, WithDialer(dial))
				ctx := MarkIdempotent(timeout(t, time.Minute), checkStock.Name())
				apart(func() {
					assert.NoError(t, pool.Call(ctx, checkStock.Name(), &stockRequest{Item: "item1"}, nil), "%s in %s", how, in)
				})
			})
		}
	}
}

// A listener that cannot be closed keeps its own Serve, and not the server's Close.
func TestServer_CloseDoesNotWaitForAListenerThatCannotBeClosed(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for how, f := range badEnds {
		bubble(t, func(t *testing.T) {
			srv := newInventory().server(t)
			ln := newQueueListener(f)
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			synctest.Wait()
			returned := false
			apart(func() { srv.Close(); returned = true })
			assert.True(t, returned, how)
			close(ln.conns)
			assert.ErrorIs(t, <-served, ErrServerClosed)
		})
	}
}
