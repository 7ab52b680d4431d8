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
)

// moody is a server that can fail every call and keep its connections.
type moody struct {
	*Server
	mood atomic.Value // string: "", "hangs", "unavailable", "refuses"
	came atomic.Int32
}

func newMoody(t testing.TB) *moody {
	t.Helper()
	m := &moody{Server: NewServer()}
	m.mood.Store("")
	require.NoError(t, checkStock.Handle(m.Server, func(ctx context.Context, req *stockRequest) (*stockReply, error) {
		m.came.Add(1)
		switch m.mood.Load() {
		case "hangs":
			<-ctx.Done()
			return nil, ctx.Err()
		case "unavailable":
			return nil, Errorf(Unavailable, "the database is away")
		case "refuses":
			return nil, Errorf(ResourceExhausted, "not so fast")
		}
		return &stockReply{Item: req.Item, Count: 100}, nil
	}))
	t.Cleanup(func() { m.Close() })
	return m
}

// moodyPool is a pool in a bubble, connected to a moody server for each address.
func moodyPool(t *testing.T, n *network, addrs []string, opts ...PoolOption) (*Pool, []*moody) {
	t.Helper()
	var servers []*moody
	for _, addr := range addrs {
		m := newMoody(t)
		n.set(addr, m.Server)
		servers = append(servers, m)
	}
	pool := NewPool(StaticResolver(addrs), append([]PoolOption{WithDialer(n.dial)}, opts...)...)
	t.Cleanup(func() { pool.Close() })
	warm(t, pool)
	return pool, servers
}

// callFor makes one call with a deadline.
func callFor(t *testing.T, pool *Pool, d time.Duration) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	_, err := checkStock.Call(ctx, pool, &stockRequest{Item: "item1"})
	return err
}

// callMany makes calls one after the other and returns how many failed.
func callMany(t *testing.T, pool *Pool, calls int) (failed int) {
	t.Helper()
	for range calls {
		if callFor(t, pool, 10*time.Millisecond) != nil {
			failed++
		}
	}
	return failed
}

func ejectedOf(pool *Pool) (addrs []string) {
	for _, m := range pool.Members() {
		if m.Ejected {
			addrs = append(addrs, m.Addr)
		}
	}
	return addrs
}

func TestPool_EjectsAServerThatFailsAndLetsItBack(t *testing.T) {
	for _, mood := range []string{"hangs", "unavailable"} {
		for _, b := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
			bubble(t, func(t *testing.T) {
				pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill", "fine"}, WithBalancing(b), WithEjection(5, time.Second, time.Minute))
				ill := servers[1]
				ill.mood.Store(mood)
				assert.Equal(t, 5, callMany(t, pool, 100))
				assert.Equal(t, []string{"ill"}, ejectedOf(pool))
				came := ill.came.Load()
				assert.Zero(t, callMany(t, pool, 1000))
				assert.Equal(t, came, ill.came.Load(), "an ejected server gets no calls")

				ill.mood.Store("")
				<-time.After(time.Second)
				synctest.Wait()
				assert.Equal(t, []string{"ill"}, ejectedOf(pool), "it is half-open")
				assert.Zero(t, callMany(t, pool, 1000))
				assert.Empty(t, ejectedOf(pool))
				assert.Greater(t, ill.came.Load(), came+100, "it has its share again")
			})
		}
	}
}

func TestPool_PausesOfAServerThatStaysIllGrow(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill"}, WithEjection(3, time.Second, 8*time.Second))
		servers[1].mood.Store("unavailable")
		assert.Equal(t, 3, callMany(t, pool, 100))
		var pauses []time.Duration
		for since := time.Now(); len(pauses) < 8; <-time.After(50 * time.Millisecond) {
			switch callMany(t, pool, 1) {
			case 1: // the one call that decides
				pauses = append(pauses, time.Since(since))
				since = time.Now()
				assert.Zero(t, callMany(t, pool, 10), "one call decides")
			}
		}
		for i, most := range []time.Duration{1, 2, 4, 8, 8, 8, 8, 8} {
			assert.GreaterOrEqual(t, pauses[i], most*time.Second/2, "pause %d", i)
			assert.LessOrEqual(t, pauses[i], most*time.Second+60*time.Millisecond, "pause %d", i)
		}
		servers[1].mood.Store("")
		<-time.After(8 * time.Second)
		synctest.Wait()
		assert.Zero(t, callMany(t, pool, 100))
		servers[1].mood.Store("unavailable")
		assert.Equal(t, 3, callMany(t, pool, 100))
		<-time.After(time.Second)
		synctest.Wait()
		assert.Equal(t, 1, callMany(t, pool, 100), "after a success, pauses begin anew")
	})
}

func TestPool_NeverEjectsMoreThanHalf(t *testing.T) {
	for servers, most := range []int{0, 0, 1, 1, 2, 2} {
		if servers == 0 {
			continue
		}
		bubble(t, func(t *testing.T) {
			addrs := []string{"a", "b", "c", "d", "e"}[:servers]
			pool, all := moodyPool(t, newNetwork(), addrs, WithBalancing(RoundRobin))
			for _, m := range all {
				m.mood.Store("unavailable")
			}
			assert.Equal(t, 100, callMany(t, pool, 100))
			assert.Len(t, ejectedOf(pool), most)
			for _, m := range all {
				m.mood.Store("")
			}
			assert.Zero(t, callMany(t, pool, 100), "nobody has to wait")
		})
	}
}

func TestPool_LetsServersBackWhenOthersLeave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		well, ill := newMoody(t), newMoody(t)
		n.set("well", well.Server)
		n.set("ill", ill.Server)
		resolver := make(scriptedResolver)
		pool := newPool(t, resolver, WithDialer(n.dial))
		resolver <- []string{"well", "ill"}
		warm(t, pool)
		ill.mood.Store("unavailable")
		callMany(t, pool, 100)
		require.Equal(t, []string{"ill"}, ejectedOf(pool))
		resolver <- []string{"ill"}
		synctest.Wait()
		assert.Empty(t, ejectedOf(pool), "the last one is never left out")
		ill.mood.Store("")
		assert.Zero(t, callMany(t, pool, 10))
	})
}

func TestPool_ForgetsAServerThatLeaves(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		well, ill := newMoody(t), newMoody(t)
		n.set("well", well.Server)
		n.set("ill", ill.Server)
		resolver := make(scriptedResolver)
		pool := newPool(t, resolver, WithDialer(n.dial))
		resolver <- []string{"well", "ill"}
		warm(t, pool)
		ill.mood.Store("unavailable")
		callMany(t, pool, 100)
		require.Equal(t, []string{"ill"}, ejectedOf(pool))
		resolver <- []string{"well"}
		resolver <- []string{"well", "ill"}
		warm(t, pool)
		assert.Empty(t, ejectedOf(pool), "another server may have the address now")
		<-time.After(time.Minute) // the pause of the one before
		synctest.Wait()
		assert.Empty(t, ejectedOf(pool))
	})
}

func TestPool_EjectedServerIsTheLastResort(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		pool, servers := moodyPool(t, n, []string{"well", "ill"}, WithEjection(5, time.Hour, time.Hour), WithBackoff(time.Minute, time.Minute))
		servers[1].mood.Store("unavailable")
		callMany(t, pool, 100)
		require.Equal(t, []string{"ill"}, ejectedOf(pool))
		servers[1].mood.Store("")
		n.set("well", nil)
		servers[0].Close()
		<-time.After(100 * time.Millisecond) // an idle connection's end is seen a little later
		pool.choose(*pool.members.Load(), nil, false)
		synctest.Wait()
		require.True(t, pool.Members()[0].BackingOff)
		begun := time.Now()
		assert.NoError(t, callFor(t, pool, time.Minute), "nobody else is there")
		assert.Zero(t, time.Since(begun), "and it is better than to wait")
		assert.Empty(t, ejectedOf(pool), "a success is a success")
	})
}

// One event is one failure, however many calls it hits.
func TestPool_LostConnectionCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		pool, servers := moodyPool(t, n, []string{"well", "ill"}, WithEjection(3, time.Second, time.Second), WithBalancing(RoundRobin))
		servers[1].came.Store(0) // either may have answered the call that warmed the pool
		for lost := 1; lost <= 3; lost++ {
			servers[1].mood.Store("hangs")
			var calls []*Pending
			for range 40 {
				calls = append(calls, pool.Go(t.Context(), checkStock.Name(), stockRequest{}, nil))
			}
			synctest.Wait()
			require.Equal(t, int32(20), servers[1].came.Load())
			next := newMoody(t)
			n.set("ill", next.Server)
			servers[1].Close()
			synctest.Wait()
			failed := 0
			for _, call := range calls {
				if call.Wait() != nil {
					failed++
				}
			}
			assert.Equal(t, 20, failed)
			servers[1] = next
			if lost < 3 {
				assert.Empty(t, ejectedOf(pool), "%d connections lost", lost)
			}
			<-time.After(100 * time.Millisecond)          // it backs off
			pool.choose(*pool.members.Load(), nil, false) // begins to connect
			synctest.Wait()
		}
		assert.Equal(t, []string{"ill"}, ejectedOf(pool))
	})
}

func TestPool_EjectsNobodyForWhatIsNotItsFault(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"a", "b"})
		for _, m := range servers {
			m.mood.Store("refuses")
		}
		assert.Equal(t, 50, callMany(t, pool, 50))
		for _, m := range servers {
			m.mood.Store("hangs")
		}
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			call := pool.Go(ctx, checkStock.Name(), stockRequest{}, nil)
			synctest.Wait()
			cancel()
			assert.ErrorIs(t, call.Wait(), Canceled)
			assert.ErrorIs(t, callFor(t, pool, time.Microsecond), DeadlineExceeded, "no time to send it")
			assert.ErrorIs(t, pool.Call(t.Context(), checkStock.Name(), make(chan int), nil), InvalidArgument)
		}
		assert.Empty(t, ejectedOf(pool))
	})
}

func TestPool_EjectionCanBeOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill"}, WithBalancing(RoundRobin), WithEjection(0, 0, 0))
		servers[1].mood.Store("unavailable")
		assert.Equal(t, 50, callMany(t, pool, 100))
	})
}

// A probe whose caller leaves decides nothing, and another call gets it.
func TestPool_ProbeThatSaysNothingIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill"}, WithEjection(1, time.Second, time.Second))
		ill := servers[1]
		ill.mood.Store("hangs")
		assert.Equal(t, 1, callMany(t, pool, 10))
		<-time.After(time.Second)
		synctest.Wait()
		for range 3 {
			came := ill.came.Load()
			ctx, cancel := context.WithCancel(t.Context())
			call := pool.Go(ctx, checkStock.Name(), stockRequest{}, nil)
			synctest.Wait()
			assert.Equal(t, came+1, ill.came.Load())
			assert.Zero(t, callMany(t, pool, 100), "no second call while it lasts")
			cancel()
			assert.ErrorIs(t, call.Wait(), Canceled)
		}
		ill.mood.Store("")
		assert.Zero(t, callMany(t, pool, 10))
		assert.Empty(t, ejectedOf(pool))
	})
}

// A success of an earlier call can put the count back while a server is ejected.
func TestPool_ProbeDecidesWhateverWasCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, _ := moodyPool(t, newNetwork(), []string{"a", "b"})
		c := (*pool.members.Load())[0]
		c.server.state.Store(probing)
		pool.noteOutcome(c, c.conn.Load(), true, nil)
		assert.Equal(t, healthy, c.server.state.Load())
		c.server.state.Store(probing)
		pool.noteOutcome(c, c.conn.Load(), true, Errorf(Unavailable, "away"))
		assert.Equal(t, ejected, c.server.state.Load())
	})
}

// A server may be let back before its pause is over, and be ejected anew.
func TestPool_OldPauseEndsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"a", "b"}, WithEjection(1, time.Second, time.Minute))
		servers[0].mood.Store("unavailable")
		require.Equal(t, 1, callMany(t, pool, 10))
		c := (*pool.members.Load())[0]
		pool.noteOutcome(c, c.conn.Load(), false, nil) // a call that began earlier
		require.Empty(t, ejectedOf(pool))
		c.server.ejections = 10
		require.Equal(t, 1, callMany(t, pool, 10))
		<-time.After(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, ejected, c.server.state.Load())
	})
}

// deafConn takes everything and delivers nothing once it is told to be deaf.
type deafConn struct {
	net.Conn
	deaf *atomic.Bool
}

func (c deafConn) Write(b []byte) (int, error) {
	if c.deaf.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func TestPool_PutsNoCallAtRiskWithoutAPong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		well, ill := newMoody(t), newMoody(t)
		n.set("well", well.Server)
		n.set("ill", ill.Server)
		var deaf atomic.Bool
		pool := NewPool(StaticResolver{"well", "ill"}, WithKeepalive(0), WithEjection(3, time.Second, time.Second),
			WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := n.dial(ctx, addr)
				if addr == "ill" && err == nil {
					return deafConn{conn, &deaf}, nil
				}
				return conn, err
			}))
		defer pool.Close()
		warm(t, pool)
		deaf.Store(true)
		assert.Equal(t, 3, callMany(t, pool, 100))
		for range 20 {
			<-time.After(time.Second)
			assert.Zero(t, callMany(t, pool, 10))
		}
		assert.Equal(t, []string{"ill"}, ejectedOf(pool))
		deaf.Store(false)
		<-time.After(3 * time.Second)
		synctest.Wait()
		assert.Zero(t, callMany(t, pool, 10))
		assert.Empty(t, ejectedOf(pool))
	})
}

func TestPool_CloseEndsTrials(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill"})
		servers[1].mood.Store("unavailable")
		callMany(t, pool, 100)
		require.NotEmpty(t, ejectedOf(pool))
		pool.Close()
		<-time.After(time.Hour)
		synctest.Wait()
		assert.Empty(t, pool.Members())
	})
}

// Servers change their moods while many call; at the end all are back.
func TestPool_EjectionUnderLoad(t *testing.T) {
	noLeaks(t)
	var addrs StaticResolver
	var servers []*moody
	for range 4 {
		m := newMoody(t)
		servers = append(servers, m)
		addrs = append(addrs, listen(t, m.Server))
	}
	for _, b := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		pool := NewPool(addrs, WithBalancing(b), WithEjection(2, time.Millisecond, 4*time.Millisecond), WithConnsPerAddr(2))
		changes := make(chan struct{}, 1)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					callFor(t, pool, 2*time.Millisecond)
					pool.mu.Lock()
					assert.LessOrEqual(t, pool.ejectedLocked(), 2)
					pool.mu.Unlock()
					select {
					case changes <- struct{}{}:
					default:
					}
				}
			})
		}
		go func() { wg.Wait(); close(changes) }()
		for range changes {
			servers[rand.IntN(len(servers))].mood.Store([]string{"", "", "hangs", "unavailable", "refuses"}[rand.IntN(5)])
		}
		for _, m := range servers {
			m.mood.Store("")
		}
		for begun := time.Now(); len(ejectedOf(pool)) > 0; {
			require.NoError(t, callFor(t, pool, time.Minute))
			require.Less(t, time.Since(begun), 30*time.Second, "a server stays left out")
		}
		pool.Close()
	}
}
