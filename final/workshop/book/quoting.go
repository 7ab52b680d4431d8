package book

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer"
)

// A quoting writes parts of one page into another.
type quoting struct {
	*writing
	render renderer.Renderer
}

// quote returns a writer of parts of the page from into the page p. There, names of files
// and terms are not links.
func (b *Book) quote(p, from *Page) *quoting {
	as := *from
	as.Path = p.Path
	w := &writing{Rendered: &Rendered{sections: []section{{}}}, book: b, page: &as, named: map[string]int{}, quiet: 1}
	return &quoting{w, w.renderer()}
}

// html returns nodes as HTML.
func (q *quoting) html(nodes ...ast.Node) string {
	var out bytes.Buffer
	for _, n := range nodes {
		if err := q.render.Render(&out, q.page.doc.source, n); err != nil {
			q.fail("%w", err)
		}
	}
	return out.String()
}

// inline returns what is in a block, without its element.
func (q *quoting) inline(n ast.Node) string {
	var out strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		out.WriteString(q.html(c))
	}
	return strings.TrimSpace(out.String())
}

// code returns a block of code in its frame.
func (q *quoting) code(b block, code lines) string {
	var out bytes.Buffer
	w := bufio.NewWriter(&out)
	q.writing.code(w, b, code)
	w.Flush()
	return out.String()
}

// section returns what is below a heading, up to the next of its level or above.
func (q *quoting) section(title string) ([]ast.Node, error) { return sectionOf(q.page, title) }

func sectionOf(p *Page, title string) ([]ast.Node, error) {
	var found []ast.Node
	level := 0
	for n := p.doc.tree.FirstChild(); n != nil; n = n.NextSibling() {
		h, isHeading := n.(*ast.Heading)
		switch {
		case isHeading && level > 0 && h.Level <= level:
			return found, nil
		case isHeading && level == 0 && p.doc.plain(h) == title:
			level = h.Level
		case level > 0:
			found = append(found, n)
		}
	}
	if level == 0 {
		return nil, fmt.Errorf("%s has no section %q", p.Source, title)
	}
	return found, nil
}

// opening returns what a page has between its title and its first section.
func (q *quoting) opening() []ast.Node {
	var found []ast.Node
	for n := q.page.doc.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level > 1 {
			break
		}
		found = append(found, n)
	}
	return found
}

// untilFold returns what is before a fold, and what is in it.
func untilFold(nodes []ast.Node) (before, within []ast.Node) {
	folds := 0
	for _, n := range nodes {
		switch {
		case n.Kind() == ast.KindHTMLBlock:
			folds++
		case folds == 0:
			before = append(before, n)
		case folds == 1:
			within = append(within, n)
		}
	}
	return before, within
}

// each calls visit with each block of fenced code and the words of its first line.
func (q *quoting) each(visit func(n *ast.FencedCodeBlock, words []string)) {
	ast.Walk(q.page.doc.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if code, ok := n.(*ast.FencedCodeBlock); ok && entering {
			visit(code, q.words(n))
		}
		return ast.WalkContinue, nil
	})
}

// first returns the first block of a language; nil if there is none.
func (q *quoting) first(language string) (found ast.Node) {
	q.each(func(n *ast.FencedCodeBlock, _ []string) {
		if found == nil && q.language(n) == language {
			found = n
		}
	})
	return found
}

// words returns those of the first line of fenced code; none of anything else.
func (q *quoting) words(n ast.Node) []string {
	code, ok := n.(*ast.FencedCodeBlock)
	if !ok || code.Info == nil {
		return nil
	}
	return strings.Fields(string(code.Info.Value(q.page.doc.source)))
}

func (q *quoting) language(n ast.Node) string { return block{words: q.words(n)}.word(0) }

func (q *quoting) text(n ast.Node) string { return bodyOf(n, q.page.doc.source) }

// paragraph returns the first that begins with prefix, without it; "" if none does.
func (q *quoting) paragraph(prefix string) string {
	for n := q.page.doc.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if n.Kind() == ast.KindParagraph && strings.HasPrefix(q.page.doc.plain(n), prefix) {
			return strings.TrimPrefix(q.inline(n), prefix)
		}
	}
	return ""
}

// commandsOf returns the lines of a console that are typed.
func commandsOf(console string) string {
	var out strings.Builder
	for line := range strings.Lines(console) {
		if strings.HasPrefix(line, "$ ") {
			out.WriteString(line)
		}
	}
	return out.String()
}
