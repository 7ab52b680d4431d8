package seam

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// write writes files below a new folder.
func write(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for name, text := range files {
		file := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
	return root
}

const code = `package rpc

type Server struct {
	Addr string
	open map[int]bool
}

func (s *Server) serve(n int) {}

// readLine reads.
func readLine(text string,
	max int) error { return nil }

const maxLine = 5

var errLong error

var makers = map[string]func(n int) error{"none": nil}
`

const tests = `package rpc

import "testing"

func helper() {}

func TestX(t *testing.T) {
	helper()
	maxLine := maxLine
	_ = readLine("", maxLine)
	missing()
	new(Server).serve(1)
	s := &Server{open: nil}
	var own thing
	own.open = s.Addr
}

type thing struct{ open string }
`

func station(t *testing.T, name string) course.Station {
	t.Helper()
	s, err := course.Find(name)
	require.NoError(t, err)
	return s
}

func TestAll_AreThoseOfTheLessonsSoFar(t *testing.T) {
	root := write(t, map[string]string{
		"step01-tcp-server/README.md":          "# 01\n\n<!-- seams readLine Server.gone -->\n<!-- end -->\n",
		"step02-json-protocol/README.md":       "# 02\n\n<!-- seams Server.serve -->\n<!-- end -->\n",
		"step02-json-protocol/rpc/a.go":        code,
		"step02-json-protocol/rpc/a_test.go":   tests,
		"step03-client/README.md":              "# 03\n\n<!-- seams later -->\n<!-- end -->\n",
		"step02-json-protocol/rpc/naive.txtar": "",
	})
	all, err := All(root, station(t, "02"))
	require.NoError(t, err)
	assert.Equal(t, []Seam{
		{Name: "readLine", Text: "func readLine(text string, max int) error", Type: "func(string, int) error", File: "rpc/a.go", Station: "01", Callable: true},
		{Name: "Server.serve", Text: "func (s *Server) serve(n int)", Type: "func(int)", File: "rpc/a.go", Station: "02", Callable: true},
	}, all)

	text, err := Text(root, station(t, "02"), []string{"readLine", "maxLine"})
	require.NoError(t, err)
	assert.Contains(t, text, "\n- `func readLine(text string, max int) error` in `rpc/a.go`\n- `const maxLine` in `rpc/a.go`\n")
	text, err = Text(root, station(t, "02"), []string{"errLong", "makers", "Server.open"})
	require.NoError(t, err)
	assert.Contains(t, text, "\n- `var errLong error` in `rpc/a.go`\n- `var makers map[string]func(n int) error` in `rpc/a.go`\n- `Server.open map[int]bool` in `rpc/a.go`\n")
	for want, names := range map[string][]string{
		"The tests call this by name, so its name and signature are given. Its body is yours.":                                    {"readLine"},
		"The tests call these by name, so their names and signatures are given. Their bodies are yours.":                          {"readLine", "Server.serve"},
		"The tests use this by name, so its name is given. Its value is yours.":                                                   {"maxLine"},
		"The tests use this by name, so its name and type are given. Its value is yours.":                                         {"makers"},
		"The tests use these by name, so their names are given. Their values are yours.":                                          {"maxLine", "errLong"},
		"The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours.": {"readLine", "maxLine"},
	} {
		text, err := Text(root, station(t, "02"), names)
		require.NoError(t, err)
		assert.Contains(t, text, "\n"+want+"\n\n- `")
	}
	_, err = Text(root, station(t, "02"), []string{"lost"})
	assert.EqualError(t, err, "the code of 02 declares no lost")
}

func TestUsed(t *testing.T) {
	root := write(t, map[string]string{"rpc/a.go": code, "rpc/a_test.go": tests, "rpc/naive_test.go": "package rpc\n\nvar _ = nothing\n"})
	used, err := Used(root)
	require.NoError(t, err)
	assert.Equal(t, []string{"Server.open", "Server.serve", "maxLine", "readLine"}, used)
}
