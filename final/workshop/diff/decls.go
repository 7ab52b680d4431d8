package diff

import (
	"strings"

	"github.com/aymanbagabas/go-udiff/lcs"

	"example.com/rpc-from-scratch/final/workshop/source"
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
	file, err := source.Parse(name, []byte(src))
	if err != nil {
		return nil
	}
	var found []declaration
	for _, d := range file.Decls {
		if d.Kind == source.Package {
			continue
		}
		comment := 0
		for _, line := range splitLines(d.Text) {
			if !strings.HasPrefix(line, "//") {
				found = append(found, declaration{
					name: d.Name(), first: d.Line, last: d.End,
					start: d.Line + comment, text: strings.TrimSpace(line),
				})
				break
			}
			comment++
		}
	}
	return found
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
	var found []match
	i, j := 0, 0
	for _, d := range append(lcs.DiffLines(names(before), names(after)), lcs.Diff{Start: len(before)}) {
		for ; i < d.Start; i, j = i+1, j+1 {
			found = append(found, match{i, j})
		}
		i, j = d.End, d.ReplEnd
	}
	return found
}

func names(sections []section) []string {
	var all []string
	for _, s := range sections {
		all = append(all, s.name)
	}
	return all
}
