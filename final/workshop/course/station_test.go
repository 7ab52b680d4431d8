package course

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"01": "01", "1": "01", "step01-tcp-server": "01", "step01": "01",
		"5a": "5a", "05": "5f", "5": "5f", "5e": "5e", "step05-context-timeouts/": "5f", "07": "07",
	} {
		s, err := Find(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, s.Name, name)
	}
	s, err := FindFirst("05")
	require.NoError(t, err)
	assert.Equal(t, "5a", s.Name)

	for _, name := range []string{"", "8", "5g", "final", "0"} {
		_, err := Find(name)
		assert.ErrorContains(t, err, "there are 01 02", name)
	}
}

func TestStations_HaveAPageOfTheirOwn(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, s := range Stations {
		assert.FileExists(t, filepath.Join(root, filepath.FromSlash(s.Page())))
		assert.False(t, seen[s.Page()], s.Page())
		seen[s.Page()] = true
		if s.Entrance() != "" {
			assert.FileExists(t, filepath.Join(root, filepath.FromSlash(s.Entrance())))
			assert.NotEqual(t, s.Entrance(), s.Page())
		}
	}
}

func TestStations_TheCorePath(t *testing.T) {
	var core []string
	for _, s := range Stations {
		if !s.Side {
			core = append(core, s.Name)
		}
	}
	assert.Equal(t, []string{"01", "02", "03", "4a", "5a", "5b", "5c", "5d", "5e"}, core)
}

func TestFiles_LeaveOutPages(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for _, s := range Stations {
		files, err := s.Files(root, s.Module())
		require.NoError(t, err)
		for _, name := range files.Names() {
			assert.NotEqual(t, ".md", filepath.Ext(name), "%s of %s", name, s.Name)
		}
	}
}

func TestRoot(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(root, "go.work"))

	elsewhere := t.TempDir() // as start makes it
	work := "go 1.26.0\n\nuse (\n\t.\n\t" + filepath.ToSlash(filepath.Join(root, "final", "workshop")) + "\n)\n"
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, "go.work"), []byte(work), 0o666))
	require.NoError(t, os.Mkdir(filepath.Join(elsewhere, "rpc"), 0o777))
	found, err := Root(filepath.Join(elsewhere, "rpc"))
	require.NoError(t, err)
	assert.Equal(t, root, found)

	_, err = Root(t.TempDir())
	assert.ErrorIs(t, err, ErrNoRoot)
}
