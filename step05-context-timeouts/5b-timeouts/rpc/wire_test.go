package rpc

import (
	"testing"
	"testing/synctest"
)

func TestWire_ServerAnswersAsCaptured(t *testing.T) {
	for _, name := range echoCaptures {
		synctest.Test(t, func(t *testing.T) {
			replay(t, newEchoServer(t).connect(t), capture(t, name))
		})
	}
}

func TestWire_ClientCallsAsCaptured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		replayCalls(t, c, server, capture(t, callsCapture))
	})
}

func TestWire_RegistryAnswersAsCaptured(t *testing.T) {
	for _, name := range stockCaptures {
		synctest.Test(t, func(t *testing.T) {
			replay(t, newStockServer(t).connect(t), capture(t, name))
		})
	}
}
