package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

import (
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lifted in step 05a by TestClient_CallEndsWithItsContext.
func TestLimit_NoAnswerHangsForever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCall(c, "M", nil, nil)
		read(t, server)
		<-time.After(24 * time.Hour) // of the bubble's clock
		synctest.Wait()
		assert.Empty(t, done, "the call still waits")
		require.NoError(t, c.Close())
		<-done
	})
}

// Lifted in step 05b by TestServer_SlowCallHoldsUpNoOther.
func TestLimit_SlowCallBlocksTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			if req.Method == "Slow" {
				<-release
			}
			return echo(req)
		})}).connect(t)
		write(t, conn, request("Slow")+request("Quick"))
		conn.SetReadDeadline(time.Now().Add(24 * time.Hour)) // of the bubble's clock
		_, err := conn.Read(make([]byte, 1))
		require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the quick call waits for the slow one")
		conn.SetReadDeadline(time.Time{})
		close(release)
		assert.Equal(t, answer("Slow"), read(t, conn))
		assert.Equal(t, answer("Quick"), read(t, conn))
	})
}

// Lifted in step 05c by TestServer_TellsTheMethodThatItsCallerIsGone.
func TestLimit_HandlerIsNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release, returned := make(chan struct{}), make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() string {
			defer close(returned)
			<-release // nothing else could end the wait: the method has no context
			return "for nobody"
		})
		conn := srv.connect(t)
		write(t, conn, `{"method":"Test.Slow"}`+"\n")
		conn.Close()
		<-time.After(24 * time.Hour) // of the bubble's clock
		select {
		case <-returned:
			assert.Fail(t, "the method has returned")
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
