package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// exitingContext ends the goroutine when its methods have been called so often.
type exitingContext struct {
	context.Context
	left atomic.Int32
}

func (c *exitingContext) use() {
	if c.left.Add(-1) == 0 {
		runtime.Goexit()
	}
}

func (c *exitingContext) Done() <-chan struct{}       { c.use(); return c.Context.Done() }
func (c *exitingContext) Err() error                  { c.use(); return c.Context.Err() }
func (c *exitingContext) Deadline() (time.Time, bool) { c.use(); return c.Context.Deadline() }
func (c *exitingContext) Value(key any) any           { c.use(); return c.Context.Value(key) }

// A context may be a user's. Wherever it ends the goroutine of a call, that call's
// slot, place in the queue and turn to read go to others.
func TestClient_GoexitInAContextLeaksNothing(t *testing.T) {
	for _, end := range []string{"granted", "deadline", "alone"} {
		for n := range int32(24) {
			t.Run(fmt.Sprint(end, " ", n+1), func(t *testing.T) {
				bubble(t, func(t *testing.T) { callWithAnExitingContext(t, end, n+1) })
			})
		}
	}
}

// callWithAnExitingContext makes a call whose context ends the goroutine at its nth
// use, and then others, which succeed.
func callWithAnExitingContext(t *testing.T, end string, n int32) {
	inv := newInventory()
	srv := inv.server(t, WithMaxInFlight(1))
	net := newNetwork()
	net.set("a", srv)
	client := dial(t, "a", WithDialer(net.dial))
	<-time.After(time.Second) // nobody reads
	var held *Pending
	if end != "alone" {
		held = startOne(t, client, "held")
	}
	ctx := &exitingContext{Context: timeout(t, time.Second)}
	ctx.left.Store(n)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		client.Call(ctx, checkStock.Name(), &stockRequest{Item: "item1"}, nil)
	}()
	synctest.Wait()
	if end == "deadline" {
		<-time.After(2 * time.Second)
	}
	close(inv.hold)
	if held != nil {
		require.NoError(t, held.Wait())
	}
	<-ended
	for range 3 {
		_, err := checkStock.Call(timeout(t, time.Minute), client, &stockRequest{Item: "item2"})
		assert.NoError(t, err)
	}
}

// oddEnd is a context whose end is odd.
type oddEnd struct {
	context.Context
	done chan struct{}
	err  func() error
}

func (c oddEnd) Done() <-chan struct{} { return c.done }
func (c oddEnd) Err() error            { return c.err() }

// The context of Shutdown is asked on Shutdown's goroutine alone: one that breaks its
// contract does not end the process.
func TestShutdown_AnOddContextCutsTheConnections(t *testing.T) {
	for name, end := range map[string]func() error{
		"without an error": func() error { return nil },
		"with a panic":     func() error { panic(errors.New("secret")) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t)
				client := pipe(t, srv)
				held := startOne(t, client, "held")
				ctx := oddEnd{t.Context(), make(chan struct{}), end}
				go func() {
					<-time.After(time.Second)
					close(ctx.done)
				}()
				var failed error
				panicText(func() { failed = srv.Shutdown(ctx) })
				if name == "without an error" {
					assert.ErrorIs(t, failed, context.Canceled, "nil would mean that all is well")
				}
				assert.ErrorIs(t, held.Wait(), Unavailable)
				close(inv.hold)
				assert.NoError(t, srv.Close())
			})
		})
	}
}

// A context whose Done and Deadline do not agree, or whose Err says nothing, ends its
// calls all the same: while they wait for a slot, and for their reply.
func TestClient_AContextThatContradictsItselfEndsItsCalls(t *testing.T) {
	past := make(chan struct{})
	close(past)
	soon := func() (time.Time, bool) { return time.Now().Add(time.Second), true }
	for name, c := range map[string]struct {
		done     <-chan struct{}
		deadline func() (time.Time, bool)
		want     Code
	}{
		"a deadline alone":                {nil, soon, DeadlineExceeded},
		"a deadline beside another Done":  {t.Context().Done(), soon, DeadlineExceeded},
		"Done without an error":           {past, func() (time.Time, bool) { return time.Time{}, false }, Canceled},
		"Done without an error, deadline": {past, func() (time.Time, bool) { return time.Now().Add(time.Hour), true }, Canceled},
	} {
		for _, waitsFor := range []string{"slot", "reply"} {
			t.Run(name+"/"+waitsFor, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					inv := newInventory()
					srv := inv.server(t, WithMaxInFlight(1))
					defer close(inv.hold)
					require.NoError(t, srv.RegisterFunc("Test.Stuck", func() error { <-inv.hold; return nil }))
					client := pipe(t, srv)
					if waitsFor == "slot" {
						startOne(t, client, "held")
					}
					ctx := contradiction{context.Background(), c.done, c.deadline}
					if c.done != nil && c.want == DeadlineExceeded {
						ctx.done = make(chan struct{})
					}
					err := client.Call(ctx, "Test.Stuck", nil, nil)
					assert.ErrorIs(t, err, c.want)
					assert.NotContains(t, err.Error(), "%!")
					assert.NotContains(t, err.Error(), "WithMaxWait")
				})
			})
		}
	}
}

// tardy has ended, and says why only when it is asked again, as any context does that
// ends between two questions.
type tardy struct {
	context.Context
	asked atomic.Int32
}

func (c *tardy) Err() error {
	select {
	case <-c.Done():
	default:
		return nil
	}
	if c.asked.Add(1) == 1 {
		return nil
	}
	return c.Context.Err()
}

func TestClient_AContextThatEndsAsItIsAskedSaysWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxInFlight(1))
		defer close(inv.hold)
		client := pipe(t, srv)
		startOne(t, client, "held")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, client.Call(&tardy{Context: ctx}, "Test.Any", nil, nil), DeadlineExceeded)
	})
}

// Neither a ping nor Shutdown waits for a context longer than its deadline says.
func TestContext_ADeadlineAloneEndsAPingAndAShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		client := pipe(t, srv)
		held := startOne(t, client, "held")
		open := func() context.Context {
			due := time.Now().Add(time.Second)
			return contradiction{context.Background(), make(chan struct{}), func() (time.Time, bool) { return due, true }}
		}
		assert.ErrorIs(t, srv.Shutdown(open()), context.DeadlineExceeded)
		assert.ErrorIs(t, held.Wait(), Unavailable)
		close(inv.hold)
		assert.NoError(t, srv.Close())

		near, far := net.Pipe()
		go mute(far)
		waits := NewClient(near)
		defer waits.Close()
		assert.ErrorIs(t, waits.Ping(open()), DeadlineExceeded)
	})
}

// contradiction is a context that embeds another one and changes a part of it.
type contradiction struct {
	context.Context
	done     <-chan struct{}
	deadline func() (time.Time, bool)
}

func (c contradiction) Done() <-chan struct{}       { return c.done }
func (c contradiction) Deadline() (time.Time, bool) { return c.deadline() }

// Nor does one that has ended without an error panic in package context, of which the
// default timeout and Invoke make others.
func TestContext_AnEndWithoutAnErrorIsOne(t *testing.T) {
	for _, when := range []string{"before", "during"} {
		t.Run(when, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t, WithHandlerTimeout(time.Hour))
				client := pipe(t, srv, WithDefaultTimeout(time.Hour))
				ctx := oddEnd{context.Background(), make(chan struct{}), func() error { return nil }}
				if when == "before" {
					close(ctx.done)
				} else {
					time.AfterFunc(time.Second, func() { close(ctx.done) })
				}
				_, err := checkStock.Call(ctx, client, &stockRequest{Item: "held"})
				assert.ErrorIs(t, err, Canceled)
				_, err = srv.Invoke(ctx, Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{"Item":"held"}`)})
				assert.ErrorIs(t, err, Canceled)
			})
		})
	}
}

// What a caller has put into its context is for the calls that it makes with it, and a
// handler's own calls are not these.
func TestInvoke_HandlersCallsInheritNothingOfTheCallers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		srv := newServer(t)
		require.NoError(t, srv.RegisterFunc("Test.Look", func(ctx context.Context) error {
			assert.Nil(t, OutgoingMetadata(ctx))
			assert.False(t, mayRepeat(ctx, "Orders.Place"))
			assert.Equal(t, "value", ctx.Value(key{}))
			assert.Equal(t, Metadata{"trace": "1"}, OutgoingMetadata(AddMetadata(ctx, Metadata{"trace": "1"})), "its own")
			return nil
		}))
		ctx := MarkIdempotent(AddMetadata(t.Context(), Metadata{"authorization": "Bearer secret"}), "Orders.Place")
		_, err := srv.Invoke(context.WithValue(ctx, key{}, "value"), Invocation{Method: "Test.Look", Codec: JSON})
		assert.NoError(t, err)
	})
}

// lateContext ends when its deadline has passed and its Err is read, but that Err is
// still nil: so it is between the two for a moment, if both timers fire at once.
type lateContext struct {
	context.Context
	due  time.Time
	done chan struct{}
	once sync.Once
	over atomic.Bool
}

func (c *lateContext) Deadline() (time.Time, bool) { return c.due, true }
func (c *lateContext) Done() <-chan struct{}       { return c.done }

func (c *lateContext) Err() error {
	if c.over.Load() {
		return context.DeadlineExceeded
	}
	if !time.Now().Before(c.due) {
		c.once.Do(func() {
			c.over.Store(true)
			close(c.done)
		})
	}
	return nil
}

// A call that waits has timers of its own for the deadline. It fails with why its context
// ended, also if that is in the middle of asking.
func TestContext_ADeadlineThatPassesWhileItIsAskedForIsOne(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool := newPool(t, StaticResolver{"a"}, WithDialer(newNetwork().dial)) // nobody listens there
		ctx := &lateContext{Context: t.Context(), due: time.Now().Add(time.Second), done: make(chan struct{})}
		err := pool.Call(ctx, checkStock.Name(), &stockRequest{Item: "item1"}, nil)
		require.ErrorIs(t, err, DeadlineExceeded)
		assert.True(t, NeverRan(err))
	})
	bubble(t, func(t *testing.T) {
		ctx := &lateContext{Context: t.Context(), due: time.Now(), done: make(chan struct{})}
		assert.ErrorIs(t, derivable(ctx).Err(), context.DeadlineExceeded)
	})
}
