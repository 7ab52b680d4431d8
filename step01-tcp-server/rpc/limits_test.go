package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it. There it stays for a last time, and skips.

import (
	"testing"
	"testing/synctest"
)

// Lifted in step 02 by TestServer_RefusesWhatIsNotARequest.
func TestLimit_AnyLineIsEchoed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		if exchange(t, conn, "complete nonsense\n") != "complete nonsense\n" {
			t.Skip("lifted: 02")
		}
	})
}
