package rpc

// A green test here means that its weakness exists. Its comment names the later
// step and the test that lift the weakness. In that step, the pin is still here,
// and skips; after it, the pin is gone.

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lifted never: Go cannot stop a goroutine from outside. A context asks, and a
// method has to look.
func TestLimit_HandlerThatIgnoresContextRunsOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called, release := make(chan context.Context), make(chan struct{})
		returned := false
		srv := newServer(t, &Server{})
		register(t, srv, "Stubborn", func(ctx context.Context) {
			called <- ctx
			<-release
			returned = true
		})
		c := newClient(t, srv)
		done := goCall(c, "Test.Stubborn", nil, nil)
		told := <-called
		c.Close()
		require.ErrorIs(t, <-done, ErrClientClosed)
		<-told.Done()
		synctest.Wait()
		assert.False(t, returned, "it was told, and runs on")
		close(release)
		synctest.Wait()
		assert.True(t, returned)
	})
}

// Lifted in final by TestGob_FailedEncodeBeginsANewStream.
func TestLimit_OneBadGobMessageEndsTheConnection(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Bad", func() struct{ V any } { return struct{ V any }{struct{ unregistered int }{}} })
		register(t, srv, "Good", func() int { return 1 })
		c := newClient(t, srv)
		require.NoError(t, call(c, "Test.Good", nil, nil))
		assert.Error(t, call(c, "Test.Bad", nil, nil))
		assert.Error(t, call(c, "Test.Good", nil, nil))
	})
}

// Lifted in final by TestServer_BoundsHandlersOfAConnection.
func TestLimit_HandlersUnbounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 2000
		release := make(chan struct{})
		running := make(chan struct{}, calls)
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() { running <- struct{}{}; <-release })
		c := newClient(t, srv)
		var done []<-chan error
		for range calls {
			done = append(done, goCall(c, "Test.Slow", nil, nil))
		}
		synctest.Wait()
		assert.Len(t, running, calls, "all of one client's calls run at once")
		close(release)
		for _, d := range done {
			assert.NoError(t, <-d)
		}
	})
}

// Lifted in final by TestClient_ConnectsAnewAfterALostConnection.
func TestLimit_LostConnectionFailsEveryCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		conn := srv.connect(t)
		c := clientOn(t, conn)
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
		conn.Close() // a cable, a proxy, a restart: the server itself is well
		for range 3 {
			assert.Error(t, call(c, "Inventory.CheckStock", "item1", nil))
		}
		assert.NoError(t, call(newClient(t, srv), "Inventory.CheckStock", "item1", nil))
	})
}

// Lifted in final by TestStream_ItemsArriveInOrderOnce.
func TestLimit_OneResultPerCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		levels := make(chan int)
		srv := newServer(t, &Server{})
		register(t, srv, "Watch", func() int { return <-levels })
		c := newClient(t, srv)
		var left int
		done := goCall(c, "Test.Watch", nil, &left)
		levels <- 100
		require.NoError(t, <-done)
		assert.Equal(t, 100, left)
		synctest.Wait()
		select {
		case levels <- 98:
			assert.Fail(t, "the method hears of the next change")
		default: // it has returned, and its caller has to ask again
		}
	})
}
