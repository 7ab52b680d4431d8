package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stillOld returns the functions, methods and fields whose type the target's
// station changes, and which the learner has as they were: their tests do not
// compile, and that is right. Sorted.
func stillOld(t Target) []string {
	previous, ok := t.Station.Previous()
	if !ok {
		return nil
	}
	old := signatures(filepath.Join(t.Root, previous.Folder, "rpc"))
	changed := signatures(filepath.Join(t.Root, t.Station.Folder, "rpc"))
	own := signatures(filepath.Join(t.Dir, "rpc"))
	var names []string
	for name, now := range changed {
		if before, ok := old[name]; ok && before != now && own[name] == before {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// redIsRight returns the line that tells why code that does not compile is as it
// should be, or "".
func redIsRight(t Target) string {
	old := stillOld(t)
	if len(old) == 0 {
		return ""
	}
	return "Red is right here: step " + t.Station.Name + " changes the type of " + strings.Join(old, ", ") +
		", and its tests already use the new one. The lesson says how: " + t.Station.Step + "/README.md"
}

// signatures returns the types of the functions, methods ("Type.Method") and
// struct fields ("Type.Field") that the package in dir declares, its tests
// left out. What does not parse is not there.
func signatures(dir string) map[string]string {
	found := map[string]string{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		file, _ := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if file == nil {
			continue
		}
		for _, decl := range file.Decls {
			addSignatures(found, decl)
		}
	}
	return found
}

func addSignatures(found map[string]string, decl ast.Decl) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		found[receiver(decl)+decl.Name.Name] = typeOf(decl.Type)
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			spec, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if s, ok := spec.Type.(*ast.StructType); ok {
				addFields(found, spec.Name.Name, s)
			}
		}
	}
}

func addFields(found map[string]string, name string, s *ast.StructType) {
	for _, field := range s.Fields.List {
		for _, f := range field.Names {
			found[name+"."+f.Name] = typeOf(field.Type)
		}
	}
}

// receiver returns "Type." for a method, and "" for a function.
func receiver(decl *ast.FuncDecl) string {
	if decl.Recv.NumFields() == 0 {
		return ""
	}
	return strings.TrimPrefix(types.ExprString(decl.Recv.List[0].Type), "*") + "."
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
