package cli

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOptions_ThatThereIsNoRaceDetectorIsSaidOnce(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the race detector needs no cgo here")
	}
	t.Setenv("CGO_ENABLED", "0")
	var out strings.Builder
	c := &checking{out: &out, race: true}
	for range 2 {
		o, err := c.options(t.Context(), ".")
		require.NoError(t, err)
		assert.False(t, o.Race)
	}
	assert.Equal(t, 1, strings.Count(out.String(), "Without the race detector: -race "))
}
