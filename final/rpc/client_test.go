package rpc

import (
	"context"
	"errors"
	"fmt"
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

// network dials servers by name over pipes, for bubbles.
type network struct {
	mu      sync.Mutex
	servers map[string]*Server
	dials   []time.Duration // when, since the first
	begun   time.Time
}

func newNetwork() *network { return &network{servers: map[string]*Server{}} }

func (n *network) set(addr string, srv *Server) {
	n.mu.Lock()
	n.servers[addr] = srv
	n.mu.Unlock()
}

func (n *network) dial(_ context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.begun.IsZero() {
		n.begun = time.Now()
	}
	n.dials = append(n.dials, time.Since(n.begun))
	srv := n.servers[addr]
	if srv == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	go srv.ServeConn(far)
	return near, nil
}

func TestDial_ErrorReadsAsOneLine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := ln.Addr().String()
	ln.Close()
	_, err = Dial(t.Context(), addr)
	assert.ErrorIs(t, err, Unavailable)
	assert.ErrorContains(t, err, "rpc: unavailable: dial "+addr+": ")
	assert.True(t, NeverRan(err))
}

func TestDial_EndsWithItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		block := func(ctx context.Context, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		_, err := Dial(timeout(t, time.Second), "nowhere", WithDialer(block))
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestClient_ConnectsAnewAfterALostConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		first := inv.server(t)
		n.set("a", first)
		client := dial(t, "a", WithDialer(n.dial))
		held := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		first.Close()
		err := held.Wait()
		assert.ErrorIs(t, err, Unavailable)
		assert.False(t, NeverRan(err))
		assert.Equal(t, 1, inv.runs("held"), "it may have run, so it is not repeated")
		second := inv.server(t)
		n.set("a", second)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}

func TestClient_IdempotentCallIsRepeatedAfterALostConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		first, second := inv.server(t), inv.server(t)
		n.set("a", first)
		client := dial(t, "a", WithDialer(n.dial))
		held := client.Go(MarkIdempotent(t.Context(), checkStock.Name(), "Sick.Call"), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		n.set("a", second)
		first.Close()
		synctest.Wait()
		close(inv.hold)
		assert.NoError(t, held.Wait())
		assert.Equal(t, 2, inv.runs("held"))
	})
}

func TestClient_HandlersOwnUnavailableIsNotRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := newServer(t)
		runs := 0
		require.NoError(t, srv.RegisterFunc("Sick.Call", func() error { runs++; return Errorf(Unavailable, "database down") }))
		n.set("a", srv)
		client := dial(t, "a", WithDialer(n.dial))
		err := client.Call(MarkIdempotent(t.Context(), checkStock.Name(), "Sick.Call"), "Sick.Call", nil, nil)
		assert.EqualError(t, err, "unavailable: database down")
		assert.Equal(t, 1, runs)
	})
}

func TestClient_BacksOffBetweenAttemptsToConnect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		first := inv.server(t)
		n.set("a", first)
		client := dial(t, "a", WithDialer(n.dial), WithBackoff(100*time.Millisecond, 400*time.Millisecond), WithMaxWait(3*time.Second))
		<-time.After(time.Minute) // a connection that ends soon is a failure, too
		n.set("a", nil)
		first.Close()
		synctest.Wait()
		err := client.Call(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil)
		assert.EqualError(t, err, "rpc: unavailable: dial a: connection refused; waited 3s (WithMaxWait)")
		assert.True(t, NeverRan(err))
		require.GreaterOrEqual(t, len(n.dials), 7)
		for i, longest := range []time.Duration{100, 200, 400, 400, 400} {
			longest *= time.Millisecond
			pause := n.dials[i+2] - n.dials[i+1]
			assert.LessOrEqual(t, pause, longest)
			assert.GreaterOrEqual(t, pause, longest/2, "at most half is cut off at random")
		}
	})
}

func TestClient_CallThatNeverLeftIsTriedAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		first, second := inv.server(t), inv.server(t)
		n.set("a", first)
		client := dial(t, "a", WithDialer(n.dial))
		held := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		down := make(chan error)
		n.set("a", second)
		go func() { down <- first.Shutdown(t.Context()) }()
		synctest.Wait()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err, "on the new connection, while the old one drains")
		close(inv.hold)
		assert.NoError(t, held.Wait())
		assert.NoError(t, <-down)
	})
}

// ttrpc-rust #317: the deadline did not cover waiting for the send queue.
func TestClient_ContextEndsACallThatWaitsToBeWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t, WithKeepalive(0)) // raw reads nothing: writes block
		defer raw.conn.Close()
		big := stockRequest{Item: longText(600_000)}
		ctx := timeout(t, time.Second)
		var calls []*Pending
		for range 4 {
			calls = append(calls, client.Go(ctx, checkStock.Name(), big, nil))
		}
		begun := time.Now()
		for _, call := range calls {
			assert.ErrorIs(t, call.Wait(), context.DeadlineExceeded)
		}
		assert.Equal(t, time.Second, time.Since(begun))
	})
}

func TestClient_AbandonedCallKeepsItsSlotUntilTheReply(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t, WithMaxInFlight(1), WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				_, err := checkStock.Call(timeout(t, time.Second), client, &stockRequest{Item: "deaf"})
				require.ErrorIs(t, err, DeadlineExceeded)
				next := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil)
				synctest.Wait()
				assert.Zero(t, inv.runs("item1"), "the handler that nobody waits for still runs")
				close(inv.hold)
				assert.NoError(t, next.Wait())
			})
		})
	}
}

func TestClient_StuckServerIsGivenUpAfterTheWriteTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, _ := rawServer(t, WithKeepalive(0), WithWriteTimeout(7*time.Second))
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Unavailable)
		assert.InDelta(t, 7, time.Since(begun).Seconds(), 0.01)
	})
}

func TestClient_KeepaliveGivesUpASilentServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t, WithKeepalive(10*time.Second))
		go func() { // reads, never answers
			for {
				if _, err := raw.in.next(); err != nil {
					return
				}
			}
		}()
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "keepalive timeout: nothing received from the server")
		assert.Equal(t, 20*time.Second, time.Since(begun))
	})
}

func TestClient_KeepaliveKeepsAQuietConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithIdleTimeout(time.Minute))
		client := pipe(t, srv, WithKeepalive(15*time.Second))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1", Wait: time.Hour})
		assert.NoError(t, err)
		timer := time.NewTimer(time.Hour)
		<-timer.C
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}

func TestClient_PingIsAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		assert.NoError(t, client.Ping(t.Context()))
		srv.Close()
		synctest.Wait()
		assert.ErrorIs(t, client.Ping(t.Context()), Unavailable)
	})
}

func TestClient_CloseFailsCallsAndMayBeRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		held := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		require.NoError(t, client.Close())
		require.NoError(t, client.Close())
		assert.ErrorIs(t, held.Wait(), ErrClientClosed)
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, ErrClientClosed)
		assert.True(t, NeverRan(err))
	})
}

func TestClient_GoAwayFailsOnlyTheCallsThatNeverRan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		var reply stockReply
		one := client.Go(t.Context(), checkStock.Name(), stockRequest{}, &reply)
		raw.read()
		two := client.Go(t.Context(), checkStock.Name(), stockRequest{}, nil)
		raw.read()
		raw.write(appendGoAway(nil, 1, Errorf(Unavailable, "maintenance")))
		err := two.Wait()
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "maintenance")
		assert.True(t, NeverRan(err))
		raw.write(frameOf(wire.KindResponse, 0, 1, `{"Item":"a"}`))
		assert.NoError(t, one.Wait())
		assert.Equal(t, "a", reply.Item)
		_, err = raw.in.next()
		assert.Error(t, err, "with nothing in flight, the client closes")
	})
}

func TestClient_FloodOfPingsIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t, WithKeepalive(0))
		pings := make([]byte, 0, 1<<16)
		for len(pings) < 1<<16 {
			pings = wire.AppendHeader(pings, wire.KindPing, 0, 1, 0)
		}
		written := 0
		for {
			n, err := raw.conn.Write(pings) // and reads no pong
			written += n
			if err != nil {
				break
			}
		}
		assert.LessOrEqual(t, written, 4*highWater)
		synctest.Wait()
		assert.ErrorIs(t, client.Ping(t.Context()), Unavailable)
	})
}

func TestPool_SpreadsCallsOverServers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		var invs []*inventory
		for _, addr := range []string{"a", "b", "c"} {
			inv := newInventory()
			invs = append(invs, inv)
			srv := inv.server(t)
			n.set(addr, srv)
		}
		pool := newPool(t, StaticResolver{"a", "b", "c"}, WithDialer(n.dial))
		_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		synctest.Wait()
		var calls []*Pending
		for range 30 {
			calls = append(calls, pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
			synctest.Wait()
		}
		for i, inv := range invs {
			assert.Equal(t, 10, inv.runs("held"), "server %d", i)
			close(inv.hold)
		}
		for _, call := range calls {
			assert.NoError(t, call.Wait())
		}
	})
}

func TestPool_TriesElsewhereWhatNeverRan(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		full, free := newInventory(), newInventory()
		crowded, roomy := full.server(t, WithMaxHandlers(1)), free.server(t)
		n.set("crowded", crowded)
		n.set("roomy", roomy)
		holder := dial(t, "crowded", WithDialer(n.dial))
		holder.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		pool := newPool(t, StaticResolver{"down", "crowded", "roomy"}, WithDialer(n.dial))
		for range 10 {
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		}
		assert.Equal(t, 10, free.runs("item1"))
		assert.Zero(t, full.runs("item1"))
	})
}

func TestPool_DoesNotRepeatWhatMayHaveRun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		servers := map[string]*Server{"a": inv.server(t), "b": inv.server(t)}
		for addr, srv := range servers {
			n.set(addr, srv)
		}
		next := inv.server(t)
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		plain := pool.Go(ctx, checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		for addr, srv := range servers {
			n.set(addr, next) // who tries again finds a server
			srv.Close()
		}
		assert.ErrorIs(t, plain.Wait(), Unavailable)
		assert.Equal(t, 1, inv.runs("held"))
	})
}

// scriptedResolver says what the test tells it.
type scriptedResolver chan []string

func (r scriptedResolver) Resolve(ctx context.Context, update func([]string)) error {
	for {
		select {
		case addrs := <-r:
			if addrs == nil {
				return errors.New("lost the registry")
			}
			update(addrs)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func TestPool_FollowsItsResolver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		one, two := newInventory(), newInventory()
		first, second := one.server(t), two.server(t)
		n.set("a", first)
		n.set("b", second)
		resolver := make(scriptedResolver)
		pool := newPool(t, resolver, WithDialer(n.dial))
		_, err := checkStock.Call(timeout(t, time.Second), pool, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, DeadlineExceeded, "nobody knows a server yet")
		resolver <- []string{"a", "a"}
		_, err = checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		held := pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		resolver <- nil // an error: what is known stays in use
		resolver <- []string{"b"}
		synctest.Wait()
		_, err = checkStock.Call(t.Context(), pool, &stockRequest{Item: "item2"})
		require.NoError(t, err)
		assert.Equal(t, 1, two.runs("item2"))
		close(one.hold)
		assert.NoError(t, held.Wait(), "a call in flight on a server that left is answered")
		resolver <- []string{}
		synctest.Wait()
		_, err = checkStock.Call(t.Context(), pool, &stockRequest{Item: "item3"})
		assert.ErrorContains(t, err, "the resolver knows no servers")
	})
}

func TestPool_CloseMayComeAnyTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		pool := NewPool(make(scriptedResolver), WithDialer(n.dial))
		waiting := pool.Go(t.Context(), checkStock.Name(), stockRequest{}, nil)
		synctest.Wait()
		assert.NoError(t, pool.Close())
		assert.NoError(t, pool.Close())
		assert.ErrorIs(t, waiting.Wait(), ErrClientClosed)
		assert.ErrorIs(t, pool.Call(t.Context(), checkStock.Name(), stockRequest{}, nil), ErrClientClosed)
	})
}

// grpc-go #4650: rolling restarts lost calls.
func TestPool_RollingRestartLosesNoCalls(t *testing.T) {
	noLeaks(t)
	const servers = 3
	start := func(addr string) (*Server, string) {
		srv := newInventory().server(t)
		ln, err := Listen(addr)
		require.NoError(t, err)
		go srv.Serve(ln)
		return srv, ln.Addr().String()
	}
	var running [servers]*Server
	addrs := make(StaticResolver, servers)
	for i := range servers {
		running[i], addrs[i] = start("127.0.0.1:0")
	}
	pool := NewPool(addrs)
	ctx, cancel := context.WithCancel(t.Context())
	var done, failed atomic.Int64
	var wg sync.WaitGroup
	for g := range 16 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				item := fmt.Sprintf("item%d-%d", g, i)
				reply, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: item})
				switch {
				case err != nil:
					failed.Add(1)
					t.Errorf("call failed: %v", err)
					return
				case reply.Item != item:
					t.Errorf("%s got the reply of %s", item, reply.Item)
				}
				done.Add(1)
			}
		})
	}
	for range 2 {
		for i := range running {
			before := done.Load()
			for done.Load() < before+200 && failed.Load() == 0 {
				reply, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				require.Equal(t, 100, reply.Count)
			}
			require.NoError(t, running[i].Shutdown(t.Context()))
			running[i], _ = start(addrs[i])
		}
	}
	cancel()
	wg.Wait()
	assert.Zero(t, failed.Load())
	pool.Close()
	for _, srv := range running {
		srv.Close()
	}
}
