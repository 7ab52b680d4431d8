package cmd_test

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// startDemo starts the demo with a folder for temporary files of its own, and
// reads its output up to a line that begins with mark.
func startDemo(t *testing.T, mark string, args ...string) (demo *exec.Cmd, stderr *bytes.Buffer, temp string) {
	t.Helper()
	temp = t.TempDir()
	demo, stderr = exec.Command("demo", args...), new(bytes.Buffer)
	demo.Env = append(os.Environ(), "TMPDIR="+temp)
	demo.Stderr = stderr
	stdout, err := demo.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, demo.Start())
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), mark) {
			return demo, stderr, temp
		}
	}
	demo.Wait()
	t.Fatalf("the demo ended before it said %q: %s", mark, stderr)
	return nil, nil, ""
}

func TestDemo_LeavesNothingWhenInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no interrupts between processes")
	}
	for _, mark := range []string{"inventory server on", "killed the inventory server"} {
		demo, stderr, temp := startDemo(t, mark, "-orders", "20000")
		require.NoError(t, demo.Process.Signal(os.Interrupt))
		err := demo.Wait()
		require.Error(t, err)
		assert.Equal(t, 1, demo.ProcessState.ExitCode(), err)
		assert.Contains(t, stderr.String(), "demo: interrupt")
		assert.True(t, isEmpty(temp), "temporary files are left")
	}
}
