package book

import (
	"fmt"
	"html"
	"path"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"

	"example.com/rpc-from-scratch/final/workshop/course"
)

const hintsFolder = "final/workshop/hints"

// hintsPath returns where the page with a station's hints is.
func hintsPath(s course.Station) string { return path.Dir(s.Page()) + "/hints.html" }

// addHints adds a page with hints for each station that has some. The hint command
// shows the same ones.
func (o *outliner) addHints() {
	for _, s := range course.Stations {
		source := path.Join(hintsFolder, s.Name+".md")
		doc, err := readDocument(o.Root, source)
		if err != nil {
			continue // the station has none
		}
		title := "Hints for " + s.Name
		p := &Page{Source: source, Path: hintsPath(s), Title: title, Label: title, Station: &s, Kind: Hints, doc: doc}
		o.Pages = append(o.Pages, p)
		o.bySource[source] = p
	}
}

// renderHints returns a page with each hint folded, so that readers see no more than
// they want.
func (b *Book) renderHints(p *Page) (*Rendered, error) {
	r, err := b.renderMarkdown(p)
	if err != nil {
		return nil, err
	}
	intro := fmt.Sprintf(`<h1>%s</h1><p>Each test of <a href="%s">the lesson</a> has hints, from a question to nearly the code. Open one at a time.</p>`+"\n",
		html.EscapeString(p.Title), b.stationHref(p, *p.Station))
	r.body = intro + r.body + b.lastQuestion(p)
	if strings.Contains(r.body, lastID) {
		r.toc = append(r.toc, tocItem{Level: 2, ID: lastID, Text: "One more question"})
	}
	r.sections = []section{{heading: p.Title}} // the search gives no hint away
	return r, nil
}

// hintList leaves out a list's own element: its items are folds.
func (w *writing) hintList(_ util.BufWriter, _ []byte, _ ast.Node, _ bool) (ast.WalkStatus, error) {
	return ast.WalkContinue, nil
}

// hint writes an item of a list as a fold.
func (w *writing) hint(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		out.WriteString("</div></details>\n")
		return ast.WalkContinue, nil
	}
	number := 1
	for before := n.PreviousSibling(); before != nil; before = before.PreviousSibling() {
		number++
	}
	fmt.Fprintf(out, "<details><summary>Hint %d</summary><div>", number)
	return ast.WalkContinue, nil
}

// asked reports whether a paragraph of a page of hints is its question or the answer, which
// lastQuestion writes.
func (w *writing) asked(n ast.Node) bool {
	text := w.page.doc.plain(n)
	return w.page.Kind == Hints && (strings.HasPrefix(text, questionMark) || strings.HasPrefix(text, answerMark))
}

const (
	questionMark = "Question: "
	answerMark   = "Answer: "
	lastID       = "one-more-question"
)

// lastQuestion returns the question that check asks when all tests are green, and its answer,
// folded; "" if the page has none.
func (b *Book) lastQuestion(p *Page) string {
	q := b.quote(p, p)
	question, answer := q.paragraph(questionMark), q.paragraph(answerMark)
	if question == "" || answer == "" {
		return ""
	}
	return fmt.Sprintf(`<h2 id="%s">One more question</h2>
<p><code>check</code> asks this when all tests are green.</p>
<blockquote class="note predict"><p>%s</p></blockquote>
<details><summary>Answer</summary><p>%s</p></details>
`, lastID, question, answer)
}

// lessonBar returns the links of a lesson to what belongs to it.
func (b *Book) lessonBar(p *Page) string {
	s := p.Station
	if s == nil || p.Source != s.Page() {
		return ""
	}
	var links []string
	add := func(to, text string) {
		links = append(links, fmt.Sprintf(`<a href="%s">%s</a>`, rel(p.Path, to), text))
	}
	if b.bySource[path.Join(hintsFolder, s.Name+".md")] != nil {
		add(hintsPath(*s), "Hints for each test")
	}
	if b.slides[s.Name] != nil {
		add(slidesPath(*s), "Slides")
	}
	if before, ok := s.Previous(); ok {
		add(changesPage(s).Path, "What changed since "+before.Name)
	}
	if files := b.sources[s.Folder]; files != nil {
		add(files.Path, "The files")
	}
	return `<p class="where">` + strings.Join(links, " · ") + "</p>\n"
}
