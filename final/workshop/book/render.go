package book

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer"
	goldmarkhtml "github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// Rendered is a page as HTML.
type Rendered struct {
	HTML []byte // the whole file

	body     string // what is in its main element
	toc      []tocItem
	sections []section // for the search
	extra    Extra
}

// A tocItem is a line of a page's own table of contents.
type tocItem struct {
	Level    int
	ID, Text string
	Code     bool
}

// A section is a piece of a page that the search finds.
type section struct{ id, heading, text string }

// Render returns a page.
func (b *Book) Render(p *Page) (*Rendered, error) {
	r, err := b.renderBody(p)
	if err != nil {
		return nil, err
	}
	r.HTML, err = b.frame(p, r)
	return r, err
}

func (b *Book) renderBody(p *Page) (*Rendered, error) {
	switch p.Kind {
	case Code:
		return b.renderCode(p)
	case Folder:
		return b.renderFolder(p), nil
	case Changes:
		return b.renderChanges(p)
	case Reference:
		return b.renderReference(p)
	case Hints:
		return b.renderHints(p)
	case Slides:
		return b.renderSlides(p)
	}
	return b.renderMarkdown(p)
}

// writing is a page of Markdown while it is written.
type writing struct {
	*Rendered
	book    *Book
	page    *Page
	named   map[string]int // how often a heading's name occurred
	terms   map[string]bool
	quiet   int    // how deep we are in text that explains no terms
	where   string // the last heading
	level   int    // of it
	changed string // the station whose changes are being listed
	seams   bool   // the names are being listed that the tests use in the reader's folder
	folded  bool   // a part that the book folds is being written
	titled  bool   // a heading is being written
	drawn   int    // diagrams
	footed  bool   // links that leave the course get a footnote, for paper
	feet    []string
	err     error
}

// renderMarkdown returns a page of the course.
func (b *Book) renderMarkdown(p *Page) (*Rendered, error) {
	w := &writing{Rendered: &Rendered{}, book: b, page: p, named: map[string]int{}, terms: b.terms.explainedOn(p), footed: true}
	w.sections = []section{{heading: p.Title}}
	if p.Kind == Hints {
		w.level = 1 // which renderHints writes
	}
	classify(p)
	var out bytes.Buffer
	if err := w.renderer().Render(&out, p.doc.source, p.doc.tree); err != nil {
		return nil, err
	}
	w.body = out.String() + w.footnotes()
	if p.Kind == Home {
		intro, rest, _ := strings.Cut(w.body, "</p>\n")
		w.body = intro + "</p>\n" + b.doors(p) + b.stationMap(p) + b.slideLinks(p) + rest
	}
	return w.Rendered, w.err
}

// renderer returns what turns the page's nodes into HTML.
func (w *writing) renderer() renderer.Renderer {
	return renderer.NewRenderer(renderer.WithNodeRenderers(
		util.Prioritized(goldmarkhtml.NewRenderer(), 1000),
		util.Prioritized(extension.NewTableHTMLRenderer(), 500),
		util.Prioritized(w, 100)))
}

// Classes that say what a part of a page is, where Markdown has no word for it.
const (
	doorsClass = "doors" // how to begin
	timeClass  = "time"  // how long a lesson takes
)

// classify marks the parts of a page that look different.
func classify(p *Page) {
	for n := p.doc.tree.FirstChild(); n != nil; n = n.NextSibling() {
		switch text := p.doc.plain(n); {
		case n.Kind() == ast.KindHeading && text == "Three doors" && p.Kind == Home && n.NextSibling() != nil:
			n.NextSibling().SetAttributeString("class", []byte(doorsClass))
		case n.Kind() == ast.KindParagraph && strings.HasPrefix(text, "Time: "):
			n.SetAttributeString("class", []byte(timeClass))
		}
	}
}

// RegisterFuncs tells goldmark which nodes w writes itself.
func (w *writing) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindHeading, w.heading)
	r.Register(ast.KindFencedCodeBlock, w.fenced)
	r.Register(ast.KindCodeBlock, w.indented)
	r.Register(ast.KindHTMLBlock, w.htmlBlock)
	r.Register(ast.KindRawHTML, w.rawHTML)
	r.Register(ast.KindLink, w.link)
	r.Register(ast.KindImage, w.image)
	r.Register(ast.KindCodeSpan, w.codeSpan)
	r.Register(ast.KindText, w.text)
	r.Register(ast.KindEmphasis, w.emphasis)
	r.Register(ast.KindParagraph, w.paragraph)
	r.Register(ast.KindTextBlock, w.tight)
	r.Register(ast.KindBlockquote, w.quote)
	if w.page.Kind == Hints {
		r.Register(ast.KindList, w.hintList)
		r.Register(ast.KindListItem, w.hint)
	}
	r.Register(extast.KindTable, w.table)
	r.Register(extast.KindTableHeader, w.tableHead)
	r.Register(extast.KindTableCell, w.tableCell)
}

// fail notes the first error.
func (w *writing) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf(format, args...)
	}
}

// stationHref returns the link from p to a station's lesson.
func (b *Book) stationHref(p *Page, s course.Station) string {
	if to := b.bySource[s.Page()]; to != nil {
		return rel(p.Path, to.Path)
	}
	return "#"
}
