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

// Lifted in step 04a by TestServer_RefusesUnknownMethods.
func TestLimit_AnyMethodIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newServer(t, &Server{}).connect(t)
		assert.Equal(t, answer("Nobody.WroteThis"), exchange(t, conn, request("Nobody.WroteThis")))
	})
}

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
