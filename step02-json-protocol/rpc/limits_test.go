package rpc

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// Lifted in step 04a by TestServer_RefusesUnknownMethods.
func TestLimit_AnyMethodIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newServer(t, &Server{}).connect(t)
		assert.Equal(t, answer("Nobody.WroteThis"), exchange(t, conn, request("Nobody.WroteThis")))
	})
}
