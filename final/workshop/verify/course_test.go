package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// synced is where TestMain keeps the made-up course, with its lessons filled in.
var synced string

// TestMain puts a small course in the place of the real one.
func TestMain(m *testing.M) {
	course.Stations = []course.Station{
		{Name: "01", Step: "step01-one", Folder: "step01-one", Title: "one", Adds: "1", Minutes: 20},
		{Name: "2a", Step: "step02-two", Folder: "step02-two/2a-two", Title: "two", Adds: "2", Minutes: 10},
		{Name: "2b", Step: "step02-two", Folder: "step02-two", Title: "three", Adds: "3", Minutes: 15, Side: true},
	}
	leastRight = 1
	lessonWords, checkpointWords = [2]int{20, 100}, [2]int{20, 100}
	dir, err := os.MkdirTemp("", "course")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		synced = dir
		err = makeCourse()
	}
	status := 1
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

func makeCourse() error {
	archive, err := txtar.ParseFile("testdata/course.txtar")
	if err != nil {
		return err
	}
	if err := txtar.Write(archive, synced); err != nil {
		return err
	}
	c, err := New(synced)
	if err != nil {
		return err
	}
	_, err = c.Sync(context.Background())
	return err
}

// copyCourse returns the root of a copy of the made-up course.
func copyCourse(t *testing.T) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.CopyFS(root, os.DirFS(synced)))
	return root
}

// replace replaces old, which must stand in the file once; the whole file if it
// is empty.
func replace(t *testing.T, root, name, old, new string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	text := read(t, root, name)
	if old == "" {
		text, old = "", ""
	} else {
		require.Equal(t, 1, strings.Count(text, old), "%s: %q", name, old)
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(text, old, new, 1)), 0o666))
}

func read(t *testing.T, root, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if os.IsNotExist(err) {
		return ""
	}
	require.NoError(t, err)
	return string(text)
}

// open returns the course at root.
func open(t *testing.T, root string, lessons ...string) *Course {
	t.Helper()
	c, err := New(root, lessons...)
	require.NoError(t, err)
	return c
}

// run runs the check of that name on the course at root, or on some of its lessons.
func run(t *testing.T, root, name string, lessons ...string) *Findings {
	t.Helper()
	checks, err := Select([]string{name})
	require.NoError(t, err)
	return checks[0].Run(t.Context(), open(t, root, lessons...))
}
