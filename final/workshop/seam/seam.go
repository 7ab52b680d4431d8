// Package seam knows which of the learner's functions the tests call by name: a
// seam's name and signature are given, and its body is free.
//
// A lesson lists those that its station adds in a region, which sync fills in:
//
//	<!-- seams readLine Server.serveConn -->
//	<!-- end -->
package seam

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// A Seam is a declaration of the course's code that tests name.
type Seam struct {
	Name    string // "readLine", "Server.serveConn"
	Text    string // "func (s *Server) serveConn(conn net.Conn)"
	Type    string // the same for the compiler: "func(net.Conn)"
	File    string // "rpc/server.go"
	Station string // whose lesson lists it

	Callable bool // a function, a method or a field
}

// Region is the first word of the region in a lesson.
const Region = "seams"

// All returns the seams of s and of the stations before it, as they are in the
// code of s; what that has no longer is left out.
func All(root string, s course.Station) ([]Seam, error) {
	declared := Declared(filepath.Join(root, filepath.FromSlash(s.Folder)))
	var all []Seam
	for at, ok := s, true; ok; at, ok = at.Previous() {
		names, err := names(root, at)
		if err != nil {
			return nil, err
		}
		for _, name := range slices.Backward(names) {
			if seam, ok := declared[name]; ok && !slices.ContainsFunc(all, func(other Seam) bool { return other.Name == name }) {
				seam.Station = at.Name
				all = append(all, seam)
			}
		}
	}
	slices.Reverse(all)
	return all, nil
}

// names returns what the lesson of s lists.
func names(root string, s course.Station) ([]string, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return nil, err
	}
	page, err := lesson.Parse(s.Page(), string(text))
	if err != nil {
		return nil, err
	}
	for _, r := range page.Regions {
		if r.Words[0] == Region {
			return r.Words[1:], nil
		}
	}
	return nil, nil
}

// Text is what a lesson's region holds for the seams that it names.
func Text(root string, s course.Station, names []string) (string, error) {
	declared := Declared(filepath.Join(root, filepath.FromSlash(s.Folder)))
	var list strings.Builder
	functions, typed := 0, 0
	for _, name := range names {
		seam, ok := declared[name]
		if !ok {
			return "", fmt.Errorf("the code of %s declares no %s", s.Name, name)
		}
		if strings.HasPrefix(seam.Text, "func ") {
			functions++
		}
		if seam.Type != "" {
			typed++
		}
		fmt.Fprintf(&list, "- `%s` in `%s`\n", seam.Text, seam.File)
	}
	return "\n" + given(functions, typed, len(names)) + "\n\n" + list.String() + "\n", nil
}

// given says what of the seams is the course's, and what the learner's. typed counts
// those that have a type to agree on, functions included.
func given(functions, typed, all int) string {
	switch {
	case functions == 0 && typed == 1 && all == 1:
		return "The tests use this by name, so its name and type are given. Its value is yours."
	case functions == 0 && all == 1:
		return "The tests use this by name, so its name is given. Its value is yours."
	case functions == 0:
		return "The tests use these by name, so their names are given. Their values are yours."
	case functions < all:
		return "The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours."
	case all == 1:
		return "The tests call this by name, so its name and signature are given. Its body is yours."
	}
	return "The tests call these by name, so their names and signatures are given. Their bodies are yours."
}

// Declared returns what the rpc package below dir declares outside its tests, by
// name: functions, methods, types, fields, constants and variables. What does not
// parse is not there.
func Declared(dir string) map[string]Seam {
	found := map[string]Seam{}
	entries, _ := os.ReadDir(filepath.Join(dir, "rpc"))
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, _ := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "rpc", e.Name()), nil, parser.SkipObjectResolution)
		if file == nil {
			continue
		}
		for _, decl := range file.Decls {
			addDecl(decl, func(s Seam) {
				s.File = "rpc/" + e.Name()
				found[s.Name] = s
			})
		}
	}
	return found
}

func addDecl(decl ast.Decl, add func(Seam)) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		text := written(&ast.FuncDecl{Recv: decl.Recv, Name: decl.Name, Type: decl.Type})
		add(Seam{Name: source.FuncName(decl), Text: text, Type: typeOf(decl.Type), Callable: true})
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				addType(spec, add)
			case *ast.ValueSpec:
				for i, name := range spec.Names {
					add(valueSeam(decl.Tok, name.Name, typeOfValue(spec, i)))
				}
			}
		}
	}
}

// valueSeam is the seam of a constant or a variable; typ is nil if its declaration
// does not say which type it has.
func valueSeam(tok token.Token, name string, typ ast.Expr) Seam {
	s := Seam{Name: name, Text: tok.String() + " " + name}
	if typ != nil {
		s.Text, s.Type = s.Text+" "+written(typ), typeOf(typ)
	}
	return s
}

// typeOfValue returns the type that a declaration gives to the i-th of its names, or
// that its value begins with; nil if it does neither.
func typeOfValue(spec *ast.ValueSpec, i int) ast.Expr {
	if spec.Type != nil || i >= len(spec.Values) {
		return spec.Type
	}
	if value, ok := spec.Values[i].(*ast.CompositeLit); ok {
		return value.Type
	}
	return nil
}

func addType(spec *ast.TypeSpec, add func(Seam)) {
	name := spec.Name.Name
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		add(Seam{Name: name, Text: "type " + name})
		return
	}
	add(Seam{Name: name, Text: "type " + name + " struct"})
	for _, field := range s.Fields.List {
		for _, f := range field.Names {
			add(Seam{Name: name + "." + f.Name, Text: name + "." + f.Name + " " + written(field.Type), Type: typeOf(field.Type), Callable: true})
		}
	}
}

// typeOf writes a type; the names of a function's parameters do not count.
func typeOf(expr ast.Expr) string {
	f, ok := expr.(*ast.FuncType)
	if !ok {
		return types.ExprString(expr)
	}
	return types.ExprString(&ast.FuncType{Params: unnamed(f.Params), Results: unnamed(f.Results)})
}

func unnamed(list *ast.FieldList) *ast.FieldList {
	if list == nil {
		return nil
	}
	bare := &ast.FieldList{}
	for _, field := range list.List {
		for range max(1, len(field.Names)) {
			bare.List = append(bare.List, &ast.Field{Type: field.Type})
		}
	}
	return bare
}

// written returns a declaration or a type as gofmt writes it.
func written(node any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, token.NewFileSet(), node); err != nil {
		panic(err) // a Buffer takes all, and node was parsed
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
