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
