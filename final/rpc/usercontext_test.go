package rpc

import (
	"context"
	"fmt"
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
