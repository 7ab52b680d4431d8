package check

import (
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCanRace_SaysWhyNot(t *testing.T) {
	if runtime.GOOS == "darwin" {
		t.Skip("the race detector needs neither cgo nor a compiler here")
	}
	t.Setenv("CGO_ENABLED", "0")
	why, ok := CanRace(t.Context(), ".")
	assert.False(t, ok)
	assert.Regexp(t, "^-race (requires cgo|is only supported)", why)
	if runtime.GOARCH != "amd64" {
		return
	}
	t.Setenv("CGO_ENABLED", "1")
	t.Setenv("CC", "no-such-compiler -m64")
	why, ok = CanRace(t.Context(), ".")
	assert.False(t, ok)
	assert.Equal(t, "it needs a C compiler, and no-such-compiler was not found", why)
}

func TestTestEnv_EndsProgramsAtOnce(t *testing.T) {
	t.Setenv("GORACE", "halt_on_error=1")
	env := testEnv()
	assert.Contains(t, env, "GORACE=atexit_sleep_ms=0")
	assert.False(t, slices.Contains(env, "GORACE=halt_on_error=1"))
}
