package cli_test

import (
	"bufio"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A watched is the tool while it watches a learner's folder.
type watched struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	dir   string

	stderr io.Writer // nil: nowhere
}

// startWatch starts the tool in a new folder, for tests of the package own alone.
func startWatch(t *testing.T, own string, flags ...string) *watched {
	t.Helper()
	root, err := course.Root(".")
	require.NoError(t, err)
	w := &watched{dir: filepath.Join(t.TempDir(), "mine")}
	require.NoError(t, starter.Write(root, course.Stations[0], w.dir))
	w.save(t, own)
	w.start(t, flags...)
	return w
}

// start starts the tool in w.dir.
func (w *watched) start(t *testing.T, flags ...string) {
	t.Helper()
	var err error
	w.cmd = exec.Command("workshop", append([]string{"watch", "-until-eof", "-race=false", "-run", "TestOwn", "-timeout", "1h"}, flags...)...)
	w.cmd.Dir = w.dir
	w.cmd.Env = append(os.Environ(), "GOPROXY=off")
	w.cmd.Stderr = w.stderr
	w.stdin, err = w.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := w.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, w.cmd.Start())
	t.Cleanup(func() { w.cmd.Process.Kill() })
	w.lines = bufio.NewScanner(stdout)
}

// save writes the test of the package own.
func (w *watched) save(t *testing.T, body string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(w.dir, "own"), 0o777))
	text := "package own\n\nimport (\n\t\"net\"\n\t\"testing\"\n)\n\nvar _ = net.Dial\n\nfunc TestOwn(t *testing.T) {\n" + body + "\n}\n"
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "own", "own_test.go"), []byte(text), 0o666))
}

// until reads to a line that has text in it, and returns all that came before.
func (w *watched) until(t *testing.T, text string) string {
	t.Helper()
	var before []string
	for w.lines.Scan() {
		if strings.Contains(w.lines.Text(), text) {
			return strings.Join(before, "\n")
		}
		before = append(before, w.lines.Text())
	}
	require.FailNow(t, "watch has ended", "waiting for %q, after\n%s", text, strings.Join(before, "\n"))
	return ""
}

func (w *watched) end(t *testing.T) {
	t.Helper()
	require.NoError(t, w.stdin.Close())
	for w.lines.Scan() { // until it ends
	}
	assert.NoError(t, w.cmd.Wait(), "an end that was asked for is no failure")
}

func TestWatch_ChecksAgainWhenAFileIsSaved(t *testing.T) {
	seldom.Test(t)
	for _, flags := range [][]string{nil, {"-poll"}} {
		w := startWatch(t, "\tt.Error(\"planted\")", flags...)
		before := w.until(t, "Waiting until you save")
		assert.Contains(t, before, "own/own_test.go:11:1: TestOwn: planted\n", "in a pipe, a line for each problem")
		assert.NotContains(t, before, "\x1b", "no terminal: neither colour nor an empty screen")

		w.save(t, "")
		assert.Contains(t, w.until(t, "Waiting until you save"), "1 of 1 test passes.")
		w.end(t)
	}
}

func TestWatch_SeesASaveInALinkedFolder(t *testing.T) {
	w := startWatch(t, "\tt.Error(\"planted\")")
	w.end(t)
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(w.dir, link); err != nil {
		require.Equal(t, "windows", runtime.GOOS, err) // there it needs a permission
		t.Skip(err)
	}
	w.dir = link
	w.start(t)
	assert.Contains(t, w.until(t, "Waiting until you save"), "planted")
	w.save(t, "")
	assert.Contains(t, w.until(t, "Waiting until you save"), "1 of 1 test passes.")
	w.end(t)
}

func TestWatch_GivesUpACheckWhenAFileIsSaved(t *testing.T) {
	seldom.Test(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	w := startWatch(t, "\tnet.Dial(\"tcp\", \""+ln.Addr().String()+"\")\n\tselect {}")
	conn, err := ln.Accept() // the test is under way, and will not end by itself
	require.NoError(t, err)
	defer conn.Close()

	w.save(t, "")
	before := w.until(t, "Waiting until you save")
	assert.Contains(t, before, "1 of 1 test passes.")
	assert.NotContains(t, before, "TestOwn", "nothing is shown of the check that was given up")
	w.end(t)
}

func TestWatch_EndsInTheMiddleOfACheck(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	w := startWatch(t, "\tnet.Dial(\"tcp\", \""+ln.Addr().String()+"\")\n\tselect {}")
	conn, err := ln.Accept()
	require.NoError(t, err)
	defer conn.Close()
	w.end(t)
}
