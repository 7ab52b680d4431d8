package cli

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

func TestOptions_ThatThereIsNoRaceDetectorIsSaidOnce(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the race detector needs no cgo here")
	}
	t.Setenv("CGO_ENABLED", "0")
	var out strings.Builder
	c := &checking{meter: &meter{w: &out}, race: true, timeout: time.Second}
	for range 2 {
		o, err := c.options(t.Context(), ".")
		require.NoError(t, err)
		assert.False(t, o.Race)
	}
	assert.Equal(t, 1, strings.Count(out.String(), "Without the race detector: -race "))
}

func TestMeter(t *testing.T) {
	for live, want := range map[bool]string{
		false: "Checking… a test that hangs is given up after 20s.\n",
		true: "\r\x1b[KChecking… a test that hangs is given up after 20s.\r\x1b[KChecking… 1 of 23 tests have ended." +
			"\r\x1b[KChecking… 1 of 23 ended; slow, or hanging: TestServer_Slow…\r\x1b[K",
	} {
		var out strings.Builder
		m := &meter{w: &out, live: live, width: 60}
		m.start(20 * time.Second)
		m.step(1, 23)
		m.isLate("TestServer_SlowClientHoldsUpNobody")
		m.stop()
		assert.Equal(t, want, out.String())
	}
}

func TestOnward_SaysHowToLeaveOutASideTrip(t *testing.T) {
	for name, want := range map[string]string{
		"03": "with typed params and results:\n    go tool workshop next",
		"4a": "    go tool workshop next\nIt is a side trip. The core path goes on with 5a:\n    go tool workshop start -solve 5a",
		"4b": ":\n    go tool workshop next",
		"5e": "\nIt is a side trip: the core path has ended.",
	} {
		s, err := course.Find(name)
		require.NoError(t, err)
		text := onward(s)
		assert.True(t, strings.HasSuffix(text, want), text)
	}
}
