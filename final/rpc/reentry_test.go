package rpc

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// curious is an observer and a resolver that call whatever there is.
type curious struct{ look func() }

func (c *curious) ConnOpened()      { c.look() }
func (c *curious) ConnClosed()      { c.look() }
func (c *curious) BytesRead(int)    { c.look() }
func (c *curious) BytesWritten(int) { c.look() }

func (c *curious) Resolve(ctx context.Context, update func([]string)) error {
	c.look()
	update([]string{"a"})
	c.look()
	<-ctx.Done()
	c.look()
	return ctx.Err()
}

// All hooks of one run call back, also while the pool, the client and the server end.
func TestHooks_MayCallBackEachTime(t *testing.T) {
	for name, end := range map[string]func(p *Pool, c *Client, s *Server){
		"look":  func(*Pool, *Client, *Server) {},
		"close": func(p *Pool, c *Client, s *Server) { p.Close(); c.Close(); go s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var pool *Pool
				var client *Client
				var srv *Server
				ready := make(chan struct{})
				hook := &curious{}
				var inside atomic.Bool
				hook.look = func() {
					select {
					case <-ready:
					default:
						return // it is being made
					}
					if inside.Swap(true) {
						return
					}
					defer inside.Store(false)
					pool.Members()
					srv.Methods()
					srv.State()
					srv.RegisterFunc("No.Name here", func(int) error { return nil })
					end(pool, client, srv)
				}
				n := newNetwork()
				srv = newInventory().server(t, WithObserver(observe(hook)),
					WithAuthorize(func(context.Context, string) (Identity, error) { hook.look(); return Identity{}, nil }),
					WithErrorHandler(func(error) { hook.look() }),
					WithCallErrorHandler(func(context.Context, error) { hook.look() }),
					WithPanicHandler(func(context.Context, any, []byte) { hook.look() }))
				n.set("a", srv)
				pool = NewPool(hook, WithObserver(observe(hook)), WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
					hook.look()
					return n.dial(ctx, addr)
				}))
				client = pipe(t, srv, WithObserver(observe(hook)))
				close(ready)
				ctx := timeout(t, time.Minute)
				for _, item := range []string{"item1", "panic", "goexit", "none"} {
					checkStock.Call(ctx, pool, &stockRequest{Item: item})
					checkStock.Call(ctx, client, &stockRequest{Item: item})
				}
				pool.Call(ctx, "No.Such", nil, nil)
				assert.NoError(t, ctx.Err(), "a call hangs")
				require.NoError(t, pool.Close())
				require.NoError(t, client.Close())
				require.NoError(t, srv.Close())
			})
		})
	}
}

// A nosyListener asks its server how it is while it is closed.
type nosyListener struct {
	net.Listener
	srv *Server
}

func (l nosyListener) Close() error {
	l.srv.State()
	l.srv.Methods()
	return l.Listener.Close()
}

func TestServer_AListenersCloseMayCallTheServer(t *testing.T) {
	for name, stop := range map[string]func(*Server) error{
		"close":    (*Server).Close,
		"shutdown": func(s *Server) error { return s.Shutdown(t.Context()) },
	} {
		t.Run(name, func(t *testing.T) {
			srv := NewServer()
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() { served <- srv.Serve(nosyListener{ln, srv}) }()
			client, err := Dial(t.Context(), ln.Addr().String())
			require.NoError(t, err)
			require.NoError(t, client.Close())
			require.NoError(t, stop(srv))
			assert.ErrorIs(t, <-served, ErrServerClosed)
		})
	}
}
