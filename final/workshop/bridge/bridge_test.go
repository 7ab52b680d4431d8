package bridge

import (
	"bytes"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A learner who has finished step 07 puts each bridge on: its tests fail, its
// code makes them pass, and those of step 07 stay green.
func TestBridges_LeadFromStep07(t *testing.T) {
	seldom.Test(t)
	root, err := course.Root(".")
	require.NoError(t, err)
	last := course.Stations[len(course.Stations)-1]
	for _, b := range Bridges {
		t.Run(b.Name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "mine")
			require.NoError(t, starter.Write(root, last, dir))
			require.NoError(t, starter.Solve(root, last, dir))

			names, err := b.Tests(root, dir)
			require.NoError(t, err)
			assert.NotEmpty(t, names)
			rooms := []string{"-vet=off"}
			for _, name := range names {
				rooms = append(rooms, "./"+path.Dir(name))
			}
			_, err = goTest(dir, slices.Compact(rooms)...)
			assert.Error(t, err, "its tests pass without its code")

			_, err = b.Solve(root, dir)
			require.NoError(t, err)
			out, err := goTest(dir, "./...")
			assert.NoError(t, err, out)

			_, err = b.Solve(root, dir)
			assert.Error(t, err, "twice is once too often")
		})
	}
}

// goTest tests packages of a learner's folder, which is a new one each time: with -trimpath
// what is compiled and has passed in another one with the same code need not be again.
func goTest(dir string, args ...string) (string, error) {
	cmd := exec.Command("go", append([]string{"test", "-trimpath", "-ldflags=-w", "-timeout", "60s"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestBridges_AreAtMost120Lines(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	for _, b := range Bridges {
		lines := 0
		files, err := filepath.Glob(filepath.Join(b.overlay(root), "*", "*.go"))
		require.NoError(t, err)
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				lines += codeLines(t, file, "")
			}
		}
		lines += codeLines(t, filepath.Join(b.overlay(root), changesFile), "+")
		assert.LessOrEqual(t, lines, 120, b.Name)
		assert.Greater(t, lines, 20, b.Name)
	}
}

// codeLines counts the lines that begin with prefix and hold more than a comment.
func codeLines(t *testing.T, file, prefix string) int {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	n := 0
	for line := range bytes.Lines(text) {
		code, ok := strings.CutPrefix(string(line), prefix)
		code = strings.TrimSpace(code)
		if ok && code != "" && !strings.HasPrefix(code, "//") {
			n++
		}
	}
	return n
}

func TestBridge_KeepsWhatIsTheLearners(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	b, err := Find("frames")
	require.NoError(t, err)

	_, err = b.Tests(root, t.TempDir())
	assert.ErrorContains(t, err, "does not have the code of step 07")

	dir := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "inventory"), 0o777))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "rpc"), 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module mine\n"), 0o666))
	mine := filepath.Join(dir, "rpc", "frames_test.go")
	require.NoError(t, os.WriteFile(mine, []byte("package rpc // mine\n"), 0o666))
	_, err = b.Tests(root, dir)
	assert.ErrorContains(t, err, "you have a file rpc/frames_test.go already")
	text, err := os.ReadFile(mine)
	require.NoError(t, err)
	assert.Equal(t, "package rpc // mine\n", string(text))

	require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "hello.go"), []byte("package rpc\n"), 0o666))
	_, err = b.Solve(root, dir)
	assert.ErrorContains(t, err, "rpc/hello.go is not as the course's step 07 has it")
	assert.NoFileExists(t, filepath.Join(dir, "rpc", "frames.go"))
}

func TestFind_NamesThemAll(t *testing.T) {
	_, err := Find("tunnel")
	for _, b := range Bridges {
		assert.ErrorContains(t, err, b.Name)
	}
}
