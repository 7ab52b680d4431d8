package durable

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// recorded is the system's disk, and notes what is done to it. The step called
// fails fails.
type recorded struct {
	system
	steps []string
	fails string
}

var errDisk = errors.New("input/output error")

func (r *recorded) note(step string) error {
	r.steps = append(r.steps, step)
	if step == r.fails {
		return errDisk
	}
	return nil
}

func (r *recorded) sync(f *os.File) error {
	return errors.Join(r.note("sync "+filepath.Base(f.Name())), r.system.sync(f))
}

func (r *recorded) rename(from, to string) error {
	return errors.Join(r.note("rename "+filepath.Base(from)+" "+filepath.Base(to)), r.system.rename(from, to))
}

func (r *recorded) syncDir(dir string) error {
	return errors.Join(r.note("sync "+filepath.Base(dir)), r.system.syncDir(dir))
}

// newFile returns a file with text in it, beside an old one.
func newFile(t *testing.T) (f *os.File, path string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "folder")
	require.NoError(t, os.Mkdir(dir, 0o777))
	path = filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	f, err := os.Create(filepath.Join(dir, "new"))
	require.NoError(t, err)
	_, err = f.WriteString("new")
	require.NoError(t, err)
	return f, path
}

func TestReplace_WritesContentThenNameThenFolder(t *testing.T) {
	f, path := newFile(t)
	d := &recorded{}
	require.NoError(t, replace(d, f, path))
	assert.Equal(t, []string{"sync new", "rename new file", "sync folder"}, d.steps)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "new", string(text))
	assert.NoFileExists(t, f.Name())
	assert.ErrorIs(t, f.Close(), os.ErrClosed)
}

func TestReplace_LeavesTheOldFileIfTheNewOneIsNotOnTheDisk(t *testing.T) {
	f, path := newFile(t)
	assert.ErrorIs(t, replace(&recorded{fails: "sync new"}, f, path), errDisk)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "old", string(text))
	assert.ErrorIs(t, f.Close(), os.ErrClosed)

	f, path = newFile(t)
	assert.ErrorIs(t, replace(&recorded{fails: "sync folder"}, f, path), errDisk, "nobody may believe that it is there")
}

func TestRename_WritesTheFolder(t *testing.T) {
	f, path := newFile(t)
	require.NoError(t, f.Close())
	d := &recorded{}
	require.NoError(t, rename(d, f.Name(), path))
	assert.Equal(t, []string{"rename new file", "sync folder"}, d.steps)
	assert.ErrorIs(t, Rename(f.Name(), path), os.ErrNotExist)
}

func TestSyncDir_SaysWhatIsNoFolder(t *testing.T) {
	assert.ErrorIs(t, SyncDir(filepath.Join(t.TempDir(), "nowhere")), os.ErrNotExist)
	assert.NoError(t, SyncDir(t.TempDir()))
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stock.json")
	for _, text := range []string{"a long text", "short"} {
		require.NoError(t, WriteFile(path, []byte(text)))
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, text, string(got))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing stays beside it")

	require.Error(t, WriteFile(filepath.Join(dir, "none", "stock.json"), nil))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o777))
	require.Error(t, WriteFile(filepath.Join(dir, "folder"), nil), "a folder has the name")
	entries, err = os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2)
}

// Two goroutines that write one file leave one of the two texts, whole.
func TestWriteFile_ByManyAtOnce(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "stock.json")
	texts := []string{strings.Repeat("a", 1<<16), strings.Repeat("b", 1<<15)}
	for range 20 {
		var all sync.WaitGroup
		for _, text := range texts {
			all.Go(func() { assert.NoError(t, WriteFile(path, []byte(text))) })
		}
		all.Wait()
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, slices.Contains(texts, string(got)), "%d bytes that nobody has written so", len(got))
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1, "nothing stays beside it")
}

// A file that has a mode keeps it: a program stays one, and a secret, too.
func TestWriteFile_KeepsTheMode(t *testing.T) {
	dir := t.TempDir()
	fresh := filepath.Join(dir, "fresh")
	require.NoError(t, WriteFile(fresh, nil))
	usual := filepath.Join(dir, "usual")
	require.NoError(t, os.WriteFile(usual, nil, 0o666))
	assert.Equal(t, modeOf(t, usual), modeOf(t, fresh), "a new file has the mode of any")
	for _, mode := range []os.FileMode{0o600, 0o755, 0o666, 0o444} {
		path := filepath.Join(dir, "file"+mode.String())
		require.NoError(t, os.WriteFile(path, nil, 0o600))
		require.NoError(t, os.Chmod(path, mode))
		before := modeOf(t, path) // Windows has read-only files, and others
		if err := WriteFile(path, []byte("new")); runtime.GOOS != "windows" || mode != 0o444 {
			require.NoError(t, err)
		}
		assert.Equal(t, before, modeOf(t, path))
	}
}

func modeOf(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Mode()
}
