package rpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClient_CallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		go readRequestFrom(t, server)
		err := c.Call(ctx, "Slow", nil, nil)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "Slow")
		assert.Equal(t, 50*time.Millisecond, time.Since(start), "of the bubble's clock")
	})
}

func TestClient_CancelledCallReturnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Slow", nil, nil) }()
		readRequestFrom(t, server)
		start := time.Now()
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
		assert.Equal(t, start, time.Now(), "no time has passed")
	})
}

func TestClient_CallEndsWhileItIsBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t) // which reads nothing
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		first, second := make(chan error, 1), make(chan error, 1)
		go func() { first <- c.Call(ctx, "First", nil, nil) }()
		synctest.Wait()
		go func() { second <- c.Call(ctx, "Second", nil, nil) }()
		assert.ErrorIs(t, <-first, context.DeadlineExceeded, "its write has begun")
		err := <-second
		assert.ErrorIs(t, err, context.DeadlineExceeded, "it waits for its turn")
		assert.ErrorContains(t, err, "Second")

		synctest.Wait() // what runs when a context ends has run
		assert.Equal(t, "First", readRequestFrom(t, server).Method, "which is not cut off")
		third := goEcho(t, c, "Third")
		req := readRequestFrom(t, server)
		for req.Method != "Third" { // a later step sends word of the calls that ended
			req = readRequestFrom(t, server)
			require.NotEqual(t, "Second", req.Method, "it never left")
		}
		echoTo(t, server, req)
		<-third
	})
}

func TestClient_LateReplyReachesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Late", nil, nil) }()
		late := readRequestFrom(t, server)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)

		prompt := goEcho(t, c, "Prompt")
		req := readRequestFrom(t, server)
		for req.Method != "Prompt" {
			req = readRequestFrom(t, server)
		}
		echoTo(t, server, late)
		echoTo(t, server, req)
		<-prompt // and has checked that the answer is its own
	})
}

// A slowContext makes its call slow: from the second time on, the call gets Done
// only after a minute.
type slowContext struct {
	context.Context
	asked atomic.Int64
}

func (c *slowContext) Done() <-chan struct{} {
	if c.asked.Add(1) > 1 {
		<-time.After(time.Minute) // of the bubble's clock
	}
	return c.Context.Done()
}

func TestClient_SlowCallerHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		slow := make(chan error, 1)
		go func() { slow <- c.Call(&slowContext{Context: t.Context()}, "Slow", nil, nil) }()
		req := readRequestFrom(t, server)
		start := time.Now()
		echoTo(t, server, req)

		next := goEcho(t, c, "Next")
		echoTo(t, server, readRequestFrom(t, server))
		<-next
		assert.Zero(t, time.Since(start), "the next call had to wait for the slow caller")
		assert.NoError(t, <-slow)
		<-time.After(time.Hour) // for what still asks for Done
	})
}

func TestClient_ForgetsCallsThatEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		go io.Copy(io.Discard, server)
		held := heldByEach(1000, func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			assert.ErrorIs(t, c.Call(ctx, "M", nil, nil), context.DeadlineExceeded)
		})
		assert.Less(t, held, int64(100), "bytes that are held for each call that has ended")
		runtime.KeepAlive(c)
	})
}

func TestClient_CallersMayComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			go func() { gone <- c.Call(ctx, "Gone", nil, nil) }()
			stays := goEcho(t, c, fmt.Sprint("Stays", i))
			cancel() // before, while or after it is answered
			if err := <-gone; err != nil {
				assert.ErrorIs(t, err, context.Canceled)
			}
			<-stays
		}
	})
}

func TestDial_GivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Dial(ctx, "127.0.0.1:1")
	assert.ErrorContains(t, err, "127.0.0.1:1")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestDial_TheClientOutlivesItsContext(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &Server{Handle: handle(echo)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	ctx, cancel := context.WithCancel(t.Context())
	c, err := Dial(ctx, ln.Addr().String())
	require.NoError(t, err)
	cancel()
	for range 10 { // what waits for the context may come late
		require.NoError(t, call(c, "M", nil, nil), "Dial's context has ended, and the client with it")
	}
	require.NoError(t, c.Close())
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}
