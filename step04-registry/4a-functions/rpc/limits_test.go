package rpc

// A green test here means that its weakness exists. Its comment names the later
// step and the test that lift the weakness. In that step, the pin is still here,
// and skips; after it, the pin is gone.

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lifted in 4a by TestServer_RefusesUnknownMethods.
func TestLimit_AnyMethodIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newServer(t, &Server{}).connect(t)
		if exchange(t, conn, request("Nobody.WroteThis")) != answer("Nobody.WroteThis") {
			t.Skip("lifted: 4a")
		}
	})
}

// Lifted in 5b by TestClient_CallEndsWithItsContext.
func TestLimit_NoAnswerHangsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCallWithin(time.Hour, c, "M", nil, nil)
		read(t, server)
		<-time.After(24 * time.Hour) // of the bubble's clock
		synctest.Wait()
		if len(done) > 0 {
			require.Error(t, <-done)
			t.Skip("lifted: 5b")
		}
		require.NoError(t, c.Close()) // the call still waits: end it
		<-done
	})
}

// Lifted in 5c by TestServer_SlowCallHoldsUpNoOther.
func TestLimit_SlowCallBlocksTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			if req.Method == "Slow" {
				<-release
			}
			return echo(req)
		})}).connect(t)
		write(t, conn, numbered(1, "Slow")+numbered(2, "Quick"))
		conn.SetReadDeadline(time.Now().Add(24 * time.Hour)) // of the bubble's clock
		_, err := conn.Read(make([]byte, 1))
		if err == nil { // the quick call has its answer
			close(release)
			t.Skip("lifted: 5c")
		}
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the quick call waits for the slow one")
		t.Logf("Slow and Quick were sent; a day later, there is no answer: %v", err)
		conn.SetReadDeadline(time.Time{})
		close(release)
		assert.Equal(t, numberedAnswer(1, "Slow"), read(t, conn))
		assert.Equal(t, numberedAnswer(2, "Quick"), read(t, conn))
	})
}

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

// Lifted in 4b by TestService_RefusesWhatCannotBeCalled.
func TestLimit_AnyFunctionIsRegistered(t *testing.T) {
	if NewService("Test").Register("Add", func(a, b int) int { return a + b }) != nil {
		t.Skip("lifted: 4b")
	}
}

// Lifted in 4b by TestServer_PanicIsAnInternalErrorAndALogLine.
func TestLimit_PanicEndsTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Bug", func() int { panic("bug") })
		defer func() {
			// In the goroutine of a connection, a panic that goes on ends the process.
			bug := recover()
			if bug == nil {
				t.Skip("lifted: 4b")
			}
			t.Logf("Test.Bug was called, and nothing stopped its panic: %v", bug)
		}()
		srv.handle(Request{Method: "Test.Bug"})
	})
}
