package rpc

import (
	"context"
	"math/rand/v2"
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

// hangingUp is a peer that breaks the connection at each call.
type hangingUp struct {
	mu       sync.Mutex
	conns    int
	requests []time.Time
}

func (h *hangingUp) serve(conn net.Conn) {
	defer conn.Close()
	h.mu.Lock()
	h.conns++
	h.mu.Unlock()
	if _, err := wire.ReadHello(conn, wire.MaxHello); err != nil {
		return
	}
	conn.Write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
	in := frameReader{Reader: wire.Reader{Limit: 1 << 20}, conn: conn}
	if f, err := in.next(); err == nil && f.Kind == wire.KindRequest {
		h.mu.Lock()
		h.requests = append(h.requests, time.Now())
		h.mu.Unlock()
	}
}

func (h *hangingUp) take() (conns int, requests []time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	conns, requests = h.conns, h.requests
	h.conns, h.requests = 0, nil
	return conns, requests
}

var tenServers = StaticResolver{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}

// hangingPool is a pool of servers that all break the connection at each call.
func hangingPool(t *testing.T, addrs StaticResolver, opts ...PoolOption) (*Pool, *hangingUp) {
	n, h := newPeers(), new(hangingUp)
	for _, addr := range addrs {
		n.odd[addr] = h.serve
	}
	pool := NewPool(addrs, append([]PoolOption{WithDialer(n.dial)}, opts...)...)
	t.Cleanup(func() { pool.Close() })
	return pool, h
}

// An attempt is a request that was sent, however many servers there are, and there is a
// pause before each but the first.
func TestPool_SendsACallAsOftenAsItMayWithPauses(t *testing.T) {
	for most, want := range map[int]int{0: 1, 1: 1, 3: 3, 4: 4} {
		bubble(t, func(t *testing.T) {
			pool, h := hangingPool(t, tenServers, WithMaxAttempts(most))
			for range 5 {
				err := pool.Call(MarkIdempotent(t.Context(), "A.B"), "A.B", nil, nil)
				require.ErrorIs(t, err, Unavailable)
				_, requests := h.take()
				require.Len(t, requests, want)
				for i := 1; i < want; i++ {
					pause := defaultBackoffMin << (i - 1)
					assert.GreaterOrEqual(t, requests[i].Sub(requests[i-1]), pause/2, "pause %d", i)
				}
				<-time.After(time.Hour) // they may be connected to again
			}
		})
	}
}

// refusing is a server that refuses calls while it is told to.
type refuser struct {
	*Server
	refuses atomic.Bool
	came    *atomic.Int32
}

func refusers(t *testing.T, n *network, addrs []string) (all []*refuser, came *atomic.Int32) {
	came = new(atomic.Int32)
	for _, addr := range addrs {
		r := &refuser{came: came}
		r.Server = newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
			came.Add(1)
			if r.refuses.Load() {
				return Identity{}, Errorf(Unavailable, "overloaded")
			}
			return Identity{}, nil
		}))
		t.Cleanup(func() { r.Close() })
		n.set(addr, r.Server)
		all = append(all, r)
	}
	return all, came
}

// A call that fails on every server must not be sent four times by everyone.
func TestRetryBudget_AnOutageGetsHardlyMoreThanItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		all, came := refusers(t, n, tenServers)
		pool := newPool(t, tenServers, WithDialer(n.dial), WithRetryBudget(10, 50))
		call := func() error {
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
			return err
		}
		for range 1000 { // the budget does not grow above its reserve
			require.NoError(t, call())
		}
		for _, r := range all {
			r.refuses.Store(true)
		}
		came.Store(0)
		var err error
		for range 1000 {
			err = call()
			require.ErrorIs(t, err, Unavailable)
			assert.True(t, NeverRan(err))
		}
		assert.EqualError(t, err, "unavailable: overloaded; not sent again: the retry budget is used up (WithRetryBudget)")
		assert.Equal(t, int32(1050), came.Load())
		for _, r := range all {
			r.refuses.Store(false)
		}
		for range 100 {
			require.NoError(t, call())
		}
		for _, r := range all {
			r.refuses.Store(true)
		}
		came.Store(0)
		for range 100 {
			require.ErrorIs(t, call(), Unavailable)
		}
		assert.Equal(t, int32(110), came.Load(), "100 answers are worth ten")
	})
}

// leaving is a peer that goes away at each call, which has not run.
func leavingAtOnce(conn net.Conn) {
	defer conn.Close()
	if _, err := wire.ReadHello(conn, wire.MaxHello); err != nil {
		return
	}
	conn.Write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
	in := frameReader{Reader: wire.Reader{Limit: 1 << 20}, conn: conn}
	if _, err := in.next(); err == nil {
		conn.Write(appendGoAway(nil, 0, Errorf(Unavailable, "leaving")))
	}
}

// A go-away is no sign of overload, nor is the end of a connection that has lived.
func TestRetryBudget_GoAwaysAndOldConnectionsCostNothing(t *testing.T) {
	for name, end := range map[string]func(net.Conn){
		"go-away": leavingAtOnce,
		"lost":    new(hangingUp).serve,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				n.odd["a"] = end
				shelves(t, n.network, "b")
				var seen attempts
				pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial), WithRetryBudget(1, 1), WithKeepalive(0), WithEjection(0, 0, 0), WithObserver(seen.observer()))
				again := 0
				connect := func() {
					for range 2 { // and whose turn it is stays the same
						pool.choose(*pool.members.Load(), nil, false)
						<-time.After(time.Minute)
					}
				}
				connect()
				for range 40 {
					begun := time.Now()
					err := pool.Call(MarkIdempotent(t.Context(), checkStock.Name()), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
					require.NoError(t, err)
					assert.Zero(t, time.Since(begun), "at once")
					if told := seen.take(); len(told) > 1 && told[0].Addr == "a" {
						again++
					}
					<-time.After(time.Minute)
					connect()
				}
				assert.Greater(t, again, 5)
			})
		})
	}
}

// The backoff of a server that breaks the connection at each call is not forgotten as
// soon as it says hello.
func TestClient_ConnectsRarelyToAServerThatHangsUpAtEachCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, h := newPeers(), new(hangingUp)
		n.odd["a"] = h.serve
		client := dial(t, "a", WithDialer(n.dial))
		h.take()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for ctx := timeout(t, time.Minute); ctx.Err() == nil; {
					client.Call(MarkIdempotent(ctx, "A.B"), "A.B", nil, nil)
				}
			})
		}
		wg.Wait()
		conns, _ := h.take()
		assert.LessOrEqual(t, conns, 40, "in a minute, with pauses that grow to 2.5 to 5 s")
		assert.Greater(t, conns, 10)
	})
}

// A connection that took long to make has not lived for long.
func TestClient_TimeToConnectIsNoLifeOfAConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, h := newPeers(), new(hangingUp)
		n.odd["a"] = h.serve
		client, err := Dial(t.Context(), "a", WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			<-time.After(6 * time.Second)
			return n.dial(ctx, addr)
		}))
		require.NoError(t, err)
		defer client.Close()
		for range 10 {
			client.Call(t.Context(), "A.B", nil, nil)
			synctest.Wait()
			<-time.After(100 * time.Millisecond)
		}
		assert.Greater(t, client.failures.Load(), int32(5))
	})
}

func TestChance_ASeedFixesPausesAndChoices(t *testing.T) {
	draw := func(seed uint64) (got []time.Duration) {
		c := &chance{rand: rand.New(rand.NewPCG(seed, 0))}
		for i := range 20 {
			got = append(got, c.backoff(time.Second, time.Minute, i))
		}
		return got
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}
