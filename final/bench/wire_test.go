package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The raw peer's bytes can be counted by hand: 4 of length, a letter and the item; 4 of length and 8 of quantity.
func TestCountWire_CountsEveryByteOfACall(t *testing.T) {
	got, err := countWire(t.Context(), rawTCP, workload{callers: 3, connections: 1})
	require.NoError(t, err)
	assert.Equal(t, float64(4+1+len("item1")), got.Sent)
	assert.Equal(t, float64(4+8), got.Received)
}

func TestCountWire_LeavesTheConnectionsFirstBytesOut(t *testing.T) {
	got, err := countWire(t.Context(), netRPC, workload{callers: 1, connections: 1})
	require.NoError(t, err)
	assert.Less(t, got.total(), 100.0, "gob's type descriptions alone are more")
}

func TestCountWire_CoversTheBody(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		got, err := countWire(t.Context(), p, workload{callers: 2, connections: 1, body: 1 << 10})
		require.NoError(t, err)
		assert.Greater(t, got.Sent, 1024.0)
		assert.Greater(t, got.Received, 1024.0)
	})
}
