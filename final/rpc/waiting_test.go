package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
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

	"example.com/rpc-from-scratch/final/internal/wire"
)

// peers is a network whose servers may also be peers that follow no rules.
type peers struct {
	*network
	mu  sync.Mutex
	odd map[string]func(conn net.Conn) // what is done with a connection instead of serving it
}

func newPeers() *peers { return &peers{network: newNetwork(), odd: map[string]func(net.Conn){}} }

func (p *peers) dial(ctx context.Context, addr string) (net.Conn, error) {
	p.mu.Lock()
	serve := p.odd[addr]
	p.mu.Unlock()
	if serve == nil {
		return p.network.dial(ctx, addr)
	}
	near, far := net.Pipe()
	go serve(far)
	return near, nil
}

// mute takes everything and never says hello.
func mute(conn net.Conn) { io.Copy(io.Discard, conn) }

// refusing answers each hello with a refusal.
func refusing(code Code, text string) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		if _, err := wire.ReadHello(conn, wire.MaxHello); err == nil {
			conn.Write((&wire.ServerHello{Code: wire.Code(code), Text: text}).Append(nil))
		}
	}
}

// anotherVersion speaks version 2 only.
func anotherVersion(conn net.Conn) {
	defer conn.Close()
	wire.ReadHello(conn, wire.MaxHello)
	conn.Write([]byte(wire.Magic + "\x02\x00\x00"))
}

func TestPool_ServerThatNeverSaysHelloGetsNoCalls(t *testing.T) {
	for _, b := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		t.Run(b.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				n.odd["mute"] = mute
				invs := shelves(t, n.network, "good")
				pool := newPool(t, StaticResolver{"mute", "good"}, WithDialer(n.dial), WithBalancing(b))
				for range 200 {
					assert.NoError(t, callFor(t, pool, 100*time.Millisecond))
				}
				assert.Equal(t, 200, invs[0].runs("item1"))
				for _, m := range pool.Members() {
					assert.Equal(t, m.Addr == "good", m.Connected, "%s: a connection is one after its hello", m.Addr)
				}
			})
		})
	}
}

func TestPool_ServerThatNeverSaysHelloGetsNoCallsOverTCP(t *testing.T) {
	noLeaks(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close() // and its backlog with it: connections are made and nobody answers
	good := listen(t, newInventory().server(t))
	for range 20 {
		pool := NewPool(StaticResolver{ln.Addr().String(), good})
		for range 10 {
			assert.NoError(t, callFor(t, pool, 10*time.Second))
		}
		pool.Close()
	}
}

// A deadline that passes while a call waits for a hello counts like any other.
func TestPool_EjectsAServerThatNeverSaysHello(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["mute"], n.odd["dumb"] = mute, mute
		pool := newPool(t, StaticResolver{"mute", "dumb"}, WithDialer(n.dial), WithEjection(5, time.Second, time.Second), WithHandshakeTimeout(time.Hour))
		for range 5 {
			assert.Empty(t, ejectedOf(pool))
			err := callFor(t, pool, 100*time.Millisecond)
			assert.ErrorIs(t, err, DeadlineExceeded)
			assert.ErrorContains(t, err, "connecting to mute, dumb")
			assert.True(t, NeverRan(err))
		}
		assert.Len(t, ejectedOf(pool), 1, "never more than half")
	})
}

// Not every clock stands still between a call and the attempt that it begins.
func TestPool_EjectsAServerThatIsNeverConnected(t *testing.T) {
	noLeaks(t)
	pool := NewPool(StaticResolver{"a", "b"}, WithEjection(1, time.Hour, time.Hour), WithDialer(
		func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() }))
	defer pool.Close()
	pool.update([]string{"a", "b"}) // so that the call begins the attempts
	assert.ErrorIs(t, callFor(t, pool, 10*time.Millisecond), DeadlineExceeded)
	assert.Len(t, ejectedOf(pool), 1)
}

// One deadline is one failure of a server, however many connections to it are to be made.
func TestPool_CountsADeadlineOnceForEachServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["mute"], n.odd["dumb"] = mute, mute
		pool := newPool(t, StaticResolver{"mute", "dumb"}, WithDialer(n.dial), WithConnsPerAddr(4), WithEjection(5, time.Second, time.Second), WithHandshakeTimeout(time.Hour))
		for range 5 {
			assert.Empty(t, ejectedOf(pool))
			assert.ErrorIs(t, callFor(t, pool, 100*time.Millisecond), DeadlineExceeded)
		}
		assert.Len(t, ejectedOf(pool), 4, "one of the two servers")
	})
}

// A server that says hello on one connection and not on another is there.
func TestPool_DoesNotEjectAServerForOneConnectionOfTwo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(1))
		var conns atomic.Int32
		n.odd["half"] = func(conn net.Conn) {
			if conns.Add(1) == 1 {
				srv.ServeConn(conn)
			} else {
				mute(conn)
			}
		}
		pool := newPool(t, StaticResolver{"half", "down", "away"}, WithDialer(n.dial), WithConnsPerAddr(2), WithEjection(1, time.Hour, time.Hour), WithHandshakeTimeout(time.Hour))
		held := pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		assert.ErrorIs(t, callFor(t, pool, 100*time.Millisecond), DeadlineExceeded)
		assert.Empty(t, ejectedOf(pool))
		close(inv.hold)
		assert.NoError(t, held.Wait())
	})
}

// Want of a hello does not shorten the pause of a server that has failed its calls.
func TestPool_ADeadlineDoesNotShortenAnEjection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		ill, well := newMoody(t), newMoody(t)
		n.set("ill", ill.Server)
		n.set("well", well.Server)
		pool := newPool(t, StaticResolver{"ill", "well"}, WithDialer(n.dial), WithEjection(1, time.Hour, time.Hour), WithHandshakeTimeout(time.Hour))
		warm(t, pool)
		ill.mood.Store("unavailable")
		require.Equal(t, 1, callMany(t, pool, 10))
		require.Equal(t, []string{"ill"}, ejectedOf(pool))

		speak, next := make(chan struct{}), newMoody(t)
		n.mu.Lock()
		n.odd["ill"] = func(conn net.Conn) { <-speak; next.ServeConn(conn) }
		n.odd["well"] = mute
		n.mu.Unlock()
		ill.Close()
		well.Close()
		<-time.After(time.Second) // the pool notices
		assert.ErrorIs(t, callFor(t, pool, 100*time.Millisecond), DeadlineExceeded)
		well = newMoody(t)
		n.set("well", well.Server)
		n.mu.Lock()
		delete(n.odd, "well")
		n.mu.Unlock()
		close(speak)
		synctest.Wait()
		assert.Equal(t, []string{"ill"}, ejectedOf(pool))
		assert.Equal(t, ejected, (*pool.members.Load())[0].server.state.Load(), "not on probe before its hour is over")
	})
}

// The hello is the sign of life that lets a server back which was left out for want of it.
func TestPool_LateHelloEndsAnEjection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		inv := newInventory()
		srv := inv.server(t)
		speak := make(chan struct{})
		n.odd["late"] = func(conn net.Conn) { <-speak; srv.ServeConn(conn) }
		n.odd["mute"] = mute
		pool := newPool(t, StaticResolver{"late", "mute"}, WithDialer(n.dial), WithEjection(1, time.Hour, time.Hour))
		assert.ErrorIs(t, callFor(t, pool, 100*time.Millisecond), DeadlineExceeded)
		require.Len(t, ejectedOf(pool), 1)
		close(speak)
		synctest.Wait()
		for range 3 {
			assert.NoError(t, callFor(t, pool, time.Second))
		}
		assert.NotContains(t, ejectedOf(pool), "late")
	})
}

func TestPool_ColdCallTakesTheFirstServerThatIsReady(t *testing.T) {
	for name, slow := range map[string]func(context.Context, string) (net.Conn, error){
		"no answer to connecting": func(ctx context.Context, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
		"refused":                 func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") },
		"no hello": func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go mute(far)
			return near, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				shelves(t, n, "good")
				var dials atomic.Int32
				dial := func(ctx context.Context, addr string) (net.Conn, error) {
					if addr != "good" {
						return slow(ctx, addr)
					}
					dials.Add(1)
					<-time.After(20 * time.Millisecond) // it is not the first to be connected to
					return n.dial(ctx, addr)
				}
				for range 100 {
					pool := NewPool(StaticResolver{"bad", "good", "worse"}, WithDialer(dial))
					begun := time.Now()
					assert.NoError(t, callFor(t, pool, 100*time.Millisecond))
					assert.Equal(t, 20*time.Millisecond, time.Since(begun), "as soon as one is there")
					pool.Close()
				}
				<-time.After(time.Second)
				assert.EqualValues(t, 100, dials.Load(), "one connection for each pool")
			})
		})
	}
}

func TestPool_WaitingCallTakesAServerThatTheResolverAdds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["mute"] = mute
		shelves(t, n.network, "good")
		for _, first := range [][]string{nil, {}, {"mute"}, {"down"}, {"mute", "down"}} {
			resolver := make(scriptedResolver)
			pool := NewPool(resolver, WithDialer(n.dial))
			if first != nil {
				resolver <- first
			}
			call := pool.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil)
			<-time.After(3 * time.Second)
			begun := time.Now()
			resolver <- append(first[:len(first):len(first)], "good")
			assert.NoError(t, call.Wait(), "after %q", first)
			assert.Zero(t, time.Since(begun), "after %q", first)
			pool.Close()
		}
	})
}

func TestPool_HelloThatIsRefusedIsTriedElsewhere(t *testing.T) {
	for name, peer := range map[string]func(net.Conn){
		"codec":   refusing(Unimplemented, `unknown codec "json"`),
		"version": anotherVersion,
		"room":    refusing(ResourceExhausted, "more than 1 connections"),
		"hook":    refusing(PermissionDenied, "not you"),
		"no rpc": func(conn net.Conn) {
			defer conn.Close()
			wire.ReadHello(conn, wire.MaxHello)
			io.WriteString(conn, "HTTP/1.1 400\r\n\r\n")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				n.odd["old"] = peer
				invs := shelves(t, n.network, "new")
				for range 20 {
					pool := NewPool(StaticResolver{"old", "new"}, WithDialer(n.dial))
					for range 10 {
						assert.NoError(t, callFor(t, pool, time.Second))
					}
					pool.Close()
				}
				assert.Equal(t, 200, invs[0].runs("item1"))
			})
		})
	}
}

func TestPool_HellosThatAllRefuseFailAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["a"], n.odd["b"] = refusing(Unimplemented, `unknown codec "json"`), refusing(Unimplemented, `unknown codec "json"`)
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial))
		begun := time.Now()
		for range 10 {
			err := pool.Call(t.Context(), checkStock.Name(), stockRequest{}, nil)
			assert.ErrorIs(t, err, Unimplemented)
			assert.ErrorContains(t, err, `unknown codec "json"`)
			assert.True(t, NeverRan(err))
		}
		assert.Zero(t, time.Since(begun))

		shelves(t, n.network, "b") // it is upgraded
		n.mu.Lock()
		delete(n.odd, "b")
		n.mu.Unlock()
		<-time.After(10 * time.Second)
		assert.NoError(t, callFor(t, pool, time.Second))
	})
}

// While one server may still take it, a call waits.
func TestPool_WaitsWhileNotAllServersRefuse(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["old"] = refusing(Unimplemented, "version 1")
		pool := newPool(t, StaticResolver{"old", "restarting"}, WithDialer(n.dial))
		call := pool.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil)
		<-time.After(time.Second)
		shelves(t, n.network, "restarting")
		assert.NoError(t, call.Wait())
	})
}

// Servers restart one after another, first as such that refuse what this client
// says, and then one after another as such that take it again.
func TestPool_RollingUpgradeLosesNoCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		addrs := StaticResolver{"a", "b", "c"}
		running := map[string]*Server{}
		start := func(addr string, opts ...ServerOption) {
			running[addr] = newInventory().server(t, opts...)
			n.set(addr, running[addr])
		}
		for _, addr := range addrs {
			start(addr, WithCodecs(Gob))
		}
		pool := newPool(t, addrs, WithDialer(n.dial), WithCodec(Gob))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var calls atomic.Int64
		for range 8 {
			wg.Go(func() {
				for ctx.Err() == nil {
					_, err := checkStock.Call(timeout(t, 10*time.Second), pool, &stockRequest{Item: "item1", Wait: time.Millisecond})
					assert.NoError(t, err)
					calls.Add(1)
				}
			})
		}
		restart := func(addr string, opts ...ServerOption) {
			n.set(addr, nil)
			require.NoError(t, running[addr].Shutdown(t.Context()))
			<-time.After(100 * time.Millisecond)
			start(addr, opts...)
			<-time.After(100 * time.Millisecond)
		}
		for _, addr := range addrs[:2] {
			restart(addr) // without gob
		}
		for _, addr := range addrs {
			restart(addr, WithCodecs(Gob))
		}
		cancel()
		wg.Wait()
		assert.Greater(t, calls.Load(), int64(1000))
		for _, srv := range running {
			srv.Close()
		}
	})
}

func TestPool_TakesAServerThatHasRoom(t *testing.T) {
	for _, b := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		t.Run(b.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				small, large := newInventory(), newInventory()
				for addr, srv := range map[string]*Server{"small": small.server(t, WithMaxInFlight(1)), "large": large.server(t)} {
					defer srv.Close()
					n.set(addr, srv)
				}
				pool := newPool(t, StaticResolver{"small", "large"}, WithDialer(n.dial), WithBalancing(b))
				warm(t, pool)
				var calls []*Pending
				for range 8 {
					calls = append(calls, pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
				}
				synctest.Wait()
				assert.Equal(t, 8, small.runs("held")+large.runs("held"), "none waits")
				assert.LessOrEqual(t, small.runs("held"), 1)
				close(small.hold)
				close(large.hold)
				for _, call := range calls {
					assert.NoError(t, call.Wait())
				}
			})
		})
	}
}

// What waits takes the first place that is free, on whichever server.
func TestPool_WaitingCallsTakeTheFirstFreePlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		stuck, busy := newInventory(), newInventory()
		for addr, srv := range map[string]*Server{"stuck": stuck.server(t, WithMaxInFlight(2)), "busy": busy.server(t, WithMaxInFlight(2))} {
			defer srv.Close()
			n.set(addr, srv)
		}
		pool := newPool(t, StaticResolver{"stuck", "busy"}, WithDialer(n.dial))
		warm(t, pool)
		var calls []*Pending
		for range 10 {
			calls = append(calls, pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil))
		}
		synctest.Wait()
		assert.Equal(t, []int{2, 2}, runsOf([]*inventory{stuck, busy}, "held"))
		close(busy.hold)
		synctest.Wait()
		assert.Equal(t, []int{2, 8}, runsOf([]*inventory{stuck, busy}, "held"))
		close(stuck.hold)
		for _, call := range calls {
			assert.NoError(t, call.Wait())
		}
	})
}

func TestPool_CallsThatWaitAreServedInTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		inv.started = make(chan string, 20)
		srv := inv.server(t, WithMaxInFlight(1))
		n.set("a", srv)
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial))
		var calls []*Pending
		for i := range 10 {
			calls = append(calls, pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: fmt.Sprint(i), Wait: time.Second}, nil))
			synctest.Wait()
		}
		for i, call := range calls {
			assert.NoError(t, call.Wait())
			assert.Equal(t, fmt.Sprint(i), <-inv.started)
		}
	})
}

// callers are a client of each kind at one address of n.
func callers(n *network, opts ...ClientOption) map[string]func(t *testing.T) caller {
	opts = append([]ClientOption{WithDialer(n.dial)}, opts...)
	return map[string]func(t *testing.T) caller{
		"pool": func(t *testing.T) caller { return NewPool(StaticResolver{"a"}, WithClientOptions(opts...)) },
		"client": func(t *testing.T) caller {
			client, err := Dial(t.Context(), "a", opts...)
			require.NoError(t, err)
			return client
		},
	}
}

type caller interface {
	Caller
	Go(ctx context.Context, method string, params, reply any) *Pending
	Close() error
}

func TestCall_WaitsUntilItsDeadlineForAServerThatRestarts(t *testing.T) {
	for _, kind := range []string{"pool", "client"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				first := newInventory().server(t)
				n.set("a", first)
				c := callers(n)[kind](t)
				defer c.Close()
				_, err := checkStock.Call(t.Context(), c, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				n.set("a", nil)
				first.Close()
				<-time.After(time.Second) // the client notices
				call := c.Go(timeout(t, 10*time.Second), checkStock.Name(), stockRequest{Item: "item1"}, nil)
				<-time.After(4 * time.Second)
				shelves(t, n, "a")
				begun := time.Now()
				assert.NoError(t, call.Wait())
				assert.LessOrEqual(t, time.Since(begun), 5*time.Second, "the longest pause between attempts to connect")
			})
		})
	}
}

func TestCall_WaitsNoLongerThanItMay(t *testing.T) {
	for name, c := range map[string]struct {
		opts     []ClientOption
		deadline time.Duration
		want     time.Duration
		code     Code
	}{
		"with a deadline":           {deadline: time.Minute, want: time.Minute, code: DeadlineExceeded},
		"without one":               {want: 30 * time.Second, code: Unavailable},
		"as long as the option":     {opts: []ClientOption{WithMaxWait(time.Second)}, want: time.Second, code: Unavailable},
		"the deadline counts":       {opts: []ClientOption{WithMaxWait(time.Second)}, deadline: time.Minute, want: time.Minute, code: DeadlineExceeded},
		"not at all":                {opts: []ClientOption{WithMaxWait(0)}, want: 0, code: Unavailable},
		"fail fast":                 {opts: []ClientOption{WithFailFast()}, want: 0, code: Unavailable},
		"fail fast, for a deadline": {opts: []ClientOption{WithFailFast()}, deadline: time.Minute, want: 0, code: Unavailable},
		"a default timeout":         {opts: []ClientOption{WithDefaultTimeout(time.Hour)}, want: time.Hour, code: DeadlineExceeded},
		"one attempt":               {opts: []ClientOption{WithMaxAttempts(1)}, want: 30 * time.Second, code: Unavailable},
	} {
		for _, kind := range []string{"pool", "client"} {
			t.Run(name+"/"+kind, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					n := newNetwork()
					first := newInventory().server(t)
					n.set("a", first)
					caller := callers(n, c.opts...)[kind](t)
					defer caller.Close()
					n.set("a", nil)
					first.Close()
					<-time.After(time.Second) // the client notices
					ctx := t.Context()
					if c.deadline > 0 {
						ctx = timeout(t, c.deadline)
					}
					begun := time.Now()
					err := caller.Call(ctx, checkStock.Name(), stockRequest{Item: "item1"}, nil)
					assert.Equal(t, c.want, time.Since(begun))
					assert.Equal(t, c.code, CodeOf(err))
					assert.ErrorContains(t, err, "dial a: connection refused")
					assert.True(t, NeverRan(err))
				})
			})
		}
	}
}

func TestDial_MakesOneAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["mute"] = mute
		for _, ctx := range []context.Context{t.Context(), timeout(t, time.Hour)} {
			begun := time.Now()
			_, err := Dial(ctx, "nowhere", WithDialer(n.dial))
			assert.EqualError(t, err, "rpc: unavailable: dial nowhere: connection refused")
			assert.Zero(t, time.Since(begun))

			_, err = Dial(ctx, "mute", WithDialer(n.dial))
			assert.ErrorIs(t, err, Unavailable)
			assert.Equal(t, 10*time.Second, time.Since(begun), "the handshake timeout")
		}
	})
}

// Over a full server calls wait as they do for one that is not there.
func TestCall_WaitsForAPlaceNoLongerThanItMay(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(1))
		client := pipe(t, srv)
		held := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		begun := time.Now()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "calls in flight")
		assert.True(t, NeverRan(err))
		assert.Equal(t, 30*time.Second, time.Since(begun))
		assert.NoError(t, client.Ping(t.Context()), "a ping needs no place")
		close(inv.hold)
		assert.NoError(t, held.Wait())
	})
}

// The calls that were made before the hello of a connection that cannot be made anew
// hear of it, too.
func TestNewClient_CallsThatWaitForNoMoreThanTheHelloEndWithIt(t *testing.T) {
	for range 20 { // the hello and the calls race
		bubble(t, func(t *testing.T) {
			inv := newInventory()
			srv := inv.server(t, WithMaxInFlight(1))
			near, far := net.Pipe()
			client := NewClient(near, WithMaxWait(0))
			defer client.Close()
			ended := make(chan error, 2)
			for range 2 {
				go func() { ended <- client.Call(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil) }()
			}
			synctest.Wait()
			require.Empty(t, ended, "they wait for the hello")
			begun := time.Now()
			go srv.ServeConn(far)
			var err error
			select {
			case err = <-ended:
			case <-time.After(time.Hour):
			}
			assert.ErrorIs(t, err, Unavailable)
			assert.ErrorContains(t, err, "calls in flight")
			assert.True(t, NeverRan(err))
			assert.Zero(t, time.Since(begun))
			close(inv.hold)
			assert.NoError(t, <-ended)
		})
	}
}

// A call that waits for an attempt to connect gets what comes of it, whoever looks meanwhile.
func TestPool_NoCallLosesTheConnectionThatItHasWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		shelves(t, n, "a")
		for range 200 {
			pool := NewPool(StaticResolver{"a"}, WithDialer(n.dial), WithMaxWait(0))
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for range 4 {
						assert.NoError(t, pool.Call(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil))
					}
				})
			}
			wg.Wait()
			pool.Close()
		}
	})
}

// A backoff's pause is no attempt: calls that do not wait for it fail at once,
// also if the one before has succeeded and its connection broke.
func TestCall_DoesNotWaitForAPauseIfItMayNot(t *testing.T) {
	for name, opt := range map[string]ClientOption{"fail fast": WithFailFast(), "no wait": WithMaxWait(0)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				srv := newInventory().server(t)
				conns := make(chan net.Conn, 10)
				n.odd["a"] = func(conn net.Conn) { conns <- conn; srv.ServeConn(conn) }
				pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithBackoff(time.Second, time.Minute), opt)
				warm(t, pool)
				(<-conns).Close() // soon after its hello
				<-time.After(100 * time.Millisecond)
				begun := time.Now()
				err := pool.Call(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil)
				assert.ErrorIs(t, err, Unavailable)
				assert.ErrorContains(t, err, "a: connection lost: ")
				assert.True(t, NeverRan(err))
				assert.Zero(t, time.Since(begun))
			})
		})
	}
}

// What a call waits for decides how it fails, not what another server has said.
func TestPool_AFullServerIsNotUnavailableForAnothersReason(t *testing.T) {
	for name, c := range map[string]struct {
		opt      ClientOption
		deadline time.Duration
		code     Code
	}{
		"no wait":       {opt: WithMaxWait(0), code: Unavailable},
		"a second":      {opt: WithMaxWait(time.Second), code: Unavailable},
		"with deadline": {opt: WithMaxWait(0), deadline: time.Second, code: DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				n.odd["old"] = refusing(Unimplemented, "version 1")
				inv := newInventory()
				srv := inv.server(t, WithMaxInFlight(1))
				n.set("full", srv)
				pool := newPool(t, StaticResolver{"old", "full"}, WithDialer(n.dial), c.opt)
				warm(t, pool)
				held := pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
				synctest.Wait()
				ctx := t.Context()
				if c.deadline > 0 {
					ctx = timeout(t, c.deadline)
				}
				err := pool.Call(ctx, checkStock.Name(), stockRequest{Item: "item1"}, nil)
				assert.Equal(t, c.code, CodeOf(err))
				assert.ErrorContains(t, err, "all connections to full have as many calls in flight")
				assert.NotContains(t, err.Error(), "old")
				assert.True(t, NeverRan(err))
				close(inv.hold)
				assert.NoError(t, held.Wait())
			})
		})
	}
}

// A connection that was idle for long has not broken right after its hello.
func TestPool_AnIdleConnectionMayEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		shelves(t, n, "a")
		idle := newInventory().server(t)
		n.set("idle", idle)
		slow := make(chan struct{})
		resolver := make(scriptedResolver)
		pool := NewPool(resolver, WithKeepalive(0), WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			if addr == "idle" {
				select {
				case <-slow:
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			return n.dial(ctx, addr)
		}))
		defer pool.Close()
		resolver <- []string{"a", "idle"}
		warm(t, pool) // by a
		slow <- struct{}{}
		synctest.Wait()
		resolver <- []string{"idle"}
		<-time.After(time.Minute)
		require.True(t, pool.Members()[0].Connected)
		idle.Close()
		<-time.After(time.Second) // the pool notices
		err := callFor(t, pool, time.Second)
		assert.EqualError(t, err, "rpc: deadline_exceeded: connecting to idle: context deadline exceeded")
	})
}

func TestCall_WaitingCallsAreBounded(t *testing.T) {
	for _, kind := range []string{"pool", "client"} {
		t.Run(kind, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				first := newInventory().server(t)
				n.set("a", first)
				c := callers(n, WithMaxWaiting(3))[kind](t)
				defer c.Close()
				n.set("a", nil)
				first.Close()
				<-time.After(time.Second) // the client notices
				var calls []*Pending
				for range 3 {
					calls = append(calls, c.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil))
				}
				synctest.Wait()
				begun := time.Now()
				err := c.Call(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil)
				assert.ErrorIs(t, err, Unavailable)
				assert.ErrorContains(t, err, "3 calls are waiting")
				assert.True(t, NeverRan(err))
				assert.Zero(t, time.Since(begun))
				shelves(t, n, "a")
				for _, call := range calls {
					assert.NoError(t, call.Wait())
				}
				assert.NoError(t, c.Call(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil))
			})
		})
	}
}

// Going away, being refused and being cut off before the first byte count: a
// server that takes calls and runs none is not asked for ever.
func TestCall_RequestsThatWereWrittenAreAttempts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		requests := 0
		n.odd["a"] = func(conn net.Conn) {
			raw := rawOn(t, conn)
			wire.ReadHello(conn, wire.MaxHello)
			raw.write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
			if _, err := raw.in.next(); err == nil {
				requests++
				raw.write(appendGoAway(nil, 0, Errorf(Unavailable, "not now")))
			}
			io.Copy(io.Discard, conn)
		}
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithMaxAttempts(3))
		err := pool.Call(timeout(t, time.Hour), checkStock.Name(), stockRequest{}, nil)
		assert.ErrorContains(t, err, "not now")
		assert.True(t, NeverRan(err))
		assert.Equal(t, 3, requests)
	})
}

// A server that says hello and ends the connection is not connected to in a tight loop.
func TestClient_BacksOffFromConnectionsThatBreakAtOnce(t *testing.T) {
	for name, end := range map[string]func(conn net.Conn){
		"hangs up":  func(net.Conn) {},
		"goes away": func(conn net.Conn) { conn.Write(appendGoAway(nil, 0, Errorf(Unavailable, "not now"))) },
		"pings and hangs up": func(conn net.Conn) {
			conn.Write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
			conn.Read(make([]byte, 64))
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newPeers()
				var hellos atomic.Int64
				n.odd["a"] = func(conn net.Conn) {
					hellos.Add(1)
					wire.ReadHello(conn, wire.MaxHello)
					conn.Write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
					end(conn)
					conn.Close()
				}
				pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithBackoff(time.Second, time.Second))
				for begun := time.Now(); time.Since(begun) < time.Minute; {
					assert.Error(t, callFor(t, pool, time.Second))
					<-time.After(time.Millisecond)
				}
				assert.LessOrEqual(t, hellos.Load(), int64(130))
			})
		})
	}
}

var errRegistry = errors.New("the registry is on fire")

// brokenResolver fails, having said what it knows.
type brokenResolver []string

func (r brokenResolver) Resolve(_ context.Context, update func([]string)) error {
	if len(r) > 0 {
		update(r)
	}
	return fmt.Errorf("resolve: %w", errRegistry)
}

func TestPool_CallerSeesTheResolversError(t *testing.T) {
	for name, c := range map[string]struct {
		resolver brokenResolver
		opts     []PoolOption
		deadline time.Duration
		code     Code
	}{
		"a deadline":               {deadline: time.Second, code: DeadlineExceeded},
		"no deadline":              {code: Unavailable},
		"fail fast":                {opts: []PoolOption{WithFailFast()}, code: Unavailable},
		"servers that are down":    {resolver: brokenResolver{"down"}, deadline: time.Second, code: DeadlineExceeded},
		"down, without a deadline": {resolver: brokenResolver{"down"}, code: Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool := newPool(t, c.resolver, append(c.opts, WithDialer(newNetwork().dial))...)
				ctx := t.Context()
				if c.deadline > 0 {
					ctx = timeout(t, c.deadline)
				}
				err := pool.Call(ctx, checkStock.Name(), stockRequest{}, nil)
				assert.Equal(t, c.code, CodeOf(err))
				assert.ErrorIs(t, err, errRegistry)
				assert.ErrorContains(t, err, errRegistry.Error())
				assert.True(t, NeverRan(err))
			})
		})
	}
}

func TestPool_ServesOnWhileItsResolverFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		shelves(t, n, "a")
		pool := newPool(t, brokenResolver{"a"}, WithDialer(n.dial))
		for range 10 {
			assert.NoError(t, callFor(t, pool, time.Second))
			<-time.After(time.Second)
		}
	})
}

func TestNewClient_LostConnectionFailsCallsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		require.NoError(t, client.Ping(t.Context()))
		srv.Close()
		<-time.After(time.Second) // the client notices
		begun := time.Now()
		_, err := checkStock.Call(timeout(t, time.Minute), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "connection lost")
		assert.True(t, NeverRan(err))
		assert.Zero(t, time.Since(begun))
	})
}

// Many callers, few places, deadlines that pass while they wait: at the end every
// place is free again.
func TestPool_PlacesAreNeverLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		for _, addr := range []string{"a", "b"} {
			srv := newInventory().server(t, WithMaxInFlight(2))
			n.set(addr, srv)
		}
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial), WithEjection(0, 0, 0))
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				for j := range 50 {
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+(i+j)%13)*time.Millisecond)
					checkStock.Call(ctx, pool, &stockRequest{Item: "item1", Wait: 3 * time.Millisecond})
					cancel()
				}
			})
		}
		wg.Wait()
		<-time.After(time.Second)
		var calls []*Pending
		for range 4 {
			calls = append(calls, pool.Go(timeout(t, time.Second), checkStock.Name(), stockRequest{Item: "item1", Wait: 999 * time.Millisecond}, nil))
		}
		for _, call := range calls {
			assert.NoError(t, call.Wait())
		}
	})
}

// panicking is a resolver that panics twice.
type panicking struct{ times int }

func (p *panicking) Resolve(ctx context.Context, update func([]string)) error {
	if p.times++; p.times <= 2 {
		panic("no registry")
	}
	update([]string{"a"})
	<-ctx.Done()
	return ctx.Err()
}

func TestPool_SurvivesAResolverAndADialerThatPanic(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		shelves(t, n, "a")
		dials := 0
		odd := []error{typedNil(), wrapped(typedNil()), ownTypedNil(), panickyIs{errors.New("text")}, panickyAs{errors.New("text")}, panickyUnwrap{}, exitingAs{}, OK, wrapsItself{"text"}}
		pool := NewPool(new(panicking), WithBackoff(time.Millisecond, 10*time.Millisecond), WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			switch dials++; dials {
			case 1:
				panic("no network")
			case 2:
				return nil, nil
			case 3:
				return (*net.TCPConn)(nil), nil
			case 4:
				runtime.Goexit()
			}
			if i := dials - 5; i < len(odd) {
				return nil, odd[i]
			}
			return n.dial(ctx, addr)
		}))
		defer pool.Close()
		assert.NoError(t, callFor(t, pool, 10*time.Second))
		assert.Equal(t, 5+len(odd), dials)
	})
}

// exitingAs ends the goroutine that looks at it.
type exitingAs struct{}

func (exitingAs) Error() string { return "text" }
func (exitingAs) As(any) bool   { runtime.Goexit(); return false }

// The error of an odd dialer or resolver is told as far as it can be read.
func TestPool_TellsOddErrors(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	for name, odd := range map[string]error{
		"a nil *Error": typedNil(), "a nil error of the user's": ownTypedNil(), "a panic in Unwrap": panickyUnwrap{},
		"a panic in As": panickyAs{errors.New("text")}, "Goexit in As": exitingAs{}, "one that wraps itself": wrapsItself{"text"},
	} {
		for _, deadline := range []bool{false, true} {
			bubble(t, func(t *testing.T) {
				pools := map[string]*Pool{
					"dialer":   NewPool(StaticResolver{"a"}, WithDialer(func(context.Context, string) (net.Conn, error) { return nil, odd })),
					"resolver": NewPool(oddResolver{odd}),
				}
				for who, pool := range pools {
					ctx := t.Context()
					if deadline {
						ctx = timeout(t, time.Second)
					}
					err := error(nil)
					apart(func() { err = pool.Call(ctx, checkStock.Name(), stockRequest{}, nil) })
					assert.Error(t, err, "%s: %s", name, who)
					assert.True(t, NeverRan(err), "%s: %s: %v", name, who, err)
					pool.Close()
				}
			})
		}
	}
}

// oddResolver returns its error.
type oddResolver struct{ err error }

func (r oddResolver) Resolve(context.Context, func([]string)) error { return r.err }

// TLS calls functions of the user's, too.
func TestPool_SurvivesATLSConfigurationThatPanics(t *testing.T) {
	for name, odd := range map[string]func(tls.ConnectionState) error{
		"panics":              func(tls.ConnectionState) error { panic("no identity") },
		"ends its goroutine":  func(tls.ConnectionState) error { runtime.Goexit(); return nil },
		"returns a nil error": func(tls.ConnectionState) error { return ownTypedNil() },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			ca := newAuthority(t)
			srv := newInventory().server(t, WithTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}))
			var times atomic.Int32
			pool := NewPool(StaticResolver{listen(t, srv)}, WithTLS(&tls.Config{RootCAs: ca.pool, VerifyConnection: func(s tls.ConnectionState) error {
				if times.Add(1) == 1 {
					return odd(s)
				}
				return nil
			}}))
			defer pool.Close()
			assert.NoError(t, callFor(t, pool, time.Minute))
			assert.EqualValues(t, 2, times.Load())
		})
	}
}

// A server whose connection has ended while the call was elsewhere is still one to try.
func TestPool_ConnectsAnewToAServerThatACallHasNotTried(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		var conns sync.Map // net.Conn by address
		came := 0
		for _, addr := range []string{"a", "b"} {
			srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
				if came++; came != 2 {
					return Identity{}, nil
				}
				other, _ := conns.Load(map[string]string{"a": "b", "b": "a"}[addr])
				other.(net.Conn).Close()
				<-time.After(time.Second) // the pool notices
				return Identity{}, askToWait("6000")
			}))
			defer srv.Close()
			n.set(addr, srv)
		}
		pool := NewPool(StaticResolver{"a", "b"}, WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
			conn, err := n.dial(ctx, addr)
			conns.Store(addr, conn)
			return conn, err
		}))
		defer pool.Close()
		warm(t, pool)
		<-time.After(time.Minute) // the connections have proved themselves
		assert.NoError(t, callFor(t, pool, 3*time.Second))
		assert.Equal(t, 3, came)
	})
}

// With a pause that is over at once, an attempt that failed is one all the same.
func TestCall_WaitsForOneAttemptWithoutAPause(t *testing.T) {
	noLeaks(t)
	const addr = "a"
	for name, c := range map[string]struct {
		call func(ctx context.Context, dialer ClientOption) error
		most int32 // dials
	}{
		"Dial": {func(ctx context.Context, dialer ClientOption) error {
			_, err := Dial(ctx, addr, WithBackoff(1, 1), dialer)
			return err
		}, 1},
		"fail fast": {func(ctx context.Context, dialer ClientOption) error {
			pool := newPool(t, StaticResolver{addr}, WithBackoff(1, 1), dialer, WithFailFast())
			return pool.Call(ctx, checkStock.Name(), nil, nil)
		}, 2}, // the first may have failed before the call began to wait
	} {
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			var dials atomic.Int32
			err := c.call(ctx, WithDialer(func(context.Context, string) (net.Conn, error) {
				if dials.Add(1) > 100 {
					cancel() // it goes on for ever
				}
				return nil, errors.New("connection refused")
			}))
			cancel()
			assert.ErrorIs(t, err, Unavailable, name)
			assert.LessOrEqual(t, dials.Load(), c.most, name)
		}
	}
}

// A connection that the user has made has no address to be named.
func TestNewClient_ErrorsNameAServerWithoutAnAddress(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithMaxInFlight(1))
		client := pipe(t, srv, WithFailFast())
		startOne(t, client, "held")
		err := client.Call(t.Context(), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
		assert.ErrorContains(t, err, "all connections to the server have as many calls in flight")
		client.Close()
	})
}

// A call that begins while the hellos are exchanged may wait for them, even if it may not
// wait for a slot: it gets the connection.
func TestNewClient_ACallDuringTheHelloIsMade(t *testing.T) {
	for range 1000 { // it had to begin in the moment after the hello
		bubble(t, func(t *testing.T) {
			client := pipe(t, newInventory().server(t), WithMaxWait(0))
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		})
	}
}
