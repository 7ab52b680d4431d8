package course

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeCourse writes files below a new folder.
func writeCourse(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	return root
}

func files(t *testing.T, root, station string) map[string]string {
	t.Helper()
	s, err := Find(station)
	require.NoError(t, err)
	found, err := s.Files(root, "example.com/mine")
	require.NoError(t, err)
	texts := map[string]string{}
	for name, data := range found {
		texts[name] = string(data)
	}
	return texts
}

func TestFiles_OfAStep(t *testing.T) {
	root := writeCourse(t, map[string]string{
		"step04-registry/rpc/a.go":              "package rpc\r\n",
		"step04-registry/cmd/a.go":              "import \"example.com/rpc-from-scratch/step04-registry/rpc\" // of step04-registry\n",
		"step04-registry/testdata/data":         "\x00\r\n",
		"step04-registry/rpc/.hidden":           "",
		"step04-registry/.git/config":           "",
		"step04-registry/go.mod":                "",
		"step04-registry/README.md":             "",
		"step04-registry/4a-functions/rpc/b.go": "package rpc\n",
	})
	assert.Equal(t, map[string]string{
		"rpc/a.go":      "package rpc\n",
		"cmd/a.go":      "import \"example.com/mine/rpc\" // of step04-registry\n",
		"testdata/data": "\x00\r\n",
	}, files(t, root, "4b"))
}

func TestFiles_OfACheckpoint(t *testing.T) {
	root := writeCourse(t, map[string]string{
		"step04-registry/rpc/a.go":                            "package rpc\n",
		"step04-registry/rpc/naive_test.go":                   "package rpc\n",
		"step04-registry/cmd/client.go":                       "04",
		"step04-registry/cmd/server.go":                       "04",
		"step04-registry/testdata/script/usage.txtar":         "04",
		"step05-context-timeouts/cmd/client.go":               "05",
		"step05-context-timeouts/cmd/server.go":               "05",
		"step05-context-timeouts/testdata/script/usage.txtar": "05",
		"step05-context-timeouts/5a-identity/rpc/b.go":        "package rpc\n",
		"step05-context-timeouts/5b-timeouts/rpc/b2.go":       "package rpc\n",
		"step05-context-timeouts/5c-in-flight/rpc/c.go":       "package rpc\n",
		"step05-context-timeouts/5c-in-flight/cmd/server.go":  "5c",
	})
	assert.Equal(t, map[string]string{
		"rpc/b.go": "package rpc\n", "cmd/client.go": "04", "cmd/server.go": "04", "testdata/script/usage.txtar": "04",
	}, files(t, root, "5a"), "its programs are those before it")
	assert.Equal(t, map[string]string{
		"rpc/b2.go": "package rpc\n", "cmd/client.go": "05", "cmd/server.go": "04", "testdata/script/usage.txtar": "05",
	}, files(t, root, "5b"), "where they still fit")
	assert.Equal(t, map[string]string{
		"rpc/c.go": "package rpc\n", "cmd/client.go": "05", "cmd/server.go": "5c", "testdata/script/usage.txtar": "05",
	}, files(t, root, "5c"), "and go on from there")
}

func TestFiles_SaysWhatIsMissing(t *testing.T) {
	s, err := Find("6a")
	require.NoError(t, err)
	_, err = s.Files(t.TempDir(), "example.com/mine")
	assert.EqualError(t, err, "station 6a is not in this clone: there is no step06-gob-codec/6a-codec/rpc")
}

// A file is where Files takes it from.
func TestPlace_IsWhereFilesReads(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for _, s := range Stations {
		files, err := s.Files(root, s.Module())
		require.NoError(t, err)
		for _, name := range files.Names() {
			place, ok := s.Place(root, name)
			require.True(t, ok, "%s: %s", s.Name, name)
			data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(place)))
			require.NoError(t, err)
			own := Files{name: toLF(data)}
			for _, of := range Stations {
				own.fold(of.Module(), s.Module())
			}
			assert.Equal(t, string(own[name]), string(files[name]), "%s: %s is not %s", s.Name, name, place)
		}
		_, ok := s.Place(root, "rpc/nothing.go")
		assert.False(t, ok, s.Name)
	}
}
