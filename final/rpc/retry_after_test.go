package rpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limited returns a server that refuses its first calls, asking for a pause, and
// when each call came.
func limited(t *testing.T, refusals int, after string) (srv *Server, came *[]time.Duration) {
	t.Helper()
	begun, came := time.Now(), new([]time.Duration)
	srv = newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
		*came = append(*came, time.Since(begun))
		if len(*came) > refusals {
			return Identity{}, nil
		}
		return Identity{}, askToWait(after)
	}))
	t.Cleanup(func() { srv.Close() })
	return srv, came
}

func askToWait(after string) *Error {
	return &Error{Code: ResourceExhausted, Message: "slow down", Details: map[string]string{RetryAfterDetail: after}}
}

func TestRetryAfter_IsReadFromTheDetail(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0":                      0,
		"1500":                   1500 * time.Millisecond,
		"9223372036854775807":    longestPause,
		"99999999999999999999":   longestPause,
		strings.Repeat("9", 1e4): longestPause,
	} {
		got, ok := RetryAfter(fmt.Errorf("wrapped: %w", askToWait(text)))
		assert.True(t, ok, "%.30s", text)
		assert.Equal(t, want, got, "%.30s", text)
	}
	for _, text := range []string{"", "-1", "+1", "1s", "1.5", " 1", "0x10", "1_000", "١"} {
		_, ok := RetryAfter(askToWait(text))
		assert.False(t, ok, "%q", text)
	}
	for _, err := range []error{nil, ResourceExhausted, errors.New("text"), (*Error)(nil), &Error{Code: ResourceExhausted}} {
		_, ok := RetryAfter(err)
		assert.False(t, ok, "%v", err)
	}
}

func TestClient_WaitsAsLongAsTheServerAsks(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, came := limited(t, 2, "1000")
		client := pipe(t, srv) // that cannot connect anew, and need not
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		require.Len(t, *came, 3)
		assert.Zero(t, (*came)[0])
		for i := range 2 {
			pause := (*came)[i+1] - (*came)[i]
			assert.GreaterOrEqual(t, pause, time.Second)
			assert.LessOrEqual(t, pause, 1250*time.Millisecond)
		}
	})
}

func TestClient_DoesNotWaitInVain(t *testing.T) {
	for name, c := range map[string]struct {
		after string
		opts  []ClientOption
		left  time.Duration // of the call's context
		calls int
	}{
		"longer than the client would": {after: "5001", calls: 1},
		"longer than any time":         {after: strings.Repeat("9", 40), calls: 1},
		"whatever the client would":    {after: strings.Repeat("9", 40), opts: []ClientOption{WithMaxRetryAfter(math.MaxInt64)}, left: time.Hour, calls: 1},
		"beyond the deadline":          {after: "2000", left: 2 * time.Second, calls: 1},
		"it is told not to":            {after: "0", opts: []ClientOption{WithMaxRetryAfter(0)}, calls: 1},
		"one attempt":                  {after: "1", opts: []ClientOption{WithMaxAttempts(1)}, calls: 1},
		"not a number":                 {after: "soon", calls: 1},
		"always at once":               {after: "0", calls: 4},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, came := limited(t, math.MaxInt, c.after)
				client := pipe(t, srv, c.opts...)
				ctx := t.Context()
				if c.left > 0 {
					ctx = timeout(t, c.left)
				}
				begun := time.Now()
				_, err := checkStock.Call(ctx, client, &stockRequest{Item: "item1"})
				assert.EqualError(t, err, "resource_exhausted: slow down")
				assert.True(t, NeverRan(err))
				assert.Zero(t, time.Since(begun))
				assert.Len(t, *came, c.calls)
			})
		})
	}
}

func TestClient_PauseEndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, came := limited(t, math.MaxInt, "1000")
		client := pipe(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		call := client.Go(ctx, checkStock.Name(), &stockRequest{Item: "item1"}, nil)
		synctest.Wait()
		begun := time.Now()
		cancel()
		err := call.Wait()
		assert.ErrorIs(t, err, context.Canceled)
		assert.True(t, NeverRan(err))
		assert.Zero(t, time.Since(begun))
		assert.Len(t, *came, 1)
	})
}

func TestCall_PauseEndsWithClose(t *testing.T) {
	for _, kind := range []string{"pool", "client"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, came := limited(t, math.MaxInt, "4000")
				n := newNetwork()
				n.set("a", srv)
				c := callers(n)[kind](t)
				call := c.Go(t.Context(), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
				synctest.Wait()
				require.Len(t, *came, 1)
				begun := time.Now()
				c.Close()
				err := call.Wait()
				assert.ErrorIs(t, err, ErrClientClosed)
				assert.True(t, NeverRan(err))
				assert.Zero(t, time.Since(begun))
				c.Close()
			})
		})
	}
}

// A handler's error has its details, too; the handler has run.
func TestClient_HandlersWishToWaitIsForIdempotentCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		runs := 0
		require.NoError(t, srv.RegisterFunc("Orders.Place", func() error {
			if runs++; runs%2 == 1 {
				return askToWait("10")
			}
			return nil
		}))
		client := pipe(t, srv)
		err := client.Call(t.Context(), "Orders.Place", nil, nil)
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.False(t, NeverRan(err))
		assert.Equal(t, 1, runs, "it is not called again")

		runs = 0
		assert.NoError(t, client.Call(MarkIdempotent(t.Context(), "Orders.Place"), "Orders.Place", nil, nil))
		assert.Equal(t, 2, runs)
	})
}

func TestClient_PauseIsForWhatMayPass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		calls := 0
		srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
			calls++
			e := askToWait("10")
			e.Code = PermissionDenied
			return Identity{}, e
		}))
		defer srv.Close()
		client := pipe(t, srv)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, PermissionDenied)
		assert.Equal(t, 1, calls)
	})
}

func TestPool_AsksEveryServerBeforeItWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		slow, slowCame := limited(t, math.MaxInt, "3000")
		quick, quickCame := limited(t, 1, "1000")
		n.set("a", slow)
		n.set("b", quick)
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial))
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, time.Since(begun), time.Second, "the shorter of the two pauses")
		assert.LessOrEqual(t, time.Since(begun), 1250*time.Millisecond)
		assert.Len(t, *quickCame, 2)
		assert.Zero(t, (*slowCame)[0], "both were asked at once")
		assert.LessOrEqual(t, len(*slowCame), 2)
	})
}

func TestPool_DoesNotWaitInVain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv, came := limited(t, math.MaxInt, "6000")
		n.set("a", srv)
		n.set("b", srv)
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial))
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		assert.EqualError(t, err, "resource_exhausted: slow down")
		assert.True(t, NeverRan(err))
		assert.Zero(t, time.Since(begun))
		assert.Len(t, *came, 2, "each server once")
	})
}

func TestPool_PauseIsBoundedByAttemptsAndContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv, came := limited(t, math.MaxInt, "1000")
		n.set("a", srv)
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithMaxAttempts(3))
		_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.Len(t, *came, 3)

		ctx, cancel := context.WithCancel(t.Context())
		call := pool.Go(ctx, checkStock.Name(), &stockRequest{Item: "item1"}, nil)
		synctest.Wait()
		begun := time.Now()
		cancel()
		assert.ErrorIs(t, call.Wait(), context.Canceled)
		assert.Zero(t, time.Since(begun))
	})
}

func TestOutgoingMetadata_IsWhatTheCallsCarry(t *testing.T) {
	ctx := t.Context()
	assert.Nil(t, OutgoingMetadata(ctx))
	ctx = AddMetadata(ctx, Metadata{"user": "ann"})
	ctx = AddMetadata(ctx, Metadata{"trace": "1"})
	assert.Equal(t, Metadata{"user": "ann", "trace": "1"}, OutgoingMetadata(ctx))
}

// A pool has several connections, and the pause is over before the last attempt.
func TestPool_WaitsAsLongAsTheServersAsk(t *testing.T) {
	for name, c := range map[string]struct{ servers, conns, runs int }{
		"one server, four connections":      {1, 4, 2},
		"two servers, two connections each": {2, 2, 3},
		"four servers":                      {4, 1, 4},
		"six servers":                       {6, 1, 4},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				var mu sync.Mutex
				var came []time.Duration
				begun := time.Now()
				var addrs []string
				for i := range c.servers {
					addr := string(rune('a' + i))
					addrs = append(addrs, addr)
					srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
						mu.Lock()
						defer mu.Unlock()
						came = append(came, time.Since(begun))
						if time.Since(begun) >= 40*time.Millisecond {
							return Identity{}, nil
						}
						return Identity{}, askToWait("48")
					}))
					t.Cleanup(func() { srv.Close() })
					n.set(addr, srv)
				}
				pool := NewPool(StaticResolver(addrs), WithDialer(n.dial), WithConnsPerAddr(c.conns))
				t.Cleanup(func() { pool.Close() })
				_, err := checkStock.Call(timeout(t, 10*time.Second), pool, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				require.Len(t, came, c.runs)
				assert.GreaterOrEqual(t, came[len(came)-1], 48*time.Millisecond)
			})
		})
	}
}

// The pause of each server is its own: the last attempt goes to the one whose pause is over.
func TestPool_TheLastAttemptIsForAServerWhosePauseIsOver(t *testing.T) {
	for servers := 2; servers <= 5; servers++ {
		t.Run(fmt.Sprint(servers), func(t *testing.T) {
			for range 10 { // the servers are asked in another order each time
				bubble(t, func(t *testing.T) {
					n := newNetwork()
					var addrs []string
					for i := range servers {
						refusals, pause := math.MaxInt, "400"
						if i == 0 {
							refusals, pause = 1, "20"
						}
						srv, _ := limited(t, refusals, pause)
						addrs = append(addrs, string(rune('a'+i)))
						n.set(addrs[i], srv)
					}
					pool := NewPool(StaticResolver(addrs), WithDialer(n.dial), WithMaxAttempts(servers+1))
					t.Cleanup(func() { pool.Close() })
					begun := time.Now()
					_, err := checkStock.Call(timeout(t, 10*time.Second), pool, &stockRequest{Item: "item1"})
					require.NoError(t, err)
					assert.Less(t, time.Since(begun), 400*time.Millisecond)
				})
			}
		})
	}
}

// A dyingConn takes no bytes once its server has ended; its reader learns of that later.
type dyingConn struct {
	net.Conn
	dead *atomic.Bool
}

func (c dyingConn) Write(p []byte) (int, error) {
	if c.dead.Load() {
		return 0, errCable
	}
	return c.Conn.Write(p)
}

// A server that ends takes all its connections with it.
func TestPool_ACallOutlivesAllConnectionsOfAServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := newInventory().server(t)
		n.set("a", srv)
		dead := new(atomic.Bool)
		var mu sync.Mutex
		var conns []net.Conn
		pool := NewPool(StaticResolver{"a"}, WithConnsPerAddr(16), WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := n.dial(ctx, addr)
			mu.Lock()
			defer mu.Unlock()
			conns = append(conns, conn)
			return dyingConn{conn, dead}, err
		}))
		defer pool.Close()
		var warming sync.WaitGroup
		for range 64 { // enough to connect them all
			warming.Go(func() { checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1", Wait: time.Second}) })
		}
		warming.Wait()
		mu.Lock()
		require.Greater(t, len(conns), 4)
		old := conns
		dead.Store(true)
		dead = new(atomic.Bool)
		mu.Unlock()
		go func() {
			<-time.After(time.Millisecond)
			for _, conn := range old {
				conn.Close()
			}
		}()
		_, err := checkStock.Call(timeout(t, 10*time.Second), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
	})
}
