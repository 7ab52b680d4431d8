package source

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
)

// A File is a Go file and what it declares.
type File struct {
	Name  string  // below its folder, with slashes
	Text  string  // all of it; lines end with \n
	Decls []*Decl // in their order, the package clause first
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
	return p.File, nil
}

// Lookup returns the declaration called name, or a *NotFoundError.
func (f *File) Lookup(name string) (*Decl, error) {
	var known []string
	for _, d := range f.Decls {
		if d.Is(name) {
			return d, nil
		}
		known = append(known, d.Names...)
	}
	return nil, &NotFoundError{f.Name, name, known}
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
		p.add(Func, decl.Doc, decl.Pos(), decl.End(), funcName(decl))
	case *ast.GenDecl:
		kind := Kind(decl.Tok.String())
		if kind == Import {
			p.addImport(decl)
			return
		}
		p.add(kind, decl.Doc, decl.Pos(), decl.End(), specNames(decl)...)
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

// funcName returns Func or Type.Method.
func funcName(decl *ast.FuncDecl) string {
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

// specNames returns all names that a const, var or type declares.
func specNames(decl *ast.GenDecl) []string {
	var names []string
	for _, spec := range decl.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			names = append(names, spec.Name.Name)
		case *ast.ValueSpec:
			for _, name := range spec.Names {
				names = append(names, name.Name)
			}
		}
	}
	if len(names) == 0 { // an empty group
		return []string{decl.Tok.String()}
	}
	return names
}
