package consul_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The demo's inventory is killed and comes back on another port, of which only
// Consul tells.
func TestDemo_FindsTheInventoryThroughConsul(t *testing.T) {
	c := newConsul(t, "")
	demo := filepath.Join(t.TempDir(), "demo")
	if runtime.GOOS == "windows" {
		demo += ".exe"
	}
	build := exec.Command("go", "-C", "../../cmd/demo", "build", "-o", demo, ".")
	build.Env = append(os.Environ(), "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))

	out, err = exec.Command(demo, "-orders", "1000", "-consul", c.addr).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Regexp(t, `(?m)^started it again, on 127\.0\.0\.1:\d+, where Consul finds it: `, string(out))
	assert.Regexp(t, `(?m)^books balance$`, string(out))
}
