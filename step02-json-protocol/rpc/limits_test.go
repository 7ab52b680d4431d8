package rpc

// A green test here means that its weakness exists. Its comment names the later
// step and the test that lift the weakness. In that step, the pin is still here,
// and skips; after it, the pin is gone.

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

// Lifted in 4a by TestServer_RefusesUnknownMethods.
func TestLimit_AnyMethodIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newServer(t, &Server{}).connect(t)
		if exchange(t, conn, request("Nobody.WroteThis")) != answer("Nobody.WroteThis") {
			t.Skip("lifted: 4a")
		}
	})
}
