package cache

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

// outcome is what one of many callers got.
type outcome struct {
	count int
	err   error
}

// asks calls in the background.
func asks(ctx context.Context, c rpc.Caller, item string) <-chan outcome {
	done := make(chan outcome, 1)
	go func() {
		n, err := ask(ctx, c, item)
		done <- outcome{n, err}
	}()
	return done
}

func TestFlight_ManyCallersOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &server{hold: make(chan struct{})}, newCache(t, Method(method, time.Hour))
		caller := c.Intercept(s)
		var calls []<-chan outcome
		for range 50 {
			calls = append(calls, asks(t.Context(), caller, "item1"))
		}
		synctest.Wait()
		close(s.hold)
		for _, call := range calls {
			assert.Equal(t, outcome{1, nil}, <-call)
		}
		stats := c.Stats()
		assert.Equal(t, int64(1), stats.Misses)
		assert.Equal(t, int64(49), stats.Shared)
		assert.Empty(t, c.flights)
	})
}

// A flight goes on without the caller that began it, whose variable it must not touch.
func TestFlight_SetsNobodysHeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		let := make(chan struct{})
		require.NoError(t, rpc.Method[request, reply](method).Handle(srv, func(ctx context.Context, req *request) (*reply, error) {
			<-let
			return &reply{Item: req.Item, Count: 1}, rpc.SetHeader(ctx, rpc.Metadata{"key": "value"})
		}))
		caller := newCache(t, Method(method, time.Hour)).Intercept(rpctest.NewClient(t, srv))
		var first, second rpc.Metadata
		ctx, leave := context.WithCancel(t.Context())
		a := asks(rpc.ReceiveHeader(ctx, &first), caller, "item1")
		synctest.Wait()
		b := asks(rpc.ReceiveHeader(t.Context(), &second), caller, "item1")
		synctest.Wait()
		leave()
		assert.ErrorIs(t, (<-a).err, rpc.Canceled)
		close(let)
		assert.Equal(t, outcome{1, nil}, <-b)
		synctest.Wait()
		assert.Nil(t, first)
		assert.Nil(t, second)
	})
}

// A kept reply is without its metadata, and what an earlier call has left in the variable is
// not its own.
func TestCache_ItsRepliesHaveNoMetadata(t *testing.T) {
	srv := rpc.NewServer()
	check := rpc.Method[request, reply](method)
	require.NoError(t, check.Handle(srv, func(ctx context.Context, req *request) (*reply, error) {
		return &reply{Item: req.Item, Count: 1}, rpc.SetHeader(ctx, rpc.Metadata{"key": "value"})
	}))
	client := rpctest.NewClient(t, srv, rpc.WithClientInterceptors(newCache(t, Method(method, time.Hour)).Intercept))
	var header rpc.Metadata
	ctx := rpc.ReceiveHeader(t.Context(), &header)
	for range 2 { // from the server, from the cache
		require.NoError(t, client.Call(ctx, method, &request{Item: "item2"}, nil), "without the cache")
		assert.Equal(t, rpc.Metadata{"key": "value"}, header)
		_, err := check.Call(ctx, client, &request{Item: "item1"})
		require.NoError(t, err)
		assert.Nil(t, header)
	}
}

// A cache may be around a client, too: nobody but it knows that the call is over.
func TestCache_AroundAClientItsRepliesHaveNoMetadataEither(t *testing.T) {
	srv := rpc.NewServer()
	check := rpc.Method[request, reply](method)
	require.NoError(t, check.Handle(srv, func(ctx context.Context, req *request) (*reply, error) {
		return &reply{Item: req.Item, Count: 1}, rpc.SetHeader(ctx, rpc.Metadata{"key": "value"})
	}))
	client := rpctest.NewClient(t, srv)
	caller := newCache(t, Method(method, time.Hour)).Intercept(client)
	var header rpc.Metadata
	ctx := rpc.ReceiveHeader(t.Context(), &header)
	left, leave := context.WithCancel(ctx)
	leave()
	for name, do := range map[string]func() error{
		"from the server":       func() error { _, err := check.Call(ctx, caller, &request{Item: "item1"}); return err },
		"from the cache":        func() error { _, err := check.Call(ctx, caller, &request{Item: "item1"}); return err },
		"for a caller who left": func() error { _, err := check.Call(left, caller, &request{Item: "item1"}); return err },
	} {
		require.NoError(t, client.Call(ctx, method, &request{Item: "item2"}, nil))
		require.NotNil(t, header)
		assert.Equal(t, name == "for a caller who left", do() != nil)
		assert.Nil(t, header, name)
	}
}

func TestFlight_GoesOnWhenTheFirstCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{hold: make(chan struct{})}
		caller := newCache(t, Method(method, time.Hour)).Intercept(s)
		first, leave := context.WithCancel(t.Context())
		a := asks(first, caller, "item1")
		synctest.Wait()
		b := asks(t.Context(), caller, "item1")
		synctest.Wait()
		leave()
		got := <-a
		assert.ErrorIs(t, got.err, context.Canceled)
		assert.ErrorIs(t, got.err, rpc.Canceled)
		close(s.hold)
		assert.Equal(t, outcome{1, nil}, <-b)
		assert.Empty(t, s.ended)
	})
}

func TestFlight_EachCallerHasItsOwnDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{hold: make(chan struct{})}
		caller := newCache(t, Method(method, time.Hour)).Intercept(s)
		begun := time.Now()
		var calls []<-chan outcome
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
			defer cancel()
			calls = append(calls, asks(ctx, caller, "item1"))
			synctest.Wait()
		}
		for i, call := range calls {
			assert.ErrorIs(t, (<-call).err, rpc.DeadlineExceeded)
			assert.Equal(t, time.Duration(i+1)*time.Second, time.Since(begun))
		}
		synctest.Wait()
		assert.Equal(t, []error{context.Canceled}, s.ended, "the last one has left")
		close(s.hold)
		assert.Equal(t, 2, mustAsk(t, t.Context(), caller, "item1"), "nobody is told of the call that was given up")
	})
}

func TestFlight_GivenUpIsNotJoined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{}) // a call that does not look at its context
		calls := 0
		next := rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
			if calls++; calls == 1 {
				<-stuck
			}
			out.(*reply).Count = calls
			return nil
		})
		c := newCache(t, Method(method, time.Hour))
		caller := c.Intercept(next)
		ctx, leave := context.WithCancel(t.Context())
		a := asks(ctx, caller, "item1")
		synctest.Wait()
		leave()
		<-a
		assert.Equal(t, 2, mustAsk(t, t.Context(), caller, "item1"))
		close(stuck)
		synctest.Wait()
		assert.Empty(t, c.flights)
	})
}

func TestFlight_CallerWhoHasLeftMayChangeItsParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{}) // a connection that takes its time to encode
		seen := ""
		next := rpc.CallerFunc(func(_ context.Context, _ string, params, _ any) error {
			<-slow
			seen = params.(*request).Item
			return nil
		})
		caller := newCache(t, Method(method, time.Hour)).Intercept(next)
		ctx, leave := context.WithCancel(t.Context())
		params := &request{Item: "item1"}
		left := make(chan error)
		go func() { left <- caller.Call(ctx, method, params, new(reply)) }()
		synctest.Wait()
		stays := asks(t.Context(), caller, "item1")
		synctest.Wait()
		leave()
		assert.ErrorIs(t, <-left, context.Canceled)
		params.Item = "changed"
		close(slow)
		assert.NoError(t, (<-stays).err)
		assert.Equal(t, "item1", seen)
	})
}

func TestFlight_DeadContextGetsNothing(t *testing.T) {
	s := new(server)
	caller := newCache(t, Method(method, time.Hour)).Intercept(s)
	mustAsk(t, t.Context(), caller, "item1")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := ask(ctx, caller, "item1")
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 1, s.count())
}

func TestFlight_AnErrorGoesToAllWhoWaitEachItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{hold: make(chan struct{})}
		s.respond = func(request, int) (reply, error) {
			return reply{}, &rpc.Error{Code: rpc.Aborted, Message: "no", Details: map[string]string{"k": "v"}}
		}
		caller := newCache(t, Method(method, time.Hour)).Intercept(s)
		a, b := asks(t.Context(), caller, "item1"), asks(t.Context(), caller, "item1")
		synctest.Wait()
		close(s.hold)
		errA, errB := (<-a).err.(*rpc.Error), (<-b).err.(*rpc.Error)
		errA.Details["k"] = "changed"
		assert.Equal(t, "v", errB.Details["k"])
		assert.ErrorIs(t, errB, rpc.Aborted)
		assert.Equal(t, 1, s.count())
	})
}

func TestFlight_OfAnotherTypeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &server{hold: make(chan struct{})}, newCache(t, Method(method, time.Hour))
		caller := c.Intercept(s)
		a := asks(t.Context(), caller, "item1")
		synctest.Wait()
		var anything any
		done := make(chan error)
		go func() { done <- caller.Call(t.Context(), method, &request{Item: "item1"}, &anything) }()
		synctest.Wait()
		assert.Equal(t, 2, s.count())
		close(s.hold)
		assert.NoError(t, <-done)
		assert.IsType(t, map[string]any{}, anything)
		assert.NoError(t, (<-a).err)
		assert.Equal(t, int64(1), c.Stats().Passed)
	})
}

func TestFlight_UnderWayWhenItIsInvalidatedIsNotKept(t *testing.T) {
	for name, invalidate := range map[string]func(*Cache){
		"key":    func(c *Cache) { c.Invalidate(method, &request{Item: "item1"}) },
		"method": func(c *Cache) { c.InvalidateMethod(method) },
		"all":    (*Cache).InvalidateAll,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c := &server{hold: make(chan struct{})}, newCache(t, Method(method, time.Hour))
				caller := c.Intercept(s)
				before := asks(t.Context(), caller, "item1")
				synctest.Wait()
				invalidate(c)
				after := asks(t.Context(), caller, "item1")
				synctest.Wait()
				assert.Equal(t, 2, s.count(), "who comes later does not wait for the old answer")
				s.hold <- struct{}{} // one of the two
				s.hold <- struct{}{}
				assert.Equal(t, outcome{1, nil}, <-before, "a caller that joined before gets it")
				assert.Equal(t, outcome{2, nil}, <-after)
				synctest.Wait()
				assert.Equal(t, 2, mustAsk(t, t.Context(), caller, "item1"))
				assert.Equal(t, 2, s.count())
			})
		})
	}
}

func TestFlight_OthersAreNotSpoiled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &server{hold: make(chan struct{})}, newCache(t, Method(method, time.Hour))
		caller := c.Intercept(s)
		a := asks(t.Context(), caller, "item1")
		synctest.Wait()
		require.NoError(t, c.Invalidate(method, &request{Item: "item2"}))
		c.InvalidateMethod("Inventory.List")
		close(s.hold)
		<-a
		assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "item1"))
	})
}

// No caller sees an answer that is older than an invalidation before the call.
func TestFlight_NothingStaleIsSeenUnderManyCallers(t *testing.T) {
	var mu sync.Mutex
	stock := 0
	next := rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
		mu.Lock()
		defer mu.Unlock()
		out.(*reply).Count = stock
		return nil
	})
	c := newCache(t, Method(method, time.Hour), Entries(3))
	caller := c.Intercept(next)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 300 {
				mu.Lock()
				stock++
				written := stock
				mu.Unlock()
				assert.NoError(t, c.Invalidate(method, &request{Item: "item1"}))
				n, err := ask(t.Context(), caller, "item1")
				assert.NoError(t, err)
				assert.GreaterOrEqual(t, n, written)
				ask(t.Context(), caller, fmt.Sprint("item", i))
			}
		})
	}
	wg.Wait()
	assert.Empty(t, c.flights)
}

// ending starts a call that ends its goroutine, or panics, and two that join it.
// Later calls succeed.
func ending(t *testing.T, end func()) (led, joined []any, calls int64) {
	t.Helper()
	var made atomic.Int64
	hold := make(chan struct{})
	next := rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
		n := made.Add(1)
		if n == 1 {
			<-hold
			end()
		}
		out.(*reply).Count = int(n)
		return nil
	})
	c := newCache(t, Method(method, time.Hour))
	caller := c.Intercept(next)
	outcomes := make([]any, 3)
	var wg sync.WaitGroup
	for i := range outcomes {
		wg.Go(func() {
			outcomes[i] = "goexit"
			defer func() {
				if p := recover(); p != nil {
					outcomes[i] = p
				}
			}()
			n, err := ask(t.Context(), caller, "item1")
			outcomes[i] = outcome{n, err}
		})
		synctest.Wait()
	}
	close(hold)
	wg.Wait()
	assert.Empty(t, c.flights)
	n, err := ask(t.Context(), caller, "item1") // nothing of it is left
	assert.NoError(t, err)
	assert.EqualValues(t, made.Load(), n)
	return outcomes[:1], outcomes[1:], made.Load()
}

// A call that ends its goroutine, as a stub's FailNow does, ends the one that
// made it, as without a cache. Those who joined make calls of their own.
func TestFlight_GoexitEndsItsCallerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led, joined, calls := ending(t, runtime.Goexit)
		assert.Equal(t, []any{"goexit"}, led)
		assert.ElementsMatch(t, []any{outcome{2, nil}, outcome{3, nil}}, joined)
		assert.EqualValues(t, 4, calls)
	})
}

func TestFlight_PanicReachesItsCallerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		led, joined, _ := ending(t, func() { panic("interceptor") })
		assert.Equal(t, []any{"interceptor"}, led)
		assert.ElementsMatch(t, []any{outcome{2, nil}, outcome{3, nil}}, joined)
	})
}

// The one that led has left before its call vanishes.
func TestFlight_VanishesWithoutTheOneThatLed(t *testing.T) {
	for name, end := range map[string]func(){"goexit": runtime.Goexit, "panic": func() { panic("interceptor") }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				var made atomic.Int64
				caller := newCache(t, Method(method, time.Hour)).Intercept(rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
					n := made.Add(1)
					if n == 1 {
						<-hold
						end()
					}
					out.(*reply).Count = int(n)
					return nil
				}))
				ctx, leave := context.WithCancel(t.Context())
				led := asks(ctx, caller, "item1")
				synctest.Wait()
				joined := asks(t.Context(), caller, "item1")
				synctest.Wait()
				leave()
				assert.ErrorIs(t, (<-led).err, context.Canceled)
				close(hold)
				assert.Equal(t, outcome{2, nil}, <-joined)
			})
		})
	}
}
