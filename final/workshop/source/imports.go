package source

import (
	"bytes"
	"cmp"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/tools/go/ast/astutil"
)

// FixImports returns a file with the imports that it uses, as most editors leave it
// when they save: it takes out what is not used, and adds what is, if known has the
// path of a package of that name. Imports for their effect alone, such as embed, stay.
func FixImports(name string, text []byte, known map[string]string) ([]byte, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	used := qualifiers(tree)
	for _, spec := range slices.Clone(tree.Imports) {
		if name := ImportName(spec); name != "_" && !used[name] {
			astutil.DeleteNamedImport(fset, tree, localName(spec), ImportPath(spec))
		} else {
			delete(used, name)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(used)) {
		if known[pkg] != "" {
			astutil.AddImport(fset, tree, known[pkg])
		}
	}
	var b bytes.Buffer
	err = format.Node(&b, fset, tree)
	return b.Bytes(), err
}

// qualifiers returns the names before a dot that the file does not declare.
func qualifiers(tree *ast.File) map[string]bool {
	used := map[string]bool{}
	ast.Inspect(tree, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && slices.Contains(tree.Unresolved, x) {
				used[x.Name] = true
			}
		}
		return true
	})
	return used
}

// localName returns the name that an import is given, "" if none.
func localName(spec *ast.ImportSpec) string {
	if spec.Name == nil {
		return ""
	}
	return spec.Name.Name
}

// ImportPath returns what an import imports.
func ImportPath(spec *ast.ImportSpec) string {
	importPath, _ := strconv.Unquote(spec.Path.Value) // the parser has seen to it
	return importPath
}

var major = regexp.MustCompile(`^v[0-9]+$`)

// ImportName returns the name that an import most likely goes by in its file.
func ImportName(spec *ast.ImportSpec) string {
	importPath := ImportPath(spec)
	name := path.Base(importPath)
	if major.MatchString(name) {
		name = path.Base(path.Dir(importPath))
	}
	return cmp.Or(localName(spec), name)
}
