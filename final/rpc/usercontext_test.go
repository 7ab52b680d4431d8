package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
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
	defer srv.Close()
	net := newNetwork()
	net.set("a", srv)
	client, err := Dial(t.Context(), "a", WithDialer(net.dial))
	require.NoError(t, err)
	defer client.Close()
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
					defer srv.Close()
					defer close(inv.hold)
					require.NoError(t, srv.RegisterFunc("Test.Stuck", func() error { <-inv.hold; return nil }))
					client := pipe(t, srv)
					defer client.Close()
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
