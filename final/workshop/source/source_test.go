package source

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const example = `// Package p is an example.
package p

import "fmt"
import (
	"io" // to read
)

// The sizes.
const (
	small = 1 + iota
	large
)

// floats between declarations, and belongs to none.

var zero int // behind

// A Pair is generic.
type Pair[K comparable, V any] struct {
	k K
	v V
}

// First returns the key.
func (p *Pair[K, V]) First() K { return p.k }

func Print(w io.Writer) {
	fmt.Fprintln(w, small)
}

type (
	a int
	b int
)
`

func TestParse(t *testing.T) {
	file, err := Parse("p.go", []byte(example))
	require.NoError(t, err)
	for name, want := range map[string]string{
		"package":    "// Package p is an example.\npackage p",
		"import":     "import \"fmt\"\nimport (\n\t\"io\" // to read\n)",
		"small":      "// The sizes.\nconst (\n\tsmall = 1 + iota\n\tlarge\n)",
		"large":      "// The sizes.\nconst (\n\tsmall = 1 + iota\n\tlarge\n)",
		"zero":       "var zero int // behind",
		"Pair":       "// A Pair is generic.\ntype Pair[K comparable, V any] struct {\n\tk K\n\tv V\n}",
		"Pair.First": "// First returns the key.\nfunc (p *Pair[K, V]) First() K { return p.k }",
		"Print":      "func Print(w io.Writer) {\n\tfmt.Fprintln(w, small)\n}",
		"b":          "type (\n\ta int\n\tb int\n)",
	} {
		d, err := file.Lookup(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, d.Text, name)
		lines := strings.Split(example, "\n")
		assert.Equal(t, want, strings.Join(lines[d.Line-1:d.End], "\n"), name)
	}
	assert.Len(t, file.Decls, 8)
	assert.Equal(t, Func, file.Decls[6].Kind)
}

func TestParse_WindowsLineEnds(t *testing.T) {
	file, err := Parse("p.go", []byte(strings.ReplaceAll(example, "\n", "\r\n")))
	require.NoError(t, err)
	assert.Equal(t, example, file.Text)
}

func TestLookup_SaysWhatThereIs(t *testing.T) {
	file, err := Parse("p.go", []byte("package p\n\nfunc F() {}\n"))
	require.NoError(t, err)
	_, err = file.Lookup("First")
	assert.EqualError(t, err, "p.go does not declare First; it has package, F")
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"rpc/b.go", "rpc/a.go", "rpc/a_test.go", "rpc/README.md", "rpc/testdata/x.go", "cmd/s/main.go", "5a-x/rpc/a.go"} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte("package p\n\nfunc F() {}\n"), 0o666))
	}
	folder, err := Load(dir)
	require.NoError(t, err)
	names, err := folder.Files("rpc", "cmd", "missing")
	require.NoError(t, err)
	assert.Equal(t, []string{"cmd/s/main.go", "rpc/a.go", "rpc/a_test.go", "rpc/b.go"}, names)

	d, err := folder.Lookup("rpc/a.go", "F")
	require.NoError(t, err)
	assert.Equal(t, Decl{File: "rpc/a.go", Kind: Func, Names: []string{"F"}, Text: "func F() {}", Line: 3, End: 3}, *d)
	_, err = folder.Lookup("rpc/c.go", "F")
	assert.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Load(filepath.Join(dir, "missing"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
