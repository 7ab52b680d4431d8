package diff

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// A declaration is one of a file's top-level declarations.
type declaration struct {
	name        string // unique in its file
	first, last int    // its lines, its comment's included
	start       int    // the line after its comment
	text        string // that line
	op          op     // deleted for the old file's, added for the new one's; hunks sets it
}

// declarations are those of the old and the new file.
type declarations struct{ old, new []declaration }

// declarationsOf returns the declarations of a Go file; none of other files.
func declarationsOf(name, src string) []declaration {
	if !strings.HasSuffix(name, ".go") {
		return nil
	}
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil
	}
	texts := splitLines(src)
	var found []declaration
	for _, decl := range file.Decls {
		name, doc := describe(decl)
		d := declaration{name: name, start: fset.Position(decl.Pos()).Line, last: fset.Position(decl.End()).Line}
		d.first = d.start
		if doc != nil {
			d.first = fset.Position(doc.Pos()).Line
		}
		d.text = strings.TrimSpace(texts[d.start-1])
		found = append(found, d)
	}
	return found
}

// describe returns a declaration's name and comment. A group goes by the first
// name in it.
func describe(decl ast.Decl) (name string, doc *ast.CommentGroup) {
	if f, ok := decl.(*ast.FuncDecl); ok {
		name = f.Name.Name
		if f.Recv != nil {
			name = receiver(f.Recv.List[0].Type) + "." + name
		}
		return name, f.Doc
	}
	group := decl.(*ast.GenDecl)
	name = group.Tok.String()
	if len(group.Specs) == 0 {
		return name, group.Doc
	}
	switch spec := group.Specs[0].(type) {
	case *ast.TypeSpec:
		name = spec.Name.Name
	case *ast.ValueSpec:
		name = spec.Names[0].Name
	}
	return name, group.Doc
}

// receiver returns the name of a method's type.
func receiver(expr ast.Expr) string {
	switch expr := expr.(type) {
	case *ast.StarExpr:
		return receiver(expr.X)
	case *ast.IndexExpr:
		return receiver(expr.X)
	case *ast.IndexListExpr:
		return receiver(expr.X)
	case *ast.Ident:
		return expr.Name
	}
	return ""
}

// A section is a stretch of a file: a declaration and what stands between it
// and the next, or what stands above the first.
type section struct{ name, text string }

// sections cuts src before each declaration.
func sections(src string, decls []declaration) []section {
	lines := splitLines(src)
	found := []section{{}}
	at := 0
	for _, d := range decls {
		found[len(found)-1].text = strings.Join(lines[at:d.first-1], "")
		found = append(found, section{name: d.name})
		at = d.first - 1
	}
	found[len(found)-1].text = strings.Join(lines[at:], "")
	return found
}

func join(sections []section) string {
	var b strings.Builder
	for _, s := range sections {
		b.WriteString(s.text)
	}
	return b.String()
}

// A match says which section of the old file became which of the new one.
type match struct{ old, new int }

// matches pairs sections of the same name, as many as can be without crossing.
func matches(before, after []section) []match {
	// most[i][j] is how many pairs before[i:] and after[j:] allow.
	most := make([][]int, len(before)+1)
	for i := range most {
		most[i] = make([]int, len(after)+1)
	}
	for i := len(before) - 1; i >= 0; i-- {
		for j := len(after) - 1; j >= 0; j-- {
			most[i][j] = max(most[i+1][j], most[i][j+1])
			if before[i].name == after[j].name {
				most[i][j] = max(most[i][j], most[i+1][j+1]+1)
			}
		}
	}
	var found []match
	for i, j := 0, 0; i < len(before) && j < len(after); {
		switch {
		case before[i].name == after[j].name && most[i][j] == most[i+1][j+1]+1:
			found = append(found, match{i, j})
			i, j = i+1, j+1
		case most[i+1][j] >= most[i][j+1]:
			i++
		default:
			j++
		}
	}
	return found
}
