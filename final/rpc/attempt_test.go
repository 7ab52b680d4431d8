package rpc

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// attempts collects what observers are told.
type attempts struct {
	mu   sync.Mutex
	told []Attempt
}

func (a *attempts) observer() Observer {
	return Observer{AttemptDone: func(_ context.Context, attempt Attempt) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.told = append(a.told, attempt)
	}}
}

func (a *attempts) take() []Attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	told := a.told
	a.told = nil
	return told
}

func TestObserver_IsToldWhichServerWhichTryAndWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		busy := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
			return Identity{}, Errorf(Unavailable, "busy")
		}))
		free := newInventory().server(t)
		defer busy.Close()
		defer free.Close()
		n.set("a", busy)
		n.set("b", free)
		var seen attempts
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial), WithBalancing(RoundRobin), WithEjection(0, 0, 0), WithObserver(seen.observer()))
		warm(t, pool)
		seen.take()
		again := 0
		for range 4 {
			begun := time.Now()
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1", Wait: time.Second})
			require.NoError(t, err)
			told := seen.take()
			require.NotEmpty(t, told)
			last := told[len(told)-1]
			assert.Equal(t, Attempt{Method: checkStock.Name(), Addr: "b", Number: len(told), After: last.After, Begun: last.Begun, Ended: last.Ended}, last)
			assert.Equal(t, time.Second, last.Ended.Sub(last.Begun))
			assert.False(t, last.Begun.Before(begun))
			if len(told) == 1 {
				assert.NoError(t, last.After)
				continue
			}
			again++
			first := told[0]
			assert.Equal(t, "a", first.Addr)
			assert.Equal(t, 1, first.Number)
			assert.NoError(t, first.After)
			assert.EqualError(t, first.Err, "unavailable: busy")
			assert.True(t, NeverRan(first.Err))
			assert.Equal(t, first.Err, last.After)
		}
		assert.Positive(t, again, "calls that met the busy server first")
	})
}

func TestObserver_AttemptHasTheContextOfTheCall(t *testing.T) {
	type key struct{}
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		var got any
		client := pipe(t, srv,
			WithClientInterceptors(func(next Caller) Caller {
				return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
					return next.Call(context.WithValue(ctx, key{}, "span"), method, params, reply)
				})
			}),
			WithObserver(Observer{AttemptDone: func(ctx context.Context, a Attempt) {
				got = ctx.Value(key{})
				assert.Empty(t, a.Addr)
				assert.ErrorIs(t, a.Err, NotFound)
			}}))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "nothing"})
		assert.ErrorIs(t, err, NotFound)
		assert.Equal(t, "span", got)
	})
}

// exitingParams end their goroutine, or panic with it, when they are encoded.
type exitingParams struct{ end func() }

func (p exitingParams) MarshalJSON() ([]byte, error) { p.end(); return nil, nil }

// An attempt that has begun is told of, whatever ends it.
func TestObserver_IsToldOfAnAttemptThatEndsItsGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		var seen attempts
		client := pipe(t, srv, WithObserver(seen.observer()))
		apart(func() { client.Call(t.Context(), checkStock.Name(), exitingParams{runtime.Goexit}, nil) })
		told := seen.take()
		require.Len(t, told, 1)
		assert.Equal(t, 1, told[0].Number)
		assert.ErrorIs(t, told[0].Err, Internal)
		assert.ErrorContains(t, told[0].Err, "ended the call's goroutine")
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Len(t, seen.take(), 1)
	})
}

// What ended the goroutine of Go may be any code of the user's: no one is named.
func TestGo_BlamesNobodyInParticularForItsGoroutinesEnd(t *testing.T) {
	exits := func() { runtime.Goexit() }
	for name, c := range map[string]struct {
		opts   []ClientOption
		params any
	}{
		"observer": {opts: []ClientOption{WithObserver(Observer{AttemptDone: func(context.Context, Attempt) { exits() }})}},
		"interceptor": {opts: []ClientOption{WithClientInterceptors(func(Caller) Caller {
			return CallerFunc(func(context.Context, string, any, any) error { exits(); return nil })
		})}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				client := pipe(t, srv, c.opts...)
				err := client.Go(t.Context(), checkStock.Name(), &stockRequest{Item: "item1"}, nil).Wait()
				assert.EqualError(t, err, "rpc: internal: call Inventory.CheckStock: an interceptor, an observer, a marshaler or the context ended the call's goroutine")
			})
		})
	}
}

// errorsTold collects what WithErrorHandler is told.
type errorsTold struct {
	mu   sync.Mutex
	text []string
}

func (e *errorsTold) option() Option {
	return WithErrorHandler(func(err error) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.text = append(e.text, err.Error())
	})
}

func (e *errorsTold) take() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	text := e.text
	e.text = nil
	return text
}

func TestErrorHandler_HearsOfAttemptsAndOfLostConnections(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		n.set("a", nil)
		var told errorsTold
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithFailFast(), WithBackoff(time.Second, time.Second), told.option())
		call := func() error {
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
			return err
		}
		assert.ErrorIs(t, call(), Unavailable)
		synctest.Wait()
		require.Len(t, told.take(), 1, "an attempt that failed")

		srv := newInventory().server(t)
		n.set("a", srv)
		<-time.After(2 * time.Second)
		require.NoError(t, call())
		srv.Close()
		<-time.After(time.Second) // an idle client notices within that
		lost := told.take()
		require.Len(t, lost, 1)
		assert.Contains(t, lost[0], "a: ")
		assert.Contains(t, lost[0], "unavailable")

		n.set("a", newInventory().server(t))
		<-time.After(2 * time.Second)
		require.NoError(t, call())
		pool.Close()
		synctest.Wait()
		assert.Empty(t, told.take(), "it was closed on this side")
	})
}

func TestErrorHandler_HearsOfTheResolver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told errorsTold
		pool := NewPool(brokenResolver{"a"}, WithDialer(newNetwork().dial), told.option())
		synctest.Wait()
		pool.Close()
		assert.Contains(t, told.take(), "rpc: unavailable: the resolver: resolve: the registry is on fire")
	})
}

func TestErrorHandler_HearsThatAGivenConnectionIsLost(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var told errorsTold
		srv := newInventory().server(t)
		client := pipe(t, srv, told.option())
		require.NoError(t, client.Ping(t.Context()))
		srv.Close()
		<-time.After(time.Second)
		lost := told.take()
		require.Len(t, lost, 1)
		assert.Contains(t, lost[0], "unavailable: the server: ")
	})
}
