package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
)

// clone makes a small course: a go.work, and a first step with one test, which is
// empty unless test says otherwise.
func clone(t *testing.T, goVersion, test string) *Machine {
	t.Helper()
	t.Setenv("GOWORK", "") // a module's own tests may run with GOWORK=off
	root := t.TempDir()
	work := "go " + goVersion + "\n\nuse (\n\t./final\n\t./final/workshop\n"
	for _, s := range course.Stations {
		if !s.IsCheckpoint() {
			work += "\t./" + s.Step + "\n"
		}
	}
	write(t, root, "go.work", work+")\n")
	for line := range strings.Lines(work) {
		if dir, ok := strings.CutPrefix(strings.TrimSpace(line), "./"); ok {
			write(t, root, dir+"/go.mod", "module example.com/"+dir+"\n\ngo 1.26.0\n")
			write(t, root, dir+"/rpc/server.go", "package rpc\n")
		}
	}
	write(t, root, "testdata/wire/lines.txt", "hello\n")
	write(t, root, course.Stations[0].Step+"/rpc/server_test.go",
		"package rpc\n\nimport \"testing\"\n\nfunc TestServer_AnswersEachLine(t *testing.T) {"+test+"}\n")
	return &Machine{
		Root: root,
		Free: func(string) (uint64, error) { return 10 << 30, nil },
		Race: func(context.Context) (string, bool) { return "", true },
	}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
}

// examine returns the findings by their names.
func examine(t *testing.T, m *Machine) (ready bool, found map[string]Finding) {
	t.Helper()
	found = map[string]Finding{}
	ready = m.Examine(t.Context(), func(f Finding) { found[f.Name] = f })
	assert.Len(t, found, len(looks))
	return ready, found
}

func TestExamine_AMachineThatIsReady(t *testing.T) {
	ready, found := examine(t, clone(t, "1.26.0", ""))
	assert.True(t, ready)
	for name, f := range found {
		assert.Empty(t, f.ToDo, name)
		assert.NotEmpty(t, f.Found, name)
	}
}

func TestExamine_WithoutARaceDetectorItIsReady(t *testing.T) {
	m := clone(t, "1.26.0", "")
	m.Race = func(context.Context) (string, bool) { return "-race requires cgo", false }
	ready, found := examine(t, m)
	assert.True(t, ready)
	assert.Contains(t, found["race detector"].Note, "-race requires cgo. The tests run without it")
}

// Each plants one failure, and looks for what is said about it.
func TestExamine_SaysWhatToDo(t *testing.T) {
	seldom.Test(t)
	for _, test := range []struct {
		name, look, todo string
		plant            func(t *testing.T) *Machine
	}{
		{"an old Go", "Go", "Get Go 1.99 or later from https://go.dev/dl/", func(t *testing.T) *Machine {
			t.Setenv("GOTOOLCHAIN", "local")
			return clone(t, "1.99", "")
		}},
		{"no go.work", "Go", "clone it again", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			require.NoError(t, os.Remove(filepath.Join(m.Root, "go.work")))
			return m
		}},
		{"GOWORK=off", "settings", "GOWORK=off hides it.\n  sh:          unset GOWORK; go env -u GOWORK\n  PowerShell:  Remove-Item Env:GOWORK", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			t.Setenv("GOWORK", "off")
			return m
		}},
		{"GOFLAGS", "settings", "GOFLAGS: the course has no vendor folder", func(t *testing.T) *Machine {
			t.Setenv("GOFLAGS", "-count=1 -mod=vendor")
			return clone(t, "1.26.0", "")
		}},
		{"CRLF", "line ends", "core.autocrlf=false", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			write(t, m.Root, "testdata/wire/lines.txt", "hello\r\n")
			return m
		}},
		{"a full disk", "disk", "Make room", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			m.Free = func(string) (uint64, error) { return 3 << 20, nil }
			return m
		}},
		{"a disk that cannot be asked", "disk", "that you may write to", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			m.Free = func(string) (uint64, error) { return 0, errors.New("no such volume") }
			return m
		}},
		{"no network", "modules", "Run doctor again with a network", func(t *testing.T) *Machine {
			m := clone(t, "1.26.0", "")
			write(t, m.Root, "final/go.mod", "module example.com/final\n\ngo 1.26.0\n\nrequire example.com/nowhere v1.0.0\n")
			write(t, m.Root, "final/rpc/server.go", "package rpc\n\nimport _ \"example.com/nowhere\"\n")
			t.Setenv("GOPROXY", "http://learner:secret@127.0.0.1:1")
			t.Setenv("GONOPROXY", "none")
			return m
		}},
		{"a red test", "a test", "says:\n", func(t *testing.T) *Machine {
			return clone(t, "1.26.0", ` t.Fatal("planted") `)
		}},
		{"a test that does not compile", "a test", "undefined: missing", func(t *testing.T) *Machine {
			return clone(t, "1.26.0", " missing() ")
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ready, found := examine(t, test.plant(t))
			assert.False(t, ready)
			assert.Contains(t, found[test.look].ToDo, test.todo)
			assert.NotEmpty(t, found[test.look].Found)
			assert.NotContains(t, found[test.look].Found, "secret")
		})
	}
}

func TestFreeSpace(t *testing.T) {
	n, err := freeSpace(t.TempDir())
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("not known on this system")
	}
	require.NoError(t, err)
	assert.NotZero(t, n)
	_, err = freeSpace(filepath.Join(t.TempDir(), "missing"))
	assert.Error(t, err)
	assert.DirExists(t, existing(filepath.Join(t.TempDir(), "not", "there")))
}

func TestFirstCRLF_OfTheCourse(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	found, err := (&Machine{Root: root}).firstCRLF()
	require.NoError(t, err)
	assert.Empty(t, found)
}
