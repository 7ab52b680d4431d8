package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// Lifted in step 02 by TestServer_RefusesWhatIsNotARequest.
func TestLimit_AnyLineIsEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		assert.Equal(t, "complete nonsense\n", exchange(t, conn, "complete nonsense\n"))
	})
}
