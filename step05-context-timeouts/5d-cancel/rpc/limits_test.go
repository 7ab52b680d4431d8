package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

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

// Lifted in step 06b by TestGob_CarriesBytesAsTheyAre.
func TestLimit_BytesGrowByAThird(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		photo := make([]byte, 3000)
		done := goCall(c, "M", photo, nil)
		assert.Len(t, readRequestFrom(t, server).Params, 4000+len(`""`), "base64")
		server.Close()
		<-done
	})
}
