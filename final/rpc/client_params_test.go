package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

const (
	crowdParams = 256 << 10
	crowdMemory = 4*7*crowdParams + 64<<10 // what four such calls take, and a little more
)

// crowd is a server that has memory for four calls with params of crowdParams at a time.
type crowd struct {
	*Server
	text string
	hold chan struct{} // handlers wait for it

	mu        sync.Mutex
	most, now int // calls with large params that run
}

func newCrowd(t *testing.T, opts ...ServerOption) *crowd {
	c := &crowd{text: strings.Repeat("x", crowdParams-100), hold: make(chan struct{})}
	c.Server = newServer(t, append([]ServerOption{WithParamsMemory(8*crowdMemory, crowdMemory)}, opts...)...)
	require.NoError(t, c.RegisterFunc("Test.Large", func(_ context.Context, text string) (int, error) {
		c.count(1)
		defer c.count(-1)
		<-c.hold
		return len(text), nil
	}))
	require.NoError(t, c.RegisterFunc("Test.Small", func(text string) int { return len(text) }))
	return c
}

func (c *crowd) count(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now += n
	c.most = max(c.most, c.now)
}

// running waits until nothing happens any more, and returns how many large calls run.
func (c *crowd) running() int {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// fill has four calls run, and returns what ends them and waits for them.
func (c *crowd) fill(t *testing.T, caller Caller) (end func()) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() { assert.NoError(t, caller.Call(context.Background(), "Test.Large", c.text, nil)) })
	}
	require.Equal(t, 4, c.running())
	return func() {
		close(c.hold)
		all.Wait()
	}
}

// 64 calls wait for room in place of being refused, and small ones do not wait for them.
func TestParamsRoom_CallsWaitForRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t, WithMaxInFlight(8))
		client := pipe(t, srv.Server)
		var all sync.WaitGroup
		for range 64 {
			all.Go(func() {
				var n int
				assert.NoError(t, client.Call(t.Context(), "Test.Large", srv.text, &n))
				assert.Equal(t, len(srv.text), n)
			})
		}
		assert.Equal(t, 4, srv.running())
		assert.Equal(t, 60, Waiting(client))
		leased, _ := Leased(srv.Server)
		assert.LessOrEqual(t, leased, int64(crowdMemory+64<<10), "the connection's share, in blocks")
		var n int
		require.NoError(t, client.Call(t.Context(), "Test.Small", "x", &n), "though 60 wait and there are 8 slots")
		close(srv.hold)
		all.Wait()
		assert.Equal(t, 4, srv.most)
		assert.Zero(t, ParamsInFlight(client))
		conn := client.conn.Load()
		conn.mu.Lock()
		defer conn.mu.Unlock()
		assert.Zero(t, conn.inFlight)
	})
}

// What is announced is what the server has: whatever the size, and though it may have been
// compressed, no call that the client lets pass is refused. Nor is much left unused.
func TestParamsRoom_NoneIsRefusedThatHadRoom(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for _, size := range []int{5 << 10, 64<<10 + 1, 255 << 10, 257 << 10} {
		text := make([]byte, size)
		random.Read(text)
		for i, b := range text {
			text[i] = 'a' + b%4
		}
		for _, compressed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d/%v", size, compressed), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					for range 64 { // what other calls leave behind costs nobody room
						bytepool.Put(&bytepool.Buffer{B: make([]byte, 0, 2<<bits.Len(uint(size+2))-1)})
					}
					memory := 10*7*size + 64<<10
					var server []ServerOption
					client := []ClientOption{WithMaxAttempts(1)}
					if compressed {
						server, client = append(server, WithCompression(1)), append(client, WithCompression(1))
					}
					srv := newCrowd(t, append(server, WithParamsMemory(8*memory, memory))...)
					c := pipe(t, srv.Server, client...)
					var all sync.WaitGroup
					for range 20 {
						all.Go(func() { assert.NoError(t, c.Call(t.Context(), "Test.Large", string(text), nil)) })
					}
					assert.GreaterOrEqual(t, srv.running(), 10)
					close(srv.hold)
					all.Wait()
				})
			})
		}
	}
}

// A call that waits ends with its context, and never ran. Those behind it go on.
func TestParamsRoom_WaitingEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		client := pipe(t, srv.Server, WithMaxWait(10*time.Second))
		end := srv.fill(t, client)
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := client.Call(ctx, "Test.Large", srv.text, nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorIs(t, err, DeadlineExceeded)
		assert.ErrorContains(t, err, "bytes of params in flight")
		assert.True(t, NeverRan(err))
		assert.Equal(t, time.Second, time.Since(begun))

		err = client.Call(t.Context(), "Test.Large", srv.text, nil)
		assert.ErrorIs(t, err, Unavailable)
		assert.ErrorContains(t, err, "waited 10s (WithMaxWait)")
		assert.True(t, NeverRan(err))
		assert.Equal(t, 11*time.Second, time.Since(begun))

		last, behind := make(chan error, 1), make(chan error, 1)
		ctx, cancel = context.WithCancel(t.Context())
		go func() { last <- client.Call(ctx, "Test.Large", srv.text, nil) }()
		synctest.Wait()
		go func() { behind <- client.Call(t.Context(), "Test.Large", srv.text, nil) }()
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, <-last, Canceled)
		end()
		assert.NoError(t, <-behind)
		assert.Zero(t, ParamsInFlight(client))
	})
}

// A call that gets a smaller need's room when the one before it has left.
func TestParamsRoom_WhoLeavesLetsOthersPass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		client := pipe(t, srv.Server)
		end := srv.fill(t, client)
		ctx, cancel := context.WithCancel(t.Context())
		large, small := make(chan error, 1), make(chan error, 1)
		go func() { large <- client.Call(ctx, "Test.Small", srv.text, nil) }()
		synctest.Wait()
		go func() { small <- client.Call(t.Context(), "Test.Small", srv.text[:5<<10], nil) }()
		synctest.Wait()
		assert.Empty(t, small, "first come, first served")
		cancel()
		assert.ErrorIs(t, <-large, Canceled)
		assert.NoError(t, <-small)
		end()
	})
}

// The first in line may be dismissed the moment it is there. Those behind it go on.
func TestParamsRoom_WhoIsDismissedLetsOthersPass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20, Text: "rpc.params=65536,65536"}, WithMaxWait(0))
		go client.Call(t.Context(), "Test.It", strings.Repeat("x", 50_000), nil)
		raw.read()
		large, small := make(chan error, 1), make(chan error, 1)
		ctx := timeout(t, time.Second)
		inLine := func(n int32) {
			for client.group.crowd.n.Load() < n {
				runtime.Gosched()
			}
		}
		client.group.mu.Lock() // each waits for it once it is in line, and asks then what it may hope for
		go func() { large <- client.Call(t.Context(), "Test.It", strings.Repeat("x", 40_000), nil) }()
		inLine(1)
		go func() { small <- client.Call(ctx, "Test.It", strings.Repeat("x", 5_000), nil) }()
		inLine(2)
		client.group.mu.Unlock()
		assert.ErrorIs(t, <-large, Unavailable)
		synctest.Wait()
		require.Zero(t, Waiting(client), "there is room for it")
		raw.write(frameOf(wire.KindResponse, 0, raw.read().ID, ""))
		assert.NoError(t, <-small)
	})
}

// A call without a deadline that WithMaxWait(0) lets wait for nothing does not pass those in
// line, also if there is room for it. Its error says that it was not its turn.
func TestParamsRoom_WithoutWaitingNoneIsPassed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 3, MaxMessage: 4 << 20, Text: "rpc.params=65536,65536"}, WithMaxWait(0))
		fails := func(size int, why string) {
			err := client.Call(t.Context(), "Test.It", strings.Repeat("x", size-2), nil)
			assert.ErrorIs(t, err, Unavailable)
			assert.ErrorContains(t, err, why)
			assert.True(t, NeverRan(err))
		}
		go client.Call(t.Context(), "Test.It", strings.Repeat("x", 50_000), nil)
		raw.read()
		fails(40_000, "all connections to the server have too many bytes of params in flight for 40000 more")
		ctx, cancel := context.WithCancel(timeout(t, time.Minute))
		waits := make(chan error, 1)
		go func() { waits <- client.Call(ctx, "Test.It", strings.Repeat("x", 40_000), nil) }()
		synctest.Wait()
		fails(5_000, "other calls that wait for room for their params come first on the connections to the server")
		cancel()
		assert.ErrorIs(t, <-waits, Canceled)
		for range 2 {
			go client.Call(t.Context(), "Test.It", "x", nil)
			raw.read()
		}
		fails(40_000, "all connections to the server have as many calls in flight as the servers allow")
	})
}

// A call with which a server is to be tried again may find no room for its params there. Then
// another call decides.
func TestParamsRoom_WhoWaitsGivesTheProbeBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		n := newNetwork()
		n.set("a", srv.Server)
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithMaxAttempts(1))
		end := srv.fill(t, pool)
		c := (*pool.members.Load())[0]
		c.server.state.Store(halfOpen)
		waits := pool.Go(t.Context(), "Test.Small", srv.text, nil)
		synctest.Wait()
		require.Equal(t, 1, Waiting(pool))
		require.Equal(t, halfOpen, c.server.state.Load())
		require.NoError(t, pool.Call(t.Context(), "Test.Small", "x", nil))
		assert.Equal(t, healthy, c.server.state.Load())
		end()
		assert.NoError(t, waits.Wait())
	})
}

// Neither those that wait for a slot nor those that wait for room, too, keep the others out.
func TestParamsRoom_AllThatWaitTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 2, MaxMessage: 4 << 20, Text: "rpc.params=300000,300000"})
		large, calls := strings.Repeat("x", 250_000), []*Pending(nil)
		start := func(method, text string) {
			calls = append(calls, client.Go(t.Context(), method, text, nil))
			synctest.Wait()
		}
		start("Large", large)
		raw.read()
		for range 4 {
			start("Large", large) // gets the other slot, and has no room
		}
		start("Small", "x")
		held := raw.read().ID
		for range 4 {
			start("Small", "x") // has no slot
		}
		require.Equal(t, 8, Waiting(client))
		raw.write(frameOf(wire.KindResponse, 0, 1, ""))
		var order []string
		for range 8 {
			f := raw.read()
			r, err := wire.ParseRequest(&f)
			require.NoError(t, err)
			order = append(order, string(r.Method))
			raw.write(frameOf(wire.KindResponse, 0, f.ID, ""))
		}
		raw.write(frameOf(wire.KindResponse, 0, held, ""))
		for _, c := range calls {
			assert.NoError(t, c.Wait())
		}
		assert.ElementsMatch(t, []string{"Large", "Small"}, order[:2], "%v", order)
		assert.ElementsMatch(t, []string{"Large", "Small"}, order[2:4], "%v", order)
		assert.Zero(t, ParamsInFlight(client))
	})
}

// Without a deadline, the time of WithMaxWait is for all waiting of a call together. With 0
// it waits for nothing.
func TestParamsRoom_WaitsNoLongerThanForASlot(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		client := pipe(t, srv.Server, WithMaxWait(0))
		require.NoError(t, client.Call(t.Context(), "Test.Small", "x", nil))
		end := srv.fill(t, client)
		begun := time.Now()
		err := client.Call(t.Context(), "Test.Large", srv.text, nil)
		assert.ErrorIs(t, err, Unavailable)
		assert.True(t, NeverRan(err))
		assert.Zero(t, time.Since(begun))
		end()
	})
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 1, MaxMessage: 4 << 20, Text: "rpc.params=300000,300000"})
		client.options.maxWait = 10 * time.Second
		client.group.options.maxWait = 10 * time.Second
		go client.Call(t.Context(), "Test.It", strings.Repeat("x", 250_000), nil)
		raw.read()
		begun := time.Now()
		waits := make(chan error, 1)
		go func() { waits <- client.Call(t.Context(), "Test.It", strings.Repeat("x", 250_000), nil) }()
		<-time.After(6 * time.Second)
		raw.write(frameOf(wire.KindPing, 0, 1, "")) // it waits for a slot until now
		assert.ErrorIs(t, <-waits, Unavailable)
		assert.Equal(t, 10*time.Second, time.Since(begun))
	})
}

// All that wait are bounded together, whatever they wait for. One more fails at once; it is
// not tried again, and does not speak against the server.
func TestParamsRoom_WaitingIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t, WithMaxInFlight(4))
		attempts := atomic.Int32{}
		client := pipe(t, srv.Server, WithMaxWaiting(5), WithObserver(Observer{AttemptDone: func(context.Context, Attempt) { attempts.Add(1) }}))
		end := srv.fill(t, client)
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { assert.NoError(t, client.Call(t.Context(), "Test.Large", srv.text, nil)) })
		}
		for range 2 {
			all.Go(func() { assert.NoError(t, client.Call(t.Context(), "Test.Small", "x", nil)) })
		}
		synctest.Wait()
		for _, params := range []string{srv.text, "x"} {
			begun := time.Now()
			err := client.Call(t.Context(), "Test.Large", params, nil)
			assert.ErrorIs(t, err, Unavailable)
			assert.ErrorContains(t, err, "5 calls are waiting for a server already (WithMaxWaiting)")
			assert.True(t, NeverRan(err))
			assert.Zero(t, time.Since(begun))
		}
		assert.Zero(t, attempts.Load())
		end()
		all.Wait()
		assert.EqualValues(t, 9, attempts.Load(), "a call that waits has made no attempt")
		assert.Zero(t, Waiting(client))
	})
}

// Calls wait with their params, and not with what they are encoded to.
func TestParamsRoom_WaitingTakesNoMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		client := pipe(t, srv.Server)
		end := srv.fill(t, client)
		before := heapNow()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { assert.NoError(t, client.Call(t.Context(), "Test.Small", srv.text, nil)) })
		}
		synctest.Wait()
		assert.Equal(t, 100, Waiting(client))
		assert.Less(t, heapNow()-before, int64(10*crowdParams), "they would be 25 MiB, encoded")
		end()
		all.Wait()
	})
}

func heapNow() int64 {
	runtime.GC()
	runtime.GC() // what pools hold is gone after the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A call of a Pool waits for room on any member.
func TestParamsRoom_APoolUsesAllOfItsServers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		servers := map[string]*crowd{"a": newCrowd(t), "b": newCrowd(t)}
		defer servers["a"].Close()
		defer servers["b"].Close()
		pool := NewPool(StaticResolver{"a", "b"}, WithMaxAttempts(1), WithDialer(func(_ context.Context, addr string) (net.Conn, error) {
			near, far := net.Pipe()
			go servers[addr].ServeConn(far)
			return near, nil
		}))
		defer pool.Close()
		for range 8 {
			go pool.Call(t.Context(), "Test.Large", servers["a"].text, nil)
			synctest.Wait() // one after the other: TwoChoices may choose a full one
		}
		assert.Equal(t, 4, servers["a"].running())
		assert.Equal(t, 4, servers["b"].running())
		ninth := make(chan error, 1)
		go func() { ninth <- pool.Call(t.Context(), "Test.Large", servers["a"].text, nil) }()
		synctest.Wait()
		assert.Equal(t, 1, Waiting(pool))
		close(servers["b"].hold)
		assert.NoError(t, <-ninth)
		close(servers["a"].hold)
		synctest.Wait()
		assert.Zero(t, ParamsInFlight(pool))
	})
}

// A call may go to a member that has no room left for the next, which has room on another.
func TestParamsRoom_WhoIsServedLetsOthersPassElsewhere(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hello := wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20, Text: "rpc.params=100000,100000"}
		ends, raws := map[string]net.Conn{}, map[string]*rawConn{}
		for _, addr := range []string{"a", "b"} {
			near, far := net.Pipe()
			ends[addr], raws[addr] = near, rawOn(t, far)
			go func() {
				wire.ReadHello(far, wire.MaxHello)
				raws[addr].write(hello.Append(nil))
			}()
		}
		pool := NewPool(StaticResolver{"a", "b"}, WithBalancing(RoundRobin), WithDialer(func(_ context.Context, addr string) (net.Conn, error) {
			return ends[addr], nil
		}))
		defer pool.Close()
		start := func(bytes int) *Pending {
			p := pool.Go(t.Context(), "Test.It", strings.Repeat("x", bytes-2), nil)
			synctest.Wait()
			return p
		}
		start(60_000)
		start(60_000)
		for _, raw := range raws {
			require.Equal(t, wire.KindRequest, raw.read().Kind, "each has one")
		}
		start(90_000) // gets what a call gives back
		start(30_000) // has room on the other
		require.Equal(t, 2, Waiting(pool))
		raws["a"].write(frameOf(wire.KindResponse, 0, 1, ""))
		assert.EqualValues(t, 90_000, bodySize(t, raws["a"]))
		assert.EqualValues(t, 30_000, bodySize(t, raws["b"]))
		assert.Zero(t, Waiting(pool))
	})
}

func bodySize(t *testing.T, raw *rawConn) int {
	f := raw.read()
	r, err := wire.ParseRequest(&f)
	require.NoError(t, err)
	return len(r.Body)
}

// A call whose params can never fit fails at once: those that no type makes fit at the
// client, and others by the server, for which they do not wait. Both say which option.
func TestParamsRoom_WhatNeverFitsFailsAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t, WithMaxMessage(2*crowdMemory))
		client := pipe(t, srv.Server)
		end := srv.fill(t, client)
		for size, text := range map[int]string{crowdMemory: "on one connection the server has memory for", crowdMemory / 3: "those of one connection may take"} {
			begun := time.Now()
			err := client.Call(t.Context(), "Test.Small", strings.Repeat("x", size), nil)
			assert.ErrorIs(t, err, ResourceExhausted)
			assert.ErrorContains(t, err, text)
			assert.ErrorContains(t, err, "WithParamsMemory")
			assert.True(t, NeverRan(err))
			assert.Zero(t, time.Since(begun))
		}
		end()
		synctest.Wait()
		assert.Zero(t, ParamsInFlight(client))
		require.NoError(t, client.Call(t.Context(), "Test.Small", strings.Repeat("x", crowdMemory/6), nil), "and what fits is served")
	})
}

// The request of a stream neither waits nor counts: the stream may last.
func TestParamsRoom_StreamsNeitherWaitNorCount(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		lasts := ServerStream[letter, letter]("Test.Lasts")
		let := make(chan struct{})
		require.NoError(t, lasts.Handle(srv.Server, func(context.Context, *letter, *Sender[letter]) error { <-let; return nil }))
		client := pipe(t, srv.Server)
		end := srv.fill(t, client)
		counted := ParamsInFlight(client)
		assert.Positive(t, counted)
		for text, pause := range map[string]bool{strings.Repeat("x", 2*crowdParams): true, strings.Repeat("x", 9*crowdParams): false} {
			in, err := lasts.Open(t.Context(), client, &letter{text})
			require.NoError(t, err)
			_, err = in.Receive(t.Context())
			assert.ErrorIs(t, err, ResourceExhausted)
			assert.True(t, NeverRan(err))
			_, again := RetryAfter(err)
			assert.Equal(t, pause, again, "%d bytes", len(text))
		}
		assert.Equal(t, counted, ParamsInFlight(client))
		end()
		in, err := lasts.Open(t.Context(), client, &letter{srv.text})
		require.NoError(t, err)
		synctest.Wait()
		assert.Zero(t, ParamsInFlight(client))
		close(let)
		_, err = in.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
	})
}

// What a call takes is its until the reply, also if its caller has left: the server has it.
func TestParamsRoom_ACancelledCallKeepsItsRoom(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20, Text: "rpc.params=300000,300000"})
		ctx, cancel := context.WithCancel(t.Context())
		first := client.Go(ctx, "Test.It", strings.Repeat("x", 250_000), nil)
		raw.read()
		second := client.Go(t.Context(), "Test.It", strings.Repeat("y", 250_000), nil)
		cancel()
		assert.ErrorIs(t, first.Wait(), Canceled)
		assert.Equal(t, wire.KindCancel, raw.read().Kind)
		synctest.Wait()
		assert.Equal(t, 1, Waiting(client))
		raw.write(frameOf(wire.KindResponse, 0, 1, ""))
		assert.EqualValues(t, 2, raw.read().ID)
		raw.write(frameOf(wire.KindResponse, 0, 2, ""))
		assert.NoError(t, second.Wait())
		assert.Zero(t, ParamsInFlight(client))
	})
}

// Params may be encoded to more, when their turn has come.
type grownText struct{ text atomic.Pointer[string] }

func (g *grownText) MarshalJSON() ([]byte, error) { return json.Marshal(*g.text.Load()) }

func (g *grownText) set(size int) {
	text := strings.Repeat("x", size)
	g.text.Store(&text)
}

func TestParamsRoom_CountsWhatIsSent(t *testing.T) {
	for _, then := range []int{100, 1000_000, 250_000, 6_000_000} {
		t.Run(fmt.Sprint(then), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20, Text: "rpc.params=300000,5000000"})
				go client.Call(t.Context(), "Test.It", strings.Repeat("x", 250_000), nil)
				raw.read()
				g := new(grownText)
				g.set(200_000)
				waits := make(chan error, 1)
				go func() { waits <- client.Call(t.Context(), "Test.It", g, nil) }()
				synctest.Wait()
				require.Equal(t, 1, Waiting(client))
				g.set(then)
				raw.write(frameOf(wire.KindResponse, 0, 1, ""))
				if then > 5_000_000 {
					assert.ErrorIs(t, <-waits, ResourceExhausted)
				} else {
					assert.EqualValues(t, 2, raw.read().ID)
					counted := int64(then + 2)
					if counted <= uncounted {
						counted = 0
					}
					assert.Equal(t, counted, ParamsInFlight(client))
					raw.write(frameOf(wire.KindResponse, 0, 2, ""))
					assert.NoError(t, <-waits)
				}
				assert.Zero(t, ParamsInFlight(client))
			})
		})
	}
}

// Calls that wait learn at once that the connection takes no more of them.
func TestParamsRoom_WaitingEndsWithTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(srv *crowd, client *Client)
		code Code
	}{
		"a go-away": {func(srv *crowd, _ *Client) { go srv.Shutdown(context.Background()) }, Unavailable},
		"a loss":    {func(_ *crowd, client *Client) { client.conn.Load().conn.Close() }, Unavailable},
		"Close":     {func(_ *crowd, client *Client) { client.Close() }, Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newCrowd(t)
				defer close(srv.hold)
				client := pipe(t, srv.Server)
				for range 4 {
					go client.Call(t.Context(), "Test.Large", srv.text, nil)
				}
				require.Equal(t, 4, srv.running())
				waits := make(chan error, 1)
				go func() { waits <- client.Call(t.Context(), "Test.Large", srv.text, nil) }()
				synctest.Wait()
				begun := time.Now()
				c.end(srv, client)
				err := <-waits
				assert.ErrorIs(t, err, c.code)
				assert.True(t, NeverRan(err), "%v", err)
				assert.Zero(t, time.Since(begun))
			})
		})
	}
}

// A client of before offers nothing, and is refused as it was. A server of before grants
// nothing, and its clients do not wait.
func TestParamsRoom_PeersOfBeforeNoticeNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newCrowd(t)
		client := pipe(t, srv.Server, WithoutParamsOffer())
		refused := make(chan error, 64)
		for range 64 {
			go func() { refused <- client.Call(t.Context(), "Test.Large", srv.text, nil) }()
		}
		assert.ErrorContains(t, <-refused, "there is no room for that now (WithParamsMemory)")
		close(srv.hold)
	})
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 100, MaxMessage: 4 << 20})
		for range 8 {
			go client.Call(t.Context(), "Test.Large", strings.Repeat("x", crowdParams), nil)
			f := raw.read()
			assert.Equal(t, wire.KindRequest, f.Kind)
		}
		client.Close()
	})
}

// A grant that makes no sense is none.
func TestParamsRoom_OddGrants(t *testing.T) {
	options := defaultClientOptions()
	for _, value := range []string{"", "1", "1,", ",1", "0,1", "-1,1", "2,1", "1,2,3", "1,9223372036854775808", "x,y"} {
		client := &clientConn{options: &options, params: unboundedRoom()}
		client.takeGrants(paramsKey + "=" + value)
		assert.Equal(t, unboundedRoom(), client.params, "%q", value)
	}
	client := &clientConn{options: &options}
	client.takeGrants(paramsKey + "=16,64")
	assert.Equal(t, paramsRoom{room: 16, most: 64}, client.params)
}

// Users may fill a hello's metadata. A server of before reads little more of it than that.
func TestParamsRoom_OfferGivesWayToTheUsersPairs(t *testing.T) {
	for size, offered := range map[int]bool{0: true, mostBesideParams: true, mostBesideParams + 1: false} {
		o := defaultClientOptions()
		if size > 0 {
			o.metadata = Metadata{"k": strings.Repeat("x", size-5)}
			require.Equal(t, size, wire.PairsSize(o.metadata))
		}
		md, err := o.helloMetadata()
		require.NoError(t, err)
		_, ok := md[paramsKey]
		assert.Equal(t, offered, ok, "%d bytes", size)
	}
	o := defaultClientOptions()
	o.codec = Gob
	md, err := o.helloMetadata()
	require.NoError(t, err)
	assert.NotContains(t, md, paramsKey, "no room is granted with gob")
}

// However little memory there is, what is granted makes sense.
func TestParamsRoom_GrantsOfLittle(t *testing.T) {
	for server := 1; server < 30; server++ {
		c := &serverConn{params: newMemory(server).newShare(server)}
		client := &clientConn{options: new(defaultClientOptions())}
		client.takeGrants(paramsKey + "=" + grantParams(c, JSON, paramsValue))
		assert.Positive(t, client.params.room, "%d bytes", server)
		assert.Equal(t, c.params.most, client.params.most, "%d bytes", server)
	}
}

// Calls above the room that the server has announced take their turn, or those in line would
// get none while there is always one of them in flight.
func TestParamsRoom_CallsAboveItTakeTheirTurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 4 << 20, Text: "rpc.params=100000,1000000"})
		large, done := strings.Repeat("x", 150_000), make(chan error, 4)
		start := func(text string) {
			go func() { done <- client.Call(t.Context(), "Test.It", text, nil) }()
			synctest.Wait()
		}
		start(large)
		first := raw.read().ID
		start(large)
		second := raw.read().ID // nobody waits yet
		start(strings.Repeat("y", 20_000))
		start(large)
		require.Equal(t, 2, Waiting(client), "the last one is behind it")
		raw.write(frameOf(wire.KindResponse, 0, first, ""))
		synctest.Wait()
		require.Equal(t, 2, Waiting(client))
		raw.write(frameOf(wire.KindResponse, 0, second, ""))
		synctest.Wait()
		assert.Zero(t, Waiting(client), "one has room, and the other is first then")
		for range 2 { // in either order
			raw.write(frameOf(wire.KindResponse, 0, raw.read().ID, ""))
		}
		for range cap(done) {
			assert.NoError(t, <-done)
		}
		assert.Zero(t, ParamsInFlight(client))
	})
}
