//go:build museum

package main

import (
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A pipe holds no bytes: what is written waits until it is read. So two lines
// show what takes megabytes between sockets.
func TestSend_WritersWaitForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		go Echo(server)
		client.SetDeadline(time.Now().Add(time.Minute)) // of the bubble's time
		answers, err := Send(client, []string{"one", "two", "three"})
		require.NoError(t, err)
		assert.Equal(t, []string{"one", "two", "three"}, answers)
	})
}
