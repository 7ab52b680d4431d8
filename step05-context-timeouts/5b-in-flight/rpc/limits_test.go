package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

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
