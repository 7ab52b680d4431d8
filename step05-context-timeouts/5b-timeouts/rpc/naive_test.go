package rpc

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// naiveCall is a call with a timeout for a client whose calls cannot be ended one
// by one: when the time is up, it ends the connection.
func naiveCall(c *Client, method string, timeout time.Duration) error {
	timer := time.AfterFunc(timeout, func() { c.Close() })
	defer timer.Stop()
	return call(c, method, nil, nil)
}

func TestNaive_OneTimeoutEndsAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		go io.Copy(io.Discard, server) // it never answers
		patient := goCall(c, "Patient", nil, nil)
		slow := naiveCall(c, "Slow", 50*time.Millisecond)
		t.Logf("Slow:    %v", slow)
		assert.ErrorIs(t, slow, ErrClientClosed)
		err := <-patient
		t.Logf("Patient: %v", err)
		assert.ErrorIs(t, err, ErrClientClosed, "it had an hour, and got 50 ms")
		assert.ErrorIs(t, call(c, "Next", nil, nil), ErrClientClosed)
	})
}
