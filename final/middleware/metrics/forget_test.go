package metrics

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// idle is a stream on which nothing travels.
type idle struct{ rpc.Stream }

func (idle) Stats() rpc.StreamStats { return rpc.StreamStats{} }

// A stream that has ended is kept no longer: its memory is free.
func TestStreams_EndedOnesAreForgotten(t *testing.T) {
	s, err := NewServer(prometheus.NewRegistry())
	require.NoError(t, err)
	m := s.side.method("Test.Watch")
	one := m.streamBegins(idle{})
	assert.Len(t, m.streams.now, 1)
	one.ended(rpc.OK)
	assert.Empty(t, m.streams.now)
}
