package rpc

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// journal notes who was called, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) note(line string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, line)
}

// take returns what was noted since it was called last.
func (j *journal) take() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	lines := j.lines
	j.lines = nil
	return lines
}

// hook is an AuthorizeFunc that notes that it was asked, and as whom it saw the caller.
func (j *journal) hook(name, identity string, err error) AuthorizeFunc {
	return func(ctx context.Context, method string) (Identity, error) {
		j.note(name + " sees " + IdentityFrom(ctx).Name)
		return Identity{Name: identity}, err
	}
}

func TestAuthorize_AllHooksMustAllow(t *testing.T) {
	denied := Errorf(PermissionDenied, "not you")
	crowded := Errorf(ResourceExhausted, "not now")
	for name, c := range map[string]struct {
		hooks    func(j *journal) []ServerOption
		asked    []string
		err      Code
		identity string
	}{
		"guard, then limits": {
			func(j *journal) []ServerOption {
				return []ServerOption{WithAuthorize(j.hook("guard", "ann", nil)), WithAuthorize(j.hook("limits", "", nil))}
			},
			[]string{"guard sees ", "limits sees ann"}, OK, "ann",
		},
		"the guard refuses": {
			func(j *journal) []ServerOption {
				return []ServerOption{WithAuthorize(j.hook("guard", "", denied)), WithAuthorize(j.hook("limits", "", crowded))}
			},
			[]string{"guard sees "}, PermissionDenied, "",
		},
		"the last one refuses": {
			func(j *journal) []ServerOption {
				return []ServerOption{WithAuthorize(j.hook("guard", "ann", nil)), WithAuthorize(j.hook("limits", "", crowded))}
			},
			[]string{"guard sees ", "limits sees ann"}, ResourceExhausted, "",
		},
		"in a bundle": {
			func(j *journal) []ServerOption {
				return []ServerOption{
					WithServerOptions(WithAuthorize(j.hook("guard", "ann", nil)), WithAuthorize(j.hook("second", "deputy", nil))),
					WithAuthorize(j.hook("third", "", nil)),
				}
			},
			[]string{"guard sees ", "second sees ann", "third sees deputy"}, OK, "deputy",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var j journal
				inv := newInventory()
				identity := ""
				inv.saw = func(ctx context.Context) { identity = IdentityFrom(ctx).Name }
				srv := inv.server(t, c.hooks(&j)...)
				_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "item1"})
				assert.Equal(t, c.err, CodeOf(err))
				assert.Equal(t, c.asked, j.take())
				assert.Equal(t, c.identity, identity)

				_, err = srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{}`), Peer: &Peer{}})
				assert.Equal(t, c.err, CodeOf(err), "without a connection")
				assert.Equal(t, c.asked, j.take())
			})
		})
	}
}

// A limit after a guard counts the methods that do not exist: the guard's refusal
// of such a method is not what the caller gets.
func TestAuthorize_EveryHookIsAskedAboutUnknownMethods(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		srv := newInventory().server(t,
			WithAuthorize(j.hook("guard", "", Errorf(PermissionDenied, "no rule"))),
			WithAuthorize(j.hook("limits", "", Errorf(ResourceExhausted, "not now"))))
		defer srv.Close()
		err := pipe(t, srv).Call(t.Context(), "No.Such", nil, nil)
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.Equal(t, []string{"guard sees ", "limits sees "}, j.take())
	})
}

// noting is an observer that notes what it hears, sizes apart.
type noting struct {
	*journal
	name string
}

func (n noting) ConnOpened()      { n.note(n.name + " opened") }
func (n noting) ConnClosed()      { n.note(n.name + " closed") }
func (n noting) BytesRead(int)    { n.note(n.name + " read") }
func (n noting) BytesWritten(int) { n.note(n.name + " written") }

func TestObservers_AllHear(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var there, here journal
		srv := newInventory().server(t,
			WithObserver(observe(noting{&there, "a"})), WithObserver(observe(noting{&there, "b"})), WithObserver(observe(noting{&there, "c"})))
		near, far := net.Pipe()
		go srv.ServeConn(far)
		client := NewClient(near, WithObserver(observe(noting{&here, "a"})), WithObserver(observe(noting{&here, "b"})), WithObserver(observe(noting{&here, "c"})))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		client.Close()
		srv.Close()
		synctest.Wait()
		for side, j := range map[string]*journal{"server": &there, "client": &here} {
			lines := j.take()
			assert.Equal(t, []string{"a opened", "b opened", "c opened"}, lines[:3], side)
			for _, event := range []string{"opened", "closed", "read", "written"} {
				for _, name := range []string{"a", "b", "c"} {
					assert.Contains(t, lines, name+" "+event, side)
				}
			}
		}
	})
}

func TestCallbacks_AllAreCalled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		two := func(with func(name string) ServerOption) ServerOption {
			return WithServerOptions(with("a"), with("b"))
		}
		srv := newInventory().server(t,
			two(func(name string) ServerOption {
				return WithErrorHandler(func(error) { j.note(name + " error") })
			}),
			two(func(name string) ServerOption {
				return WithPanicHandler(func(context.Context, any, []byte) { j.note(name + " panic") })
			}),
			two(func(name string) ServerOption {
				return WithCallErrorHandler(func(context.Context, error) { j.note(name + " call") })
			}))
		defer srv.Close()
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "panic"})
		assert.ErrorIs(t, err, Internal)
		assert.Equal(t, []string{"a panic", "b panic"}, j.take())

		assert.ErrorIs(t, client.Call(t.Context(), "No.Such", nil, nil), Unimplemented)
		assert.Equal(t, []string{"a call", "b call"}, j.take())

		raw := rawClient(t, srv, "json")
		raw.write(make([]byte, wire.HeaderSize))
		raw.readGoAway()
		assert.Equal(t, []string{"a error", "b error"}, j.take())
	})
}

func TestInterceptors_AddUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		near := func(name string) ClientInterceptor {
			return func(next Caller) Caller {
				return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
					j.note("client " + name)
					return next.Call(ctx, method, params, reply)
				})
			}
		}
		far := func(name string) ServerInterceptor {
			return func(_ MethodInfo, next Handler) Handler {
				return func(ctx context.Context, params any) (any, error) {
					j.note("server " + name)
					return next(ctx, params)
				}
			}
		}
		srv := newInventory().server(t, WithServerInterceptors(far("1")), WithServerInterceptors(far("2"), far("3")))
		client := pipe(t, srv, WithClientInterceptors(near("1")), WithClientOptions(WithClientInterceptors(near("2")), WithClientInterceptors(near("3"))))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, []string{"client 1", "client 2", "client 3", "server 1", "server 2", "server 3"}, j.take())
	})
}

// A bundle that is applied to two servers leaves each of them its own hooks.
func TestObservers_ABundleServesManyServers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var j journal
		bundle := WithServerOptions(WithObserver(observe(noting{&j, "a"})), WithObserver(observe(noting{&j, "b"})))
		servers := []*Server{
			newInventory().server(t, bundle, WithObserver(observe(noting{&j, "first"}))),
			newInventory().server(t, bundle, WithObserver(observe(noting{&j, "second"}))),
		}
		for i, name := range []string{"first", "second"} {
			client := pipe(t, servers[i])
			require.NoError(t, client.Ping(t.Context()))
			assert.Contains(t, j.take(), name+" opened")
			client.Close()
			servers[i].Close()
			assert.NotContains(t, j.take(), []string{"second", "first"}[i]+" closed")
		}
	})
}

// Who was refused is known as far as the hooks have found out.
func TestCallErrorHandler_KnowsWhoWasRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got Identity
		srv := newInventory().server(t,
			WithAuthorize(func(context.Context, string) (Identity, error) { return Identity{Name: "ann"}, nil }),
			WithAuthorize(func(context.Context, string) (Identity, error) { return Identity{Claims: 7}, PermissionDenied }),
			WithCallErrorHandler(func(ctx context.Context, _ error) { got = IdentityFrom(ctx) }))
		defer srv.Close()
		_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, PermissionDenied)
		assert.Equal(t, Identity{Name: "ann", Claims: 7}, got)
	})
}

// Close of a client waits for no callback, and that of a server for ConnClosed.
func TestClose_SaysForWhatItWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow := func(ended *atomic.Bool) Option {
			return WithObserver(Observer{ConnClosed: func() {
				<-time.After(time.Minute)
				ended.Store(true)
			}})
		}
		var server, client atomic.Bool
		srv := newInventory().server(t, slow(&server))
		c := pipe(t, srv, slow(&client))
		require.NoError(t, c.Ping(t.Context()))
		c.Close()
		assert.False(t, client.Load())
		srv.Close()
		assert.True(t, server.Load())
		<-time.After(time.Minute)
	})
}

func TestServe_MayRunTwiceOnOneListener(t *testing.T) {
	srv := newInventory().server(t)
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 2)
	for range 2 {
		go func() { ended <- srv.Serve(ln) }()
	}
	for range 4 {
		_, err := checkStock.Call(t.Context(), dial(t, ln.Addr().String()), &stockRequest{Item: "item1"})
		require.NoError(t, err)
	}
	srv.Close()
	for range 2 {
		assert.ErrorIs(t, <-ended, ErrServerClosed)
	}
}
