package check

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/procgroup"
)

// command returns a command that ends with ctx, with its children, and soon: one of those
// may have left the group, and hold its output open.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	procgroup.Set(cmd)
	cmd.Dir = dir
	cmd.WaitDelay = 2 * time.Second
	return cmd
}

// binary returns the file name of a test's binary.
func binary(dir string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(dir, "test.exe")
	}
	return filepath.Join(dir, "test")
}

// CanRace reports whether the race detector works here, and if not, why. It
// needs cgo on most systems, and there a C compiler.
func CanRace(ctx context.Context, dir string) (why string, ok bool) {
	out, err := command(ctx, dir, "go", "list", "-race", "errors").CombinedOutput()
	if err != nil {
		reason, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return strings.TrimPrefix(reason, "go: "), false
	}
	if runtime.GOOS == "darwin" {
		return "", true // its race detector comes without cgo
	}
	out, err = command(ctx, dir, "go", "env", "CC").Output()
	if err != nil {
		return err.Error(), false
	}
	cc := strings.Fields(string(out))
	if len(cc) == 0 {
		return "no C compiler is set", false
	}
	if _, err := exec.LookPath(cc[0]); err != nil {
		return "it needs a C compiler, and " + cc[0] + " was not found", false
	}
	return "", true
}

// testEnv is the environment of a test: the caller's, but under -race a program
// ends at once.
func testEnv() []string {
	env := slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "GORACE=") })
	return append(env, "GORACE=atexit_sleep_ms=0")
}
