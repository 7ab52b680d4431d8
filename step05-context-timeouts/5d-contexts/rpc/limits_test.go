package rpc

// A green test here means that its weakness exists. Its comment names the later
// step and the test that lift the weakness. In that step, the pin is still here,
// and skips; after it, the pin is gone.

import (
	"context"
	"io"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lifted in 5d by TestServer_TellsTheMethodThatItsCallerIsGone.
func TestLimit_HandlerIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, returned := make(chan struct{}), make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", waitFor(release, returned))
		conn := srv.connect(t)
		write(t, conn, numbered(1, "Test.Slow"))
		conn.Close()
		<-time.After(24 * time.Hour) // of the bubble's clock
		select {
		case <-returned:
			t.Skip("lifted: 5d")
		default: // it works on, though its caller is long gone
		}
		close(release)
		select {
		case <-returned:
		case <-time.After(time.Hour):
			assert.Fail(t, "the method was never called")
		}
	})
}

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

// Lifted in 5e by TestServer_TellsTheMethodThatItsCallIsCancelled.
func TestLimit_CallerThatGivesUpTellsNoMethod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		called := make(chan context.Context)
		srv := newServer(t, &Server{})
		register(t, srv, "Wait", func(ctx context.Context) {
			called <- ctx
			<-ctx.Done()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		c := newClient(t, srv)
		go func() { done <- c.Call(ctx, "Test.Wait", nil, nil) }()
		told := <-called
		cancel()
		err := <-done
		require.ErrorIs(t, err, context.Canceled)
		<-time.After(24 * time.Hour) // of the bubble's clock
		if told.Err() != nil {
			t.Skip("lifted: 5e")
		}
		t.Logf("the caller got %q; a day later, the method's ctx.Err() is %v", err, told.Err())
		c.Close() // the method waits on, for a result that no caller will read
		<-told.Done()
	})
}

// Lifted in 6b by TestGob_CarriesBytesAsTheyAre.
func TestLimit_BytesGrowByAThird(t *testing.T) {
	speakCompactly(t)
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCall(c, "M", make([]byte, 3000), nil)
		server.SetReadDeadline(time.Now().Add(24 * time.Hour)) // of the bubble's clock
		n, err := io.ReadFull(server, make([]byte, 10_000))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		server.Close()
		<-done
		if n < 4000 {
			t.Skip("lifted: 6b")
		}
		assert.Less(t, n, 4100, "base64, and the names of the fields")
	})
}
