package ratelimit

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
)

var checkStock = rpc.Method[string, int]("Inventory.CheckStock")

// inventory returns a server under limits and the count of its handler's runs.
func inventory(t *testing.T, limits *Limiter, opts ...rpc.ServerOption) (*rpc.Server, *atomic.Int64) {
	t.Helper()
	srv := rpc.NewServer(append(opts, rpc.WithAuthorize(limits.Authorize))...)
	runs := new(atomic.Int64)
	require.NoError(t, checkStock.Handle(srv, func(context.Context, *string) (*int, error) {
		runs.Add(1)
		count := 100
		return &count, nil
	}))
	t.Cleanup(func() { srv.Close() })
	return srv, runs
}

// pipes connects to servers by name over pipes.
func pipes(servers map[string]*rpc.Server) rpc.ClientOption {
	return rpc.WithDialer(func(_ context.Context, addr string) (net.Conn, error) {
		near, far := net.Pipe()
		go servers[addr].ServeConn(far)
		return near, nil
	})
}

func ask(ctx context.Context, c rpc.Caller) error {
	item := "item1"
	_, err := checkStock.Call(ctx, c, &item)
	return err
}

func TestServer_RefusesBeforeTheHandlerAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
			srv, runs := inventory(t, newLimiter(t, Server(2, 1)), rpc.WithCodecs(rpc.Gob))
			client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(1), rpc.WithCodec(codec))
			require.NoError(t, err)
			defer client.Close()
			require.NoError(t, ask(t.Context(), client))
			for range 5 {
				err = ask(t.Context(), client)
				assert.EqualError(t, err, "resource_exhausted: over the limit of 2 calls a second for the server")
				assert.True(t, rpc.NeverRan(err))
				pause, ok := rpc.RetryAfter(err)
				assert.True(t, ok)
				assert.Equal(t, 500*time.Millisecond, pause)
			}
			<-time.After(500 * time.Millisecond)
			assert.NoError(t, ask(t.Context(), client), "%s goes on, on the same connection", codec.Name())
			assert.Equal(t, int64(2), runs.Load())
		}
	})
}

func TestClient_WaitsItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Server(1, 1))
		srv, runs := inventory(t, limits)
		client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}))
		require.NoError(t, err)
		defer client.Close()
		begun := time.Now()
		for range 4 {
			require.NoError(t, ask(t.Context(), client))
		}
		assert.GreaterOrEqual(t, time.Since(begun), 3*time.Second)
		assert.LessOrEqual(t, time.Since(begun), 3750*time.Millisecond)
		assert.Equal(t, int64(4), runs.Load())
		assert.Equal(t, Stats{Allowed: 4, Refused: 3}, limits.Stats())
	})
}

func TestPool_TriesTheOtherServerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := inventory(t, newLimiter(t, Server(1, 1)))
		b, _ := inventory(t, newLimiter(t, Server(1, 1)))
		pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, pipes(map[string]*rpc.Server{"a": a, "b": b}))
		defer pool.Close()
		begun := time.Now()
		require.NoError(t, ask(t.Context(), pool))
		require.NoError(t, ask(t.Context(), pool))
		assert.Zero(t, time.Since(begun))
		require.NoError(t, ask(t.Context(), pool))
		assert.GreaterOrEqual(t, time.Since(begun), time.Second)
		assert.LessOrEqual(t, time.Since(begun), 1250*time.Millisecond)
	})
}

func TestClient_BurstOfManyEndsWithinItsAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Server(10, 10))
		srv, runs := inventory(t, limits)
		client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(3))
		require.NoError(t, err)
		defer client.Close()
		var calls []*rpc.Pending
		for range 100 {
			calls = append(calls, client.Go(t.Context(), checkStock.Name(), "item1", nil))
		}
		passed := int64(0)
		for _, call := range calls {
			if err := call.Wait(); err == nil {
				passed++
			} else {
				assert.ErrorIs(t, err, rpc.ResourceExhausted)
				assert.True(t, rpc.NeverRan(err))
			}
		}
		assert.Equal(t, runs.Load(), passed)
		assert.LessOrEqual(t, passed, int64(14), "10 at once, and one in each tenth of a second of the two pauses")
		assert.LessOrEqual(t, limits.Stats().Refused, int64(300))
	})
}

func TestServer_PeersOverTCPShareTheirHostsBucket(t *testing.T) {
	srv, _ := inventory(t, newLimiter(t, Peer(Host, 1e-3, 3)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	passed := 0
	for range 3 { // connections, of two calls each
		client, err := rpc.Dial(t.Context(), ln.Addr().String(), rpc.WithMaxAttempts(1))
		require.NoError(t, err)
		for range 2 {
			if ask(t.Context(), client) == nil {
				passed++
			}
		}
		client.Close()
	}
	assert.Equal(t, 3, passed, "another port is no other peer")
	srv.Close()
	assert.ErrorIs(t, <-served, rpc.ErrServerClosed)
}

// Of one host, many may come: after auth, a limit is each caller's own, and before it,
// nobody tries out tokens faster than the limit is.
func TestServer_WithAuthBeforeOrAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, err := auth.NewTokens(map[string]string{"token-of-ann-0123": "ann", "token-of-bob-0123": "bob"})
		require.NoError(t, err)
		guard, err := auth.New(tokens.Verify, auth.Known(), nil)
		require.NoError(t, err)
		limits := newLimiter(t, Peer(Identity, 1, 2))
		guesses := newLimiter(t, Peer(Host, 1, 20))
		srv := rpc.NewServer(rpc.WithAuthorize(guesses.Before(limits.After(guard.Authorize))))
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc("Who.AmI", func(ctx context.Context) string { return rpc.IdentityFrom(ctx).Name }))
		client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(1))
		require.NoError(t, err)
		defer client.Close()
		as := func(token string) (who string, code rpc.Code) {
			ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{auth.MetadataKey: "Bearer " + token})
			code = rpc.CodeOf(client.Call(ctx, "Who.AmI", nil, &who))
			return who, code
		}
		for _, name := range []string{"ann", "bob"} {
			for i := range 4 {
				who, code := as("token-of-" + name + "-0123")
				if i < 2 {
					assert.Equal(t, name, who)
				} else {
					assert.Equal(t, rpc.ResourceExhausted, code)
				}
			}
		}
		guessed := map[rpc.Code]int{}
		for i := range 100 {
			_, code := as("token-of-eve-" + strconv.Itoa(1000+i))
			guessed[code]++
		}
		assert.Equal(t, map[rpc.Code]int{rpc.Unauthenticated: 12, rpc.ResourceExhausted: 88}, guessed)
	})
}

func TestServer_KeyThatPanicsRefusesItsCallOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bad := true
		limits := newLimiter(t, Server(1, 1), Peer(func(context.Context, string) string {
			if bad {
				panic("key")
			}
			return ""
		}, 1, 1))
		srv, _ := inventory(t, limits)
		client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}))
		require.NoError(t, err)
		defer client.Close()
		assert.ErrorIs(t, ask(t.Context(), client), rpc.Internal)
		bad = false
		assert.NoError(t, ask(t.Context(), client), "no lock is held, no token taken")
	})
}

// A probe that is refused has a healthy server restarted, under load of all times.
func TestServer_AnswersHealthChecksUnderLoad(t *testing.T) {
	for name, c := range map[string]struct {
		limits   []Option
		healthy  int
		everyone int
	}{
		"of the server":      {[]Option{Server(1, 1)}, 10, 1},
		"of each peer":       {[]Option{Peer(Host, 1, 1)}, 10, 1},
		"of both":            {[]Option{Server(1, 1), Peer(Identity, 1, 1)}, 10, 1},
		"told otherwise":     {[]Option{Server(1, 1), LimitHealth()}, 0, 1},
		"of peers, too":      {[]Option{LimitHealth(), Peer(Host, 1, 1)}, 0, 1},
		"beside another one": {[]Option{Server(1, 1), Exempt(checkStock.Name())}, 10, 20},
		"beside several":     {[]Option{Server(1, 1), Exempt(checkStock.Name()), Exempt("A.B", "A.C")}, 10, 20},
		"named":              {[]Option{Server(1, 1), Exempt(health.Check.Name())}, 10, 1},
		"only another one":   {[]Option{Server(1, 1), Exempt(checkStock.Name()), LimitHealth()}, 1, 20},
		"health's own limit": {[]Option{Server(1, 1), Method(health.Check.Name(), 1, 3)}, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, runs := inventory(t, newLimiter(t, c.limits...))
				_, err := health.Register(srv)
				require.NoError(t, err)
				client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(1))
				require.NoError(t, err)
				defer client.Close()
				for range 20 {
					ask(t.Context(), client)
				}
				healthy := 0
				for range 10 {
					if reply, err := health.Check.Call(t.Context(), client, &health.CheckRequest{}); err == nil {
						assert.Equal(t, string(health.Serving), reply.GetStatus())
						healthy++
					}
				}
				assert.Equal(t, c.healthy, healthy)
				assert.EqualValues(t, c.everyone, runs.Load())
			})
		})
	}
}

// Looking up methods that do not exist is work, too.
func TestServer_LimitsCallsOfUnknownMethods(t *testing.T) {
	deny := func(context.Context, string) (rpc.Identity, error) {
		return rpc.Identity{}, rpc.Errorf(rpc.PermissionDenied, "no")
	}
	names := map[string]string{
		"unknown": "No.Such", "health that is not registered": health.Check.Name(), "too long": "A." + string(make([]byte, 300)),
		"no text": "A.\xff", "nothing": "",
	}
	hooks := map[string]func(l *Limiter) rpc.AuthorizeFunc{
		"alone":         func(l *Limiter) rpc.AuthorizeFunc { return l.Authorize },
		"before a hook": func(l *Limiter) rpc.AuthorizeFunc { return l.Before(deny) },
		"after a hook":  func(l *Limiter) rpc.AuthorizeFunc { return l.After(deny) },
	}
	for what, method := range names {
		for where, hook := range hooks {
			t.Run(what+" "+where, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob), rpc.WithAuthorize(hook(newLimiter(t, Server(1, 3), Peer(Host, 1, 3)))))
					defer srv.Close()
					for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
						client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(1), rpc.WithCodec(codec))
						require.NoError(t, err)
						refused := map[rpc.Code]int{}
						for range 20 {
							err := client.Call(t.Context(), method, map[string]int{"a": 1}, nil)
							assert.True(t, rpc.NeverRan(err))
							refused[rpc.CodeOf(err)]++
						}
						assert.Equal(t, 17, refused[rpc.ResourceExhausted])
						assert.Equal(t, 3, refused[rpc.Unimplemented]+refused[rpc.InvalidArgument], "what it is to everyone")
						client.Close()
						<-time.After(time.Minute)
					}
					_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: method, Codec: rpc.JSON, Peer: &rpc.Peer{}})
					for range 3 {
						assert.NotErrorIs(t, err, rpc.ResourceExhausted)
						_, err = srv.Invoke(t.Context(), rpc.Invocation{Method: method, Codec: rpc.JSON, Peer: &rpc.Peer{}})
					}
					assert.ErrorIs(t, err, rpc.ResourceExhausted)
				})
			})
		}
	}
}

// A guard that a limit stands behind lets unknown methods pass on to it.
func TestServer_LimitsCallsOfUnknownMethodsBehindAGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		guard, err := auth.New(new(auth.Tokens).Verify, auth.Nobody(), nil)
		require.NoError(t, err)
		srv := rpc.NewServer(rpc.WithAuthorize(newLimiter(t, Server(1, 3)).After(guard.Authorize)))
		defer srv.Close()
		client, err := rpc.Dial(t.Context(), "a", pipes(map[string]*rpc.Server{"a": srv}), rpc.WithMaxAttempts(1))
		require.NoError(t, err)
		defer client.Close()
		codes := map[rpc.Code]int{}
		for range 20 {
			codes[rpc.CodeOf(client.Call(t.Context(), "No.Such", nil, nil))]++
		}
		assert.Equal(t, map[rpc.Code]int{rpc.Unimplemented: 3, rpc.ResourceExhausted: 17}, codes)
	})
}
