package rpc

import (
	"context"
	"errors"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// poolOnTrial is a pool of "well" and "ill", of which ill is on probe and hangs.
// One call that began before its ejection is still in flight on it.
func poolOnTrial(t *testing.T) (pool *Pool, servers []*moody, leave func() error) {
	t.Helper()
	pool, servers = moodyPool(t, newNetwork(), []string{"well", "ill"}, WithEjection(1, time.Second, time.Second))
	servers[0].mood.Store("hangs") // so that the early calls go to both
	servers[1].mood.Store("hangs")
	ctx, cancel := context.WithCancel(t.Context())
	early := []*Pending{pool.Go(ctx, checkStock.Name(), stockRequest{}, nil), pool.Go(ctx, checkStock.Name(), stockRequest{}, nil)}
	synctest.Wait()
	servers[0].mood.Store("")
	require.Equal(t, 1, callMany(t, pool, 10))
	require.Equal(t, []string{"ill"}, ejectedOf(pool))
	<-time.After(time.Second)
	synctest.Wait()
	return pool, servers, func() error {
		cancel()
		return errors.Join(early[0].Wait(), early[1].Wait())
	}
}

// A call that began before the ejection says nothing of the probe when its caller leaves.
func TestPool_OnlyTheTrialsCallEndsTheTrial(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, servers, leave := poolOnTrial(t)
		probe := pool.Go(t.Context(), checkStock.Name(), stockRequest{}, nil)
		synctest.Wait()
		came := servers[1].came.Load()
		require.ErrorIs(t, leave(), Canceled)
		assert.Zero(t, callMany(t, pool, 100), "no second call while it lasts")
		assert.Equal(t, came, servers[1].came.Load())
		pool.Close()
		assert.ErrorIs(t, probe.Wait(), ErrClientClosed)
	})
}

// A call that was given a slot while its context ended gives back only what it had.
func TestPool_ALateGrantEndsNoTrialOfOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, _ := moodyPool(t, newNetwork(), []string{"a", "b"})
		c := (*pool.members.Load())[0]
		for probe, state := range map[bool]int32{false: probing, true: halfOpen} {
			conn := c.conn.Load()
			require.True(t, conn.acquire(false))
			c.server.state.Store(probing)
			pool.giveBack(&waitingCall{conn: conn, probe: probe})
			assert.Equal(t, state, c.server.state.Load())
			assert.Zero(t, conn.inFlight)
		}
	})
}

// slowParams fail to encode once they may.
type slowParams struct{ fail chan struct{} }

func (p slowParams) MarshalJSON() ([]byte, error) {
	<-p.fail
	return nil, errors.New("cannot be encoded")
}

// A probe that ends without a decision leaves the server to the calls that wait.
func TestPool_CallsThatWaitGetATrialThatOthersLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv, ill := newInventory(), newMoody(t)
		well := inv.server(t, WithMaxInFlight(1))
		n.set("well", well)
		n.set("ill", ill.Server)
		pool := newPool(t, StaticResolver{"well", "ill"}, WithDialer(n.dial), WithEjection(1, time.Second, time.Second))
		warm(t, pool)
		ill.mood.Store("unavailable")
		require.Equal(t, 1, callMany(t, pool, 10))
		ill.mood.Store("")
		<-time.After(time.Second)
		synctest.Wait()
		params := slowParams{make(chan struct{})}
		probe := make(chan error, 1)
		go func() { probe <- pool.Call(t.Context(), checkStock.Name(), params, nil) }()
		synctest.Wait()
		held := pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		waits := pool.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil)
		synctest.Wait()
		begun := time.Now()
		close(params.fail)
		assert.ErrorIs(t, <-probe, InvalidArgument)
		assert.NoError(t, waits.Wait())
		assert.Zero(t, time.Since(begun))
		close(inv.hold)
		assert.NoError(t, held.Wait())
	})
}

// A connection that has no call for it keeps no probe from another one to the same server.
func TestPool_ATrialIsForTheConnectionThatHasACallForIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, _ := moodyPool(t, newNetwork(), []string{"ill", "well"}, WithConnsPerAddr(2))
		members := (*pool.members.Load())[:2] // of ill
		w := &waitingCall{done: make(chan struct{}), tried: members[:1]}
		require.True(t, pool.queue.push(w))
		members[0].server.state.Store(halfOpen)
		var wg sync.WaitGroup
		pool.queue.mu.Lock() // both look at the queue at once
		for _, c := range members {
			conn := c.conn.Load()
			wg.Go(conn.grant)
			for range 1000 {
				if !conn.mu.TryLock() {
					break
				}
				conn.mu.Unlock()
				runtime.Gosched()
			}
		}
		pool.queue.mu.Unlock()
		wg.Wait()
		assert.True(t, w.conn == members[1].conn.Load(), "it does not wait for another chance")
		assert.True(t, w.probe)
	})
}

// breaking accepts each hello and then breaks the connection.
func breaking(conn net.Conn) {
	defer conn.Close()
	if _, err := wire.ReadHello(conn, wire.MaxHello); err == nil {
		conn.Write((&wire.ServerHello{InFlight: 1, MaxMessage: 1024}).Append(nil))
	}
}

// The reason is known although the attempt to connect has succeeded.
func TestPool_SaysThatConnectionsBreakAfterTheirHello(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		n.odd["a"] = breaking
		for range 50 { // the end of the connection and that of the attempt race
			pool := NewPool(StaticResolver{"a"}, WithDialer(n.dial))
			err := callFor(t, pool, time.Millisecond) // less than backoff's first pause
			assert.Regexp(t, "broke right after its hello|the server closed the connection", err, "the second, if the call was sent")
			pool.Close()
		}
	})
}

// A server that hangs is not on trial for ever: callers that give up say nothing each,
// and enough together.
func TestPool_CallersThatGiveUpEndATrial(t *testing.T) {
	for name, code := range map[string]Code{"cancel": Canceled, "deadline": DeadlineExceeded} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool, servers := moodyPool(t, newNetwork(), []string{"well", "ill"}, WithEjection(1, time.Second, 8*time.Second))
				ill := servers[1]
				ill.mood.Store("hangs")
				call := func() error {
					ctx, leave := context.WithCancel(t.Context())
					if code == DeadlineExceeded {
						ctx, leave = context.WithTimeout(t.Context(), 250*time.Millisecond)
					}
					defer leave()
					if code == Canceled {
						defer time.AfterFunc(250*time.Millisecond, leave).Stop()
					}
					_, err := checkStock.Call(ctx, pool, &stockRequest{})
					return err
				}
				require.Equal(t, 1, callMany(t, pool, 10), "it is ejected")
				ill.came.Store(0)
				for begun := time.Now(); time.Since(begun) < 2*time.Minute; <-time.After(100 * time.Millisecond) {
					if err := call(); err != nil {
						assert.ErrorIs(t, err, code)
					}
				}
				assert.LessOrEqual(t, ill.came.Load(), int32(100), "calls that were sacrificed in two minutes")
				ill.mood.Store("")
				<-time.After(9 * time.Second)
				for range 100 {
					assert.NoError(t, call())
				}
				assert.Empty(t, ejectedOf(pool))
			})
		})
	}
}
