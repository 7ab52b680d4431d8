package seam

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Used returns what is unexported in the rpc package below dir and used by its tests,
// sorted: functions, types, constants and variables, and fields and methods, such as
// "Request.value". Tests of the article's way, which is code of their own, are left out.
func Used(dir string) ([]string, error) {
	fset := token.NewFileSet()
	files, err := parse(fset, filepath.Join(dir, "rpc"))
	if err != nil {
		return nil, err
	}
	uses := make(map[*ast.Ident]types.Object)
	config := types.Config{Importer: noPackages{}, Error: func(error) {}} // what is of other packages does not matter
	pkg, _ := config.Check("rpc", fset, files, &types.Info{Uses: uses})
	inTest := func(pos token.Pos) bool { return strings.HasSuffix(fset.Position(pos).Filename, "_test.go") }
	owners, found := ownersIn(pkg), map[string]bool{}
	for ident, obj := range uses {
		if inTest(ident.Pos()) && obj.Pkg() == pkg && !obj.Exported() && !inTest(obj.Pos()) {
			if name := nameOf(obj, pkg, owners); name != "" {
				found[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// noPackages imports nothing: the package's own names are found without the others.
type noPackages struct{}

func (noPackages) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

// parse parses the files of a folder, but not the tests of the article's way.
func parse(fset *token.FileSet, dir string) ([]*ast.File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || e.Name() == "naive_test.go" {
			continue
		}
		file, err := parser.ParseFile(fset, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// ownersIn returns the names of the package's types, by their fields and methods.
func ownersIn(pkg *types.Package) map[types.Object]string {
	owners := map[types.Object]string{}
	for _, name := range pkg.Scope().Names() {
		named, ok := pkg.Scope().Lookup(name).Type().(*types.Named)
		if !ok || named.Obj().Name() != name {
			continue
		}
		for m := range named.Methods() {
			owners[m] = name
		}
		if s, ok := named.Underlying().(*types.Struct); ok {
			for f := range s.Fields() {
				owners[f] = name
			}
		}
	}
	return owners
}

// nameOf returns how a seam is called, "" for what no declaration of the package
// declares, such as a parameter.
func nameOf(obj types.Object, pkg *types.Package, owners map[types.Object]string) string {
	switch owner := owners[obj]; {
	case owner != "":
		return owner + "." + obj.Name()
	case obj.Parent() == pkg.Scope():
		return obj.Name()
	}
	return ""
}
