//go:build hung

// Package hung has the test that guide/trouble.md shows: it waits for ever.
package hung

import (
	"net"
	"testing"
)

func TestHangs(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	client.Read(make([]byte, 1))
}
