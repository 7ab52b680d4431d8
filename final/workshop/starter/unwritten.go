package starter

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/source"
)

// An Unwritten is a function whose body is still the stub that start or next gave.
type Unwritten struct {
	Name string // "Server.Close"
	Line int    // where its declaration begins
	Body int    // the offset of the first byte after its opening brace
}

// UnwrittenIn returns the stubs in a file of a learner's code. A file that does not
// parse has none.
func UnwrittenIn(src []byte) []Unwritten {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	var all []Unwritten
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Body == nil {
			continue
		}
		text := src[fset.Position(f.Body.Lbrace).Offset:fset.Position(f.Body.Rbrace).Offset]
		if isRemark(string(text)) && onlyReturns(f) {
			all = append(all, Unwritten{source.FuncName(f), fset.Position(f.Pos()).Line, fset.Position(f.Body.Lbrace).Offset + 1})
		}
	}
	return all
}

// isRemark reports whether a body says what that of a stub says: see stub.body.
func isRemark(body string) bool {
	return strings.Contains(body, "// Yours to write (") || strings.Contains(body, " is yours to write (")
}

// onlyReturns reports whether f does nothing but return values that depend on none
// of its parameters: a remark that was left above code makes no stub.
func onlyReturns(f *ast.FuncDecl) bool {
	if len(f.Body.List) > 1 {
		return false
	}
	given := paramNames(f)
	stub := true
	for _, stmt := range f.Body.List {
		if _, ok := stmt.(*ast.ReturnStmt); !ok {
			return false
		}
		ast.Inspect(stmt, func(n ast.Node) bool {
			if ident, ok := n.(*ast.Ident); ok && slices.Contains(given, ident.Name) {
				stub = false
			}
			return stub
		})
	}
	return stub
}

func paramNames(f *ast.FuncDecl) []string {
	var names []string
	for _, list := range []*ast.FieldList{f.Recv, f.Type.Params} {
		if list == nil {
			continue
		}
		for _, field := range list.List {
			for _, name := range field.Names {
				names = append(names, name.Name)
			}
		}
	}
	return names
}
