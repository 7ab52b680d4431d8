package seam

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Used returns the unexported functions, types, constants and variables of the
// rpc package below dir that its tests use, sorted. Tests of the article's way,
// which is code of their own, are left out; so are methods and fields, since only
// the compiler knows whose they are.
func Used(dir string) ([]string, error) {
	files, err := testFiles(filepath.Join(dir, "rpc"))
	if err != nil {
		return nil, err
	}
	declared, own, found := Declared(dir), map[string]bool{}, map[string]bool{}
	for _, file := range files {
		for _, decl := range file.Decls {
			addDecl(decl, func(s Seam) { own[s.Name] = true })
		}
	}
	for _, file := range files {
		for _, ident := range file.Unresolved { // in its file: it may be of the package
			if _, ok := declared[ident.Name]; ok && !ident.IsExported() && !own[ident.Name] {
				found[ident.Name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// testFiles parses the tests of a folder.
func testFiles(dir string) ([]*ast.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), "_test.go") || e.Name() == "naive_test.go" {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}
