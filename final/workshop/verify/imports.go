package verify

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// withImports returns a file with the imports that it uses, as most editors leave
// it when they save: those which the station has somewhere are known. Imports for
// their effect alone, such as embed, stay.
func withImports(name string, text []byte, known course.Files) ([]byte, error) {
	f, err := source.Parse(name, text)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), name, text, 0)
	if err != nil {
		return nil, err
	}
	var block strings.Builder
	for _, spec := range tree.Imports {
		if spec.Name != nil && spec.Name.Name == "_" {
			block.WriteString("import _ " + spec.Path.Value + "\n")
		}
	}
	used := packagesUsed(tree)
	paths := importPaths(known)
	for _, pkg := range slices.Sorted(maps.Keys(used)) {
		if paths[pkg] != "" {
			block.WriteString("import " + strconv.Quote(paths[pkg]) + "\n")
		}
	}
	lines := strings.Split(f.Text, "\n")
	for _, d := range slices.Backward(f.Decls) {
		switch d.Kind {
		case source.Import:
			lines = slices.Delete(lines, d.Line-1, d.End)
		case source.Package:
			lines = slices.Insert(lines, d.End, "\n"+block.String())
		}
	}
	return []byte(strings.Join(lines, "\n")), nil
}

// packagesUsed returns the names before a dot that the file does not declare.
func packagesUsed(tree *ast.File) map[string]bool {
	unresolved := make(map[*ast.Ident]bool)
	for _, ident := range tree.Unresolved {
		unresolved[ident] = true
	}
	used := make(map[string]bool)
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && unresolved[x] {
				used[x.Name] = true
			}
		}
		return true
	})
	return used
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
			if p, err := strconv.Unquote(spec.Path.Value); err == nil && !isVersion(path.Base(p)) {
				paths[path.Base(p)] = p
			} else if err == nil {
				paths[path.Base(path.Dir(p))] = p
			}
		}
	}
	return paths
}

// isVersion reports whether the last part of a path is not the package's name.
func isVersion(base string) bool { return len(base) == 2 && base[0] == 'v' }

// importsIn returns the paths that a file imports.
func importsIn(f *source.File) map[string]bool {
	found := make(map[string]bool)
	tree, err := parser.ParseFile(token.NewFileSet(), f.Name, f.Text, parser.ImportsOnly)
	if err != nil {
		return found
	}
	for _, spec := range tree.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			found[p] = true
		}
	}
	return found
}

// importsOf returns the paths that the code's file of that name imports.
func importsOf(c code, name string) map[string]bool {
	for _, f := range c[path.Dir(name)] {
		if f.Name == name {
			return importsIn(f)
		}
	}
	return nil
}
