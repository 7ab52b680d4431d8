package starter

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

func TestStub(t *testing.T) {
	const src = `// Package p is an example.
package p

import (
	"context"
	"fmt"
	"io"
	"time"

	"example.com/elsewhere"
)

// ErrA is kept.
var ErrA = fmt.Errorf("a")

type (
	// A has fields.
	A struct{ n elsewhere.T }
	known int
	kind  string
	list  []int
	other A
	pair  [2]int
)

const knownConst = 1

// New makes.
func New() *A {
	// A comment of the body.
	return &A{}
}

func (a *A) Open(w io.Writer) (n int, err error) { return fmt.Fprint(w, a) }

func (a *A) Close() {
	if a != nil { /* odd */
	}
}

func (k known) String() string { return "" }

func Known() {}

func values[T any]() (string, bool, kind, list, other, pair, time.Duration, context.Context, map[string]T, T, *int, struct{}, [2]int) {
	panic("no")
}

func (a A) Unwrap() error { return nil }
`
	files := course.Files{"p/p.go": []byte(src)}
	s := stub{
		name: "p/p.go", src: []byte(src), label: "step 09", pkg: readPkg(files, "p/p.go"),
		known: map[string]bool{"known": true, "knownConst": true, "known.String": true, "Known": true},
	}
	out, err := s.text()
	require.NoError(t, err)
	assert.Equal(t, `// Package p is an example.
package p

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"example.com/elsewhere"
)

// ErrA is kept.
var ErrA = fmt.Errorf("a")

type (
	// A has fields.
	A struct{ n elsewhere.T }

	kind  string
	list  []int
	other A
	pair  [2]int
)

// New makes.
func New() *A {
	// Yours to write (step 09).
	return &A{}
}

func (a *A) Open(w io.Writer) (n int, err error) {
	return 0, errors.New("p: A.Open is yours to write (step 09)")
}

func (a *A) Close() {
	// Yours to write (step 09).
}

func values[T any]() (string, bool, kind, list, other, pair, time.Duration, context.Context, map[string]T, T, *int, struct{}, [2]int) {
	// Yours to write (step 09).
	return "", false, "", nil, other{}, pair{}, 0, context.Background(), nil, *new(T), nil, struct{}{}, [2]int{}
}

func (a A) Unwrap() error {
	// Yours to write (step 09).
	return nil
}
`, string(out))
}

func TestStub_Imports(t *testing.T) {
	for src, want := range map[string]string{
		"package p\n\nimport \"io\"\n\nfunc F() error { return io.EOF }\n":                  "package p\n\nimport \"errors\"\n\nfunc F() error {\n\treturn errors.New(\"p: F is yours to write (step 09)\")\n}\n",
		"package p\n\nimport (\n\t\"fmt\"\n\t\"io\"\n)\n\nfunc F() { fmt.Print(io.EOF) }\n": "package p\n\nfunc F() {\n\t// Yours to write (step 09).\n}\n",
		"package p\n\nimport _ \"embed\"\n\n//go:embed x\nvar x string\n":                   "package p\n\nimport _ \"embed\"\n\n//go:embed x\nvar x string\n",
		"package p\n\nimport \"math/rand/v2\"\n\ntype R = rand.Rand\n":                      "package p\n\nimport \"math/rand/v2\"\n\ntype R = rand.Rand\n",
		"package main\n\nimport \"example.com/x/cmd\"\n\nfunc main() { cmd.Run() }\n":       "package main\n\nimport \"example.com/x/cmd\"\n\nfunc main() { cmd.Run() }\n",
		"package p\n\nimport (\n\t\"io\"\n)\n\nfunc F(r io.Reader) error { return nil }\n":  "package p\n\nimport (\n\t\"errors\"\n\t\"io\"\n)\n\nfunc F(r io.Reader) error {\n\treturn errors.New(\"p: F is yours to write (step 09)\")\n}\n",
		"package p\n\nfunc F() error { return nil }\n":                                      "package p\n\nimport \"errors\"\n\nfunc F() error {\n\treturn errors.New(\"p: F is yours to write (step 09)\")\n}\n",
		"package p\n\nimport \"io\"\n\nfunc F(r io.Reader) error { return nil }\n":          "package p\n\nimport (\n\t\"errors\"\n\t\"io\"\n)\n\nfunc F(r io.Reader) error {\n\treturn errors.New(\"p: F is yours to write (step 09)\")\n}\n",
	} {
		s := stub{name: "p.go", src: []byte(src), label: "step 09", pkg: readPkg(course.Files{"p.go": []byte(src)}, "p.go")}
		out, err := s.text()
		require.NoError(t, err)
		assert.Equal(t, want, string(out))
	}
}

// A stub panics nowhere, nor makes its callers do so.
func TestStub_InterfacesHaveAnImplementation(t *testing.T) {
	files := course.Files{
		"p/codec.go": []byte("package p\n\ntype codec interface{ Read() error }\n\ntype other struct{}\n\nfunc (o *other) Read() error { return nil }\n"),
		"p/gob.go": []byte("package p\n\ntype none struct{}\n\ntype gob struct{}\n\nfunc newGob() codec { return &gob{} }\n\n" +
			"func (g *gob) Read() error { return nil }\n\nfunc stringer() interface{ String() string } { return nil }\n"),
	}
	s := stub{name: "p/gob.go", src: files["p/gob.go"], label: "step 09", pkg: readPkg(files, "p/gob.go")}
	out, err := s.text()
	require.NoError(t, err)
	assert.Contains(t, string(out), "\treturn &gob{}\n")
	assert.Contains(t, string(out), "\treturn nil\n")
}

func TestDeclared(t *testing.T) {
	files := course.Files{
		"p/a.go":      []byte("package p\n\ntype A struct{}\n\nfunc (a *A) M() {}\n\nconst (\n\tB, C = 1, 2\n)\n\nfunc init() {}\n"),
		"p/broken.go": []byte("package p\n\nfunc D() {}\n\nfunc {"),
		"p/a_test.go": []byte("package p\n\nfunc T() {}\n"),
		"p/self.go":   []byte("package p\n\nfunc Self() {}\n"),
		"q/a.go":      []byte("package q\n\nfunc Q() {}\n"),
	}
	assert.Equal(t, map[string]bool{"A": true, "A.M": true, "B": true, "C": true, "D": true}, declared(files, "p/self.go"))
}
