// Package seldom marks tests that take many seconds each: they start browsers, or build
// programs again and again. A plain go test skips them, so that all tests of the workspace
// take little time. With CI=true in the environment they run.
package seldom

import (
	"os"
	"testing"
)

// Test skips t unless seldom tests run.
func Test(t testing.TB) {
	t.Helper()
	if !Run() {
		t.Skip("it takes long: run it with CI=true in the environment")
	}
}

// Run reports whether seldom tests run: whether the environment variable CI is set, as it
// is by the servers that test changes, and is not "false".
func Run() bool {
	ci := os.Getenv("CI")
	return ci != "" && ci != "false"
}
