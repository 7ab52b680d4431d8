package starter

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/source"
)

// A stub is a file of the course whose functions are still to be written. Types,
// constants and variables are whole: without them, no test would compile.
type stub struct {
	name  string // of the file, below the module
	src   []byte
	label string                 // which lesson has the functions: "step 03"
	known map[string]bool        // what the package declares in other files already: it is left out
	ships func(name string) bool // which functions are whole: the course gives them
	pkg   pkg
	edits []edit
}

// An edit replaces src[from:to].
type edit struct {
	from, to int
	text     string
}

// text returns the stub's source.
func (s *stub) text() ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, s.name, s.src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if file.Name.Name == "main" {
		return s.src, nil // a program is one call of a function that has a stub
	}
	offset := func(pos token.Pos) int { return fset.Position(pos).Offset }
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			s.function(decl, offset)
		case *ast.GenDecl:
			s.group(decl, offset)
		}
	}
	return source.FixImports(s.name, s.apply(), map[string]string{"errors": "errors"})
}

func (s *stub) apply() []byte {
	out := slices.Clone(s.src)
	for _, e := range slices.Backward(s.edits) {
		out = slices.Replace(out, e.from, e.to, []byte(e.text)...)
	}
	return out
}

// function replaces the body of f.
func (s *stub) function(f *ast.FuncDecl, offset func(token.Pos) int) {
	name := source.FuncName(f)
	switch {
	case s.known[name]:
		s.edits = append(s.edits, edit{offset(first(f, f.Doc)), offset(f.End()), ""})
	case s.ships != nil && s.ships(name):
	default:
		s.edits = append(s.edits, edit{offset(f.Body.Lbrace), offset(f.Body.End()), s.body(f, name)})
	}
}

// group leaves out what is known already.
func (s *stub) group(g *ast.GenDecl, offset func(token.Pos) int) {
	if g.Tok == token.IMPORT {
		return
	}
	known := func(spec ast.Spec) bool {
		for _, name := range source.SpecNames(spec) {
			if !s.known[name] {
				return false
			}
		}
		return true
	}
	if !slices.ContainsFunc(g.Specs, func(spec ast.Spec) bool { return !known(spec) }) {
		s.edits = append(s.edits, edit{offset(first(g, g.Doc)), offset(g.End()), ""})
		return
	}
	for _, spec := range g.Specs {
		if known(spec) {
			s.edits = append(s.edits, edit{offset(first(spec, specDoc(spec))), offset(spec.End()), ""})
		}
	}
}

// body returns what stands in for the body of f: it returns zero values and, if
// f can fail, an error that says who has to write f.
func (s *stub) body(f *ast.FuncDecl, name string) string {
	remark := "// Yours to write (" + s.label + ")."
	types := resultTypes(f.Type)
	if len(types) == 0 {
		return "{\n\t" + remark + "\n}"
	}
	fails := isIdent(types[len(types)-1], "error")
	var values []string
	for _, t := range types {
		values = append(values, s.pkg.value(t, !fails))
	}
	if fails && f.Name.Name != "Unwrap" { // which fails at nothing
		values[len(values)-1] = fmt.Sprintf("errors.New(%q)", fmt.Sprintf("%s: %s is yours to write (%s)", s.pkg.name, name, s.label))
		return "{\n\treturn " + strings.Join(values, ", ") + "\n}"
	}
	return "{\n\t" + remark + "\n\treturn " + strings.Join(values, ", ") + "\n}"
}

// resultTypes returns the type of each result.
func resultTypes(f *ast.FuncType) []ast.Expr {
	if f.Results == nil {
		return nil
	}
	var types []ast.Expr
	for _, field := range f.Results.List {
		for range max(1, len(field.Names)) {
			types = append(types, field.Type)
		}
	}
	return types
}

func isIdent(expr ast.Expr, name string) bool {
	ident, ok := expr.(*ast.Ident)
	return ok && ident.Name == name
}

// first returns where a declaration begins, its comment included.
func first(node ast.Node, doc *ast.CommentGroup) token.Pos {
	if doc != nil {
		return doc.Pos()
	}
	return node.Pos()
}

func specDoc(spec ast.Spec) *ast.CommentGroup {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return spec.Doc
	case *ast.ValueSpec:
		return spec.Doc
	}
	return nil
}
