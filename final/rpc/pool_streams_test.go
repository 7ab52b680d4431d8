package rpc

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tailed is a server whose streams of watch fail, or send an item if they are asked for one, and
// then last until their caller leaves.
type tailed struct {
	fails  atomic.Pointer[Error]
	header atomic.Bool // it is sent first
	runs   atomic.Int32
}

// tailedPool is a pool in a bubble, connected to a tailed server for each address.
func tailedPool(t *testing.T, addrs []string, opts ...PoolOption) (pool *Pool, servers []*tailed) {
	t.Helper()
	n := newNetwork()
	for _, addr := range addrs {
		inv, s := newInventory(), new(tailed)
		srv := inv.server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			s.runs.Add(1)
			if s.header.Load() {
				assert.NoError(t, SetHeader(ctx, Metadata{"served": "yes"}))
				assert.NoError(t, SendHeader(ctx))
			}
			if err := sendCount(ctx, req, out); err != nil {
				return err
			}
			if why := s.fails.Load(); why != nil {
				return why
			}
			<-ctx.Done()
			return ctx.Err()
		}))
		t.Cleanup(func() { close(inv.hold); srv.Close() })
		n.set(addr, srv)
		servers = append(servers, s)
	}
	pool = NewPool(StaticResolver(addrs), append([]PoolOption{WithDialer(n.dial)}, opts...)...)
	t.Cleanup(func() { pool.Close() })
	warm(t, pool)
	return pool, servers
}

func streamsOf(pool *Pool) (streams []int) {
	for _, m := range pool.Members() {
		streams = append(streams, m.Streams)
	}
	return streams
}

// tail opens a stream and receives so many items of it.
func tail(t *testing.T, ctx context.Context, pool *Pool, items int) (*ReceiveStream[change], error) {
	t.Helper()
	s, err := watch.Open(ctx, pool, &watchRequest{Count: items})
	require.NoError(t, err)
	for range items {
		if _, err = s.Receive(ctx); err != nil {
			return s, err
		}
	}
	synctest.Wait()
	return s, nil
}

// Streams and calls go where the fewest of both are in flight, also after streams have ended elsewhere.
func TestPool_BalancesOpenStreams(t *testing.T) {
	for b, c := range map[Balancing]struct {
		calls   [2]int // of 6 that last, while 10 streams are open on the second one
		streams []int  // after 10 more
	}{
		LeastInFlight: {[2]int{6, 0}, []int{7, 13}},
		TwoChoices:    {[2]int{6, 0}, []int{7, 13}},
		RoundRobin:    {[2]int{3, 3}, []int{5, 15}},
	} {
		t.Run(b.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool, _ := tailedPool(t, []string{"a", "b"}, WithBalancing(b))
				var all []*ReceiveStream[change]
				for range 20 {
					s, _ := tail(t, t.Context(), pool, 0)
					all = append(all, s)
				}
				assert.Equal(t, []int{10, 10}, streamsOf(pool))
				for _, s := range all {
					if s.opened.(*reopening).now.conn.owner.addr == "a" {
						s.Close()
						s.Close()
					}
				}
				synctest.Wait()
				assert.Equal(t, []int{0, 10}, streamsOf(pool))
				calls := [2]int{}
				for range 6 {
					pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
					synctest.Wait()
				}
				for i, m := range pool.Members() {
					calls[i] = m.InFlight
				}
				assert.Equal(t, c.calls, calls)
				for range 10 {
					tail(t, t.Context(), pool, 0)
				}
				assert.Equal(t, c.streams, streamsOf(pool))
			})
		})
	}
}

// Each way in which a stream ends gives its place back, once.
func TestPool_MembersCountOpenStreams(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, pool *Pool, s *tailed, cancel func()) error{
		"good": func(t *testing.T, pool *Pool, s *tailed, _ func()) error {
			u, err := imports.Open(t.Context(), pool)
			require.NoError(t, err)
			_, err = u.CloseAndReceive(t.Context())
			return err
		},
		"refused": func(t *testing.T, pool *Pool, s *tailed, _ func()) error {
			s.fails.Store(Errorf(NotFound, "no such item"))
			_, err := tail(t, t.Context(), pool, 1)
			return err
		},
		"never sent": func(t *testing.T, pool *Pool, _ *tailed, _ func()) error {
			_, err := ServerStream[chan int, change](watch.Name()).Open(t.Context(), pool, new(chan int))
			assert.Equal(t, InvalidArgument, CodeOf(err), "it does not encode")
			return nil
		},
		"cancelled": func(t *testing.T, pool *Pool, _ *tailed, cancel func()) error { cancel(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool, servers := tailedPool(t, []string{"a"})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				first, _ := tail(t, ctx, pool, 1)
				assert.Equal(t, []PoolMember{{Addr: "a", Connected: true, Streams: 1}}, pool.Members())
				end(t, pool, servers[0], cancel)
				first.Close()
				synctest.Wait()
				assert.Equal(t, []PoolMember{{Addr: "a", Connected: true}}, pool.Members())
			})
		})
	}
}

// Streams that fail count as calls do, by the code that they end with.
func TestPool_EjectsAServerThatFailsStreams(t *testing.T) {
	for name, c := range map[string]struct {
		why     *Error // nil: they last until their deadline
		items   int    // which arrive before
		header  bool   // it arrives before
		cancel  bool
		ejected bool
	}{
		"unavailable":                      {why: Errorf(Unavailable, "the database is away"), ejected: true},
		"unavailable after an item":        {why: Errorf(Unavailable, "going away"), items: 1},
		"another code":                     {why: Errorf(NotFound, "no such item")},
		"deadline":                         {ejected: true},
		"deadline after an item":           {items: 1},
		"deadline after the header":        {header: true},
		"unavailable after the header":     {why: Errorf(Unavailable, "the database is away"), header: true, ejected: true},
		"cancelled by the caller":          {cancel: true},
		"cancelled by the caller, an item": {cancel: true, items: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool, servers := tailedPool(t, []string{"ill", "well"}, WithBalancing(RoundRobin), WithMaxAttempts(1))
				servers[0].fails.Store(c.why)
				servers[0].header.Store(c.header)
				for range 12 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Second/100)
					s, err := tail(t, ctx, pool, c.items)
					if err == nil && !c.cancel && s.opened.(*reopening).now.conn.owner.addr == "ill" {
						s.Receive(ctx)
					}
					s.Close()
					cancel()
				}
				synctest.Wait()
				var want []string
				if c.ejected {
					want = []string{"ill"}
					assert.EqualValues(t, 5, servers[0].runs.Load())
				} else {
					assert.EqualValues(t, 6, servers[0].runs.Load())
				}
				assert.Equal(t, want, ejectedOf(pool))
			})
		})
	}
}

// All streams of a lost connection are one failure, and none if an item of each has arrived.
func TestPool_LostConnectionIsOneFailureOfItsStreams(t *testing.T) {
	for items, want := range []int32{1, 0} {
		bubble(t, func(t *testing.T) {
			pool, _ := tailedPool(t, []string{"a"}, WithMaxAttempts(1))
			for range 9 {
				tail(t, t.Context(), pool, items)
			}
			member := (*pool.members.Load())[0]
			member.conn.Load().conn.Close()
			synctest.Wait()
			assert.Equal(t, []int{0}, streamsOf(pool))
			assert.Equal(t, want, member.server.failures.Load())
		})
	}
}

// The first stream after the pause decides: an item is enough. While nothing is known of it,
// no other one goes there, but for no longer than the least pause.
func TestPool_AStreamDecidesAProbe(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := tailedPool(t, []string{"ill", "well"}, WithMaxAttempts(1), WithEjection(3, time.Second, time.Second))
		ill := servers[0]
		probe := func(items int) (runs int32) { // opens of which none ends
			t.Helper()
			before := ill.runs.Load()
			for range 10 {
				s, _ := tail(t, t.Context(), pool, items)
				t.Cleanup(func() { s.Close() })
			}
			return ill.runs.Load() - before
		}
		pause := func() { <-time.After(time.Second + time.Millisecond); synctest.Wait() }
		fail := func() {
			ill.fails.Store(Errorf(Unavailable, "the database is away"))
			for range 10 {
				s, _ := tail(t, t.Context(), pool, 0)
				s.Receive(timeout(t, time.Millisecond))
				s.Close()
			}
			synctest.Wait()
		}
		fail()
		assert.EqualValues(t, 3, ill.runs.Load())
		assert.Zero(t, probe(1), "ejected")
		pause()
		fail()
		assert.EqualValues(t, 4, ill.runs.Load(), "one stream has decided")
		ill.fails.Store(nil)
		pause()
		assert.EqualValues(t, 1, probe(0), "nothing is known of it")
		assert.Equal(t, []string{"ill"}, ejectedOf(pool))
		pause()
		assert.EqualValues(t, 1, probe(0), "the next one")
		pause()
		assert.Greater(t, probe(1), int32(5), "it has sent an item")
		assert.Empty(t, ejectedOf(pool))
	})
}

// A probe whose stream is left by its caller passes to the next stream.
func TestPool_AStreamThatIsLeftGivesItsProbeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers := tailedPool(t, []string{"ill", "well"}, WithMaxAttempts(1), WithEjection(3, time.Minute, time.Minute))
		c := (*pool.members.Load())[0]
		c.server.state.Store(halfOpen)
		s, _ := tail(t, t.Context(), pool, 0)
		require.Equal(t, probing, c.server.state.Load())
		s.Close()
		synctest.Wait()
		tail(t, t.Context(), pool, 1)
		assert.EqualValues(t, 2, servers[0].runs.Load())
		assert.Equal(t, healthy, c.server.state.Load())
	})
}
