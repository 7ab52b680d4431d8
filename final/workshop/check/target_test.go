package check

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func TestFind_TheCoursesOwnFolders(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	for dir, want := range map[string]string{
		"step01-tcp-server":                       "01",
		"step03-client/rpc":                       "03",
		"step05-context-timeouts":                 "5f",
		"step05-context-timeouts/5a-identity":     "5a",
		"step05-context-timeouts/5a-identity/rpc": "5a",
		"step05-context-timeouts/testdata/script": "5f",
	} {
		target, err := Find(filepath.Join(root, filepath.FromSlash(dir)))
		require.NoError(t, err, dir)
		assert.Equal(t, want, target.Station.Name, dir)
		assert.Equal(t, filepath.Join(root, filepath.FromSlash(target.Station.Folder)), target.Dir, dir)
		assert.Nil(t, target.Progress, dir)
	}
	for _, dir := range []string{".", "final", "testdata"} {
		_, err := Find(filepath.Join(root, dir))
		assert.ErrorContains(t, err, "is neither a step nor a folder that start made", dir)
	}
}

func TestFind_ALearnersFolder(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := t.TempDir()
	_, err = Find(dir)
	assert.ErrorIs(t, err, progress.ErrNone)

	_, err = progress.Create(dir, "5a")
	require.NoError(t, err)
	_, err = Find(dir)
	assert.ErrorContains(t, err, "its go.work names no clone of the course")

	writeFiles(t, dir, map[string]string{
		"go.work":       "go 1.26.0\n\nuse (\n\t.\n\t" + filepath.ToSlash(filepath.Join(root, "final", "workshop")) + "\n)\n",
		"rpc/server.go": "package rpc\n",
	})
	target, err := Find(filepath.Join(dir, "rpc"))
	require.NoError(t, err)
	assert.Equal(t, dir, target.Dir)
	assert.Equal(t, root, target.Root)
	assert.Equal(t, "5a", target.Station.Name)

	writeFiles(t, dir, map[string]string{progress.File: "{"})
	_, err = Find(dir)
	assert.ErrorContains(t, err, "cannot be read")
	writeFiles(t, dir, map[string]string{progress.File: `{"station":"9"}`})
	_, err = Find(dir)
	assert.ErrorContains(t, err, `no step or checkpoint "9"`)
}
