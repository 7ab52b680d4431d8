package rpc

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// A process has files beside its connections: its listeners, its logs.
func TestServe_TooFewFilesAreThoseThatLeaveNoRoom(t *testing.T) {
	for _, c := range []struct {
		conns int
		limit uint64
		few   bool
	}{
		{1000, 999, true},
		{1000, 1000, true},
		{1000, 1015, true},
		{1000, 1016, false},
		{math.MaxInt, 1 << 20, true},
		{math.MaxInt, math.MaxUint64, false}, // no limit
	} {
		assert.Equal(t, c.few, tooFewFiles(c.conns, c.limit) != nil, c)
	}
}
