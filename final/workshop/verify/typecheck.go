package verify

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
	"example.com/rpc-from-scratch/final/workshop/starter"
	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// A typeChecker compiles the packages of a folder as far as their types: what go
// would say of them, in a fraction of its time.
type typeChecker struct {
	dir    string
	fset   *token.FileSet
	others types.Importer // of packages that are not in the folder
}

// newTypeChecker asks the go command once where the compiled packages are that
// the station's files import.
func newTypeChecker(dir string, files course.Files) (*typeChecker, error) {
	var paths []string
	for _, p := range slices.Sorted(maps.Values(importPaths(files))) {
		if !isOwn(p) {
			paths = append(paths, p)
		}
	}
	cmd := exec.Command("go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}, paths...)...)
	cmd.Dir, cmd.Env = dir, console.Env()
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	exports := make(map[string]string)
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[name] = file
	}
	t := &typeChecker{dir: dir, fset: token.NewFileSet()}
	t.others = importer.ForCompiler(t.fset, "gc", func(name string) (io.ReadCloser, error) {
		if exports[name] == "" {
			return nil, fmt.Errorf("no package %s", name)
		}
		return os.Open(exports[name])
	})
	return t, nil
}

func isOwn(importPath string) bool { return strings.HasPrefix(importPath, starter.Module+"/") }

// check returns what is wrong with the package in a room, its tests included;
// "" if nothing is.
func (t *typeChecker) check(room string) (wrong string) {
	_, err := t.compile(room, true)
	if err != nil {
		return err.Error()
	}
	return ""
}

// compile returns the package in a room. Tests in a package of their own are not
// looked at: they see only what is exported.
func (t *typeChecker) compile(room string, tests bool) (*types.Package, error) {
	dir := filepath.Join(t.dir, filepath.FromSlash(room))
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, e := range entries {
		isTest := strings.HasSuffix(e.Name(), "_test.go")
		if match, err := build.Default.MatchFile(dir, e.Name()); err != nil || !match || isTest && !tests || path.Ext(e.Name()) != ".go" {
			continue
		}
		file, err := parser.ParseFile(t.fset, filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(file.Name.Name, "_test") {
			files = append(files, file)
		}
	}
	config := types.Config{Importer: t}
	return config.Check(starter.Module+"/"+room, t.fset, files, nil)
}

// Import makes the folder's own packages, and finds the others.
func (t *typeChecker) Import(importPath string) (*types.Package, error) {
	if isOwn(importPath) {
		return t.compile(strings.TrimPrefix(importPath, starter.Module+"/"), false)
	}
	return t.others.Import(importPath)
}

// importPaths returns what the files import, by the packages' names.
func importPaths(files course.Files) map[string]string {
	paths := map[string]string{"errors": "errors", "fmt": "fmt"}
	for _, name := range files.Names() {
		if path.Ext(name) != ".go" {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), name, files[name], parser.ImportsOnly)
		if err != nil {
			continue
		}
		for _, spec := range tree.Imports {
			paths[source.ImportName(spec)] = source.ImportPath(spec)
		}
	}
	return paths
}
