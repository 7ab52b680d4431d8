// Package source finds Go declarations by name in a file's text, exactly as
// they are written there, with their comments. Lessons quote code by these names
// and never by line number, so that a quote survives an edit elsewhere.
package source

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// A File is a Go file and what it declares.
type File struct {
	Name    string   // below its folder, with slashes
	Text    string   // all of it; lines end with \n
	Imports []string // the paths that it imports
	Decls   []*Decl  // in their order, the package clause first
}

// A Decl is a declaration, with the comment above it and one behind its last
// line. A group in parentheses is one declaration, all imports are one, and so
// is the package clause.
//
// Its name is that of the function or the type; Type.Method for a method; that
// of any member for constants and variables; "import" and "package" for these.
type Decl struct {
	File  string
	Kind  Kind
	Names []string // all names that it goes by; a group has several
	Text  string   // as in the file, without a newline at its end
	Line  int      // where it begins, from 1
	End   int      // its last line
}

// Kind tells kinds of declarations apart.
type Kind string

// The kinds of declarations, in Go's own words.
const (
	Package Kind = "package"
	Import  Kind = "import"
	Const   Kind = "const"
	Var     Kind = "var"
	Type    Kind = "type"
	Func    Kind = "func"
)

// Name returns the first of the names.
func (d *Decl) Name() string { return d.Names[0] }

// Is reports whether d goes by that name.
func (d *Decl) Is(name string) bool { return slices.Contains(d.Names, name) }

// Parse finds the declarations of a file's text.
func Parse(name string, text []byte) (*File, error) {
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	p := &parsing{File: &File{Name: name, Text: string(text)}, fset: fset, tree: tree, lines: strings.Split(string(text), "\n")}
	p.add(Package, tree.Doc, tree.Package, tree.Name.End(), string(Package))
	for _, decl := range tree.Decls {
		p.declare(decl)
	}
	for _, spec := range tree.Imports {
		p.Imports = append(p.Imports, ImportPath(spec))
	}
	return p.File, nil
}

// Lookup returns the declaration called name. Its error lists those that there are.
func (f *File) Lookup(name string) (*Decl, error) {
	var known []string
	for _, d := range f.Decls {
		if d.Is(name) {
			return d, nil
		}
		known = append(known, d.Names...)
	}
	return nil, fmt.Errorf("%s does not declare %s; it has %s", f.Name, name, strings.Join(known, ", "))
}

// parsing is a file while its declarations are found.
type parsing struct {
	*File
	fset  *token.FileSet
	tree  *ast.File
	lines []string
}

func (p *parsing) declare(decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		p.add(Func, decl.Doc, decl.Pos(), decl.End(), FuncName(decl))
	case *ast.GenDecl:
		kind := Kind(decl.Tok.String())
		if kind == Import {
			p.addImport(decl)
			return
		}
		p.add(kind, decl.Doc, decl.Pos(), decl.End(), groupNames(decl)...)
	}
}

// addImport makes one declaration of all that the file imports.
func (p *parsing) addImport(decl *ast.GenDecl) {
	last := p.Decls[len(p.Decls)-1]
	if last.Kind != Import {
		p.add(Import, decl.Doc, decl.Pos(), decl.End(), string(Import))
		return
	}
	last.End = p.line(decl.End())
	last.Text = p.cut(last.Line, last.End)
}

// add notes the declaration from pos to end, in whole lines: what stands behind
// its end on the last line is a comment on it.
func (p *parsing) add(kind Kind, doc *ast.CommentGroup, pos, end token.Pos, names ...string) {
	if doc != nil {
		pos = doc.Pos()
	}
	d := &Decl{File: p.Name, Kind: kind, Names: names, Line: p.line(pos), End: p.line(end)}
	d.Text = p.cut(d.Line, d.End)
	p.Decls = append(p.Decls, d)
}

func (p *parsing) line(pos token.Pos) int { return p.fset.Position(pos).Line }

// cut returns the lines from first to last.
func (p *parsing) cut(first, last int) string { return strings.Join(p.lines[first-1:last], "\n") }

// FuncName returns Func or Type.Method.
func FuncName(decl *ast.FuncDecl) string {
	if decl.Recv == nil {
		return decl.Name.Name
	}
	return typeName(decl.Recv.List[0].Type) + "." + decl.Name.Name
}

// typeName returns the name of a receiver's type, without its star and its type
// parameters.
func typeName(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return typeName(expr.X)
	case *ast.IndexExpr:
		return typeName(expr.X)
	case *ast.IndexListExpr:
		return typeName(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return "?"
}

// groupNames returns all names that a const, var or type declares.
func groupNames(decl *ast.GenDecl) []string {
	var names []string
	for _, spec := range decl.Specs {
		names = append(names, SpecNames(spec)...)
	}
	if len(names) == 0 { // an empty group
		return []string{decl.Tok.String()}
	}
	return names
}

// SpecNames returns what a type, constant or variable declares.
func SpecNames(spec ast.Spec) []string {
	switch spec := spec.(type) {
	case *ast.TypeSpec:
		return []string{spec.Name.Name}
	case *ast.ValueSpec:
		var names []string
		for _, name := range spec.Names {
			names = append(names, name.Name)
		}
		return names
	}
	return nil
}

// IsTest reports whether the Go file of that name holds tests.
func IsTest(name string) bool { return strings.HasSuffix(name, "_test.go") }
