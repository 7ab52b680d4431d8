package starter

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strconv"
)

// fixImports takes out of src the imports that it no longer needs, and puts
// errors in if it is needed.
func fixImports(name string, src []byte, needsErrors bool) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	used := packagesUsed(file)
	offset := func(pos token.Pos) int { return fset.Position(pos).Offset }
	out := slices.Clone(src)
	kept, hasErrors := 0, false
	for _, spec := range slices.Backward(file.Imports) {
		importPath, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		if used[importName(spec, importPath)] || spec.Name != nil && spec.Name.Name == "_" {
			kept++
			hasErrors = hasErrors || importPath == "errors"
			continue
		}
		out = deleteLine(out, offset(spec.Pos()), offset(spec.End()))
	}
	switch {
	case needsErrors && !hasErrors:
		return insertErrors(fset, file, out, kept), nil
	case kept == 0 && len(file.Imports) > 0:
		return regexp.MustCompile(`(?m)^import (\(\s*\))?$`).ReplaceAll(out, nil), nil
	}
	return out, nil
}

// deleteLine deletes src[from:to], and the line if nothing else is on it.
func deleteLine(src []byte, from, to int) []byte {
	if from > 0 && src[from-1] == '\t' && to < len(src) && src[to] == '\n' {
		from, to = from-1, to+1
	}
	return slices.Delete(src, from, to)
}

// insertErrors imports errors, first of all; gofmt sorts.
func insertErrors(fset *token.FileSet, file *ast.File, out []byte, kept int) []byte {
	at := fset.Position(file.Name.End()).Offset
	text := "\n\nimport \"errors\"\n"
	if group := importGroup(file); group != nil && kept > 0 {
		at, text = fset.Position(group.Lparen).Offset+1, "\n\t\"errors\""
	} else {
		out = regexp.MustCompile(`(?m)^import (\(\s*\))?$`).ReplaceAll(out, nil)
	}
	return slices.Insert(out, at, []byte(text)...)
}

// importGroup returns the imports in parentheses, nil if there are none.
func importGroup(file *ast.File) *ast.GenDecl {
	for _, decl := range file.Decls {
		if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.IMPORT && g.Lparen.IsValid() {
			return g
		}
	}
	return nil
}

// packagesUsed returns the names before a dot; those of variables do no harm.
func packagesUsed(file *ast.File) map[string]bool {
	used := map[string]bool{}
	ast.Inspect(file, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok {
				used[x.Name] = true
			}
		}
		return true
	})
	return used
}

var major = regexp.MustCompile(`^v[0-9]+$`)

// importName returns the name that an import goes by in its file.
func importName(spec *ast.ImportSpec, importPath string) string {
	if spec.Name != nil {
		return spec.Name.Name
	}
	name := path.Base(importPath)
	if major.MatchString(name) {
		name = path.Base(path.Dir(importPath))
	}
	return name
}
