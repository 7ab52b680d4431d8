package book

import (
	"html"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// A term is a line of the glossary.
type term struct{ Name, Step, Text string }

// terms are those of the glossary, by their names in lower case.
type terms struct {
	by      map[string]term
	pattern *regexp.Regexp // finds them in a text, with an s behind
}

// ordinary are terms that are words of every page: to mark them would help nobody.
var ordinary = setOf("method", "connection", "request", "response", "result", "json", "service", "port", "address", "test", "rpc")

// loadTerms reads the glossary.
func loadTerms(b *Book) (terms, error) {
	t := terms{by: map[string]term{}}
	p := b.bySource[glossaryPage]
	if p == nil {
		return t, nil
	}
	l, err := lesson.Parse(p.Source, string(p.doc.source))
	if err != nil {
		return t, err
	}
	var words []string
	for _, table := range l.Tables {
		for _, row := range table.Rows {
			if len(row) == 3 {
				name := strings.ToLower(row[0])
				t.by[name] = term{row[0], row[1], row[2]}
				if !ordinary[name] {
					words = append(words, regexp.QuoteMeta(name))
				}
			}
		}
	}
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) }) // the longest first
	if len(words) > 0 {
		t.pattern = regexp.MustCompile(`(?i)\b(` + strings.Join(words, "|") + `)(s?)\b`)
	}
	return t, nil
}

// anchorOf returns the place in the glossary of the term that a link's text is a form of, such
// as pinned; "" if it is of none.
func (t terms) anchorOf(text string) string {
	found := ""
	for name := range t.by {
		if strings.HasPrefix(strings.ToLower(text), name) && len(name) > len(found) {
			found = name
		}
	}
	if found == "" {
		return ""
	}
	return termID(t.by[found].Name)
}

// termID returns the anchor of a term in the glossary.
func termID(name string) string { return "term-" + lesson.Anchor(name) }

// explainedOn returns the terms that a page explains itself: they are bold there.
func (t terms) explainedOn(p *Page) map[string]bool {
	known := map[string]bool{}
	ast.Walk(p.doc.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if e, ok := n.(*ast.Emphasis); ok && entering && e.Level == 2 {
			known[strings.TrimSuffix(strings.ToLower(p.doc.plain(n)), "s")] = true
			known[strings.ToLower(p.doc.plain(n))] = true
		}
		if _, ok := n.(*extast.Table); ok && p.Source == glossaryPage {
			return ast.WalkSkipChildren, nil
		}
		return ast.WalkContinue, nil
	})
	return known
}

// explain writes a piece of text. The first time that a term occurs on the page, it is
// a link to the glossary, which has the explanation with it.
func (w *writing) explain(out io.StringWriter, text string) {
	pattern := w.book.terms.pattern
	if pattern == nil || w.page.Source == glossaryPage {
		out.WriteString(html.EscapeString(text))
		return
	}
	at := 0
	for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
		name := strings.ToLower(text[m[2]:m[3]])
		t := w.book.terms.by[name]
		if w.terms[name] || t.Text == "" || m[0] > 0 && strings.ContainsRune("/-._", rune(text[m[0]-1])) {
			continue
		}
		w.terms[name] = true
		to := rel(w.page.Path, w.book.bySource[glossaryPage].Path) + "#" + termID(t.Name)
		out.WriteString(html.EscapeString(text[at:m[0]]))
		out.WriteString(`<a class="term" href="` + to + `" data-says="` + html.EscapeString(t.Name+": "+t.Text) + `">` + html.EscapeString(text[m[0]:m[1]]) + `</a>`)
		at = m[1]
	}
	out.WriteString(html.EscapeString(text[at:]))
}
