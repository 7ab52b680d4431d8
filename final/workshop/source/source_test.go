package source

import (
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

func TestFixImports(t *testing.T) {
	known := map[string]string{"errors": "errors", "rand": "math/rand/v2"}
	for name, c := range map[string]struct{ before, after string }{
		"one that is not used, one that is": {
			"import (\n\t_ \"embed\"\n\t\"os\"\n)\n\nvar e = errors.New(\"e\")\n",
			"import (\n\t_ \"embed\"\n\t\"errors\"\n)\n\nvar e = errors.New(\"e\")\n"},
		"the first":         {"var e = errors.New(\"e\")\n", "import \"errors\"\n\nvar e = errors.New(\"e\")\n"},
		"the last":          {"import \"os\"\n\nvar e int\n", "var e int\n"},
		"a version":         {"import \"math/rand/v2\"\n\nvar n = rand.IntN(2)\n", "import \"math/rand/v2\"\n\nvar n = rand.IntN(2)\n"},
		"another name":      {"import to \"os\"\n\nvar e int\n", "var e int\n"},
		"a field is none":   {"func f(rand T) { rand.x() }\n", "func f(rand T) { rand.x() }\n"},
		"one nobody knows":  {"var e = other.New()\n", "var e = other.New()\n"},
		"comments stay":     {"import (\n\t\"fmt\" // to print\n\t\"os\"\n)\n\n// f prints.\nfunc f() {\n\tfmt.Print() // it\n}\n", "import (\n\t\"fmt\" // to print\n)\n\n// f prints.\nfunc f() {\n\tfmt.Print() // it\n}\n"},
		"one is there, too": {"import \"fmt\"\n\nfunc f() error { fmt.Print(); return errors.New(\"e\") }\n", "import (\n\t\"errors\"\n\t\"fmt\"\n)\n\nfunc f() error { fmt.Print(); return errors.New(\"e\") }\n"},
	} {
		got, err := FixImports("a.go", []byte("package a\n\n"+c.before), known)
		require.NoError(t, err, name)
		assert.Equal(t, "package a\n\n"+c.after, string(got), name)
	}
	_, err := FixImports("a.go", []byte("package"), known)
	assert.Error(t, err)
}
