package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// redIsRight returns the line that tells why code that does not compile is as it
// should be, or "": the station's tests use what its lesson has the learner
// change or add in files that are there.
func redIsRight(t Target, mistakes []string) string {
	previous, ok := t.Station.Previous()
	if !ok {
		return ""
	}
	old := signatures(filepath.Join(t.Root, previous.Folder, "rpc"))
	now := signatures(filepath.Join(t.Root, t.Station.Folder, "rpc"))
	own := signatures(filepath.Join(t.Dir, "rpc"))
	var changed, added []string
	for _, name := range slices.Sorted(maps.Keys(now)) {
		before, existed := old[name]
		mine, has := own[name]
		switch {
		case existed && has && before != now[name] && mine == before && slices.ContainsFunc(mistakes, inTest):
			changed = append(changed, name)
		case !existed && !has && mentions(mistakes, name):
			added = append(added, name)
		}
	}
	var does []string
	if len(changed) > 0 {
		does = append(does, "changes the type of "+strings.Join(changed, ", "))
	}
	if len(added) > 0 {
		does = append(does, "adds "+strings.Join(added, ", "))
	}
	if len(does) == 0 {
		return ""
	}
	return "Red is right here: " + t.Station.Name + " " + strings.Join(does, ", and ") +
		"; the tests use that already. The lesson says how: " + t.Station.Page()
}

// mentions reports whether a mistake is about name, "Func" or "Type.Member".
func mentions(mistakes []string, name string) bool {
	member := regexp.MustCompile(`\b` + regexp.QuoteMeta(name[strings.LastIndexByte(name, '.')+1:]) + `\b`)
	return slices.ContainsFunc(mistakes, func(line string) bool {
		_, text, _ := strings.Cut(line, ": ") // behind the place
		return member.MatchString(text)
	})
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
