package book

import (
	"html/template"
	"regexp"
	"strings"
)

// An Extra is what a server adds to a page of the book, such as what is true of the
// reader's own folder.
type Extra struct {
	Head  template.HTML            // at the end of its head
	Top   template.HTML            // above its columns
	After map[string]template.HTML // below the heading with this anchor
	End   map[string]template.HTML // at the end of the section below the heading with this anchor
}

// RenderWith returns a page with something added.
func (b *Book) RenderWith(p *Page, e Extra) ([]byte, error) {
	r, err := b.renderBody(p)
	if err != nil {
		return nil, err
	}
	r.extra = e
	for id, text := range e.After {
		r.insert(id, string(text), false)
	}
	for id, text := range e.End {
		r.insert(id, string(text), true)
	}
	return b.frame(p, r)
}

// RenderOwn returns a page that is none of the course's, in the book's frame. Its path
// says where the book's other pages are.
func (b *Book) RenderOwn(path, title string, body template.HTML, e Extra) ([]byte, error) {
	return b.frame(&Page{Path: path, Title: title, Kind: "own"}, &Rendered{body: string(body), extra: e})
}

// nextHeading is where the section below a heading ends.
var nextHeading = regexp.MustCompile(`<h[1-6] id="`)

// insert puts text below the heading with that anchor, or at the end of its section. A page
// without it stays as it is.
func (r *Rendered) insert(id, text string, atEnd bool) {
	mark := ` id="` + id + `">`
	at := strings.Index(r.body, mark)
	if at < 0 {
		return
	}
	at += len(mark)
	line := strings.IndexByte(r.body[at:], '\n') // the end of the heading's line
	if line < 0 {
		return
	}
	at += line + 1
	if atEnd {
		if end := nextHeading.FindStringIndex(r.body[at:]); end != nil {
			at += end[0]
		} else {
			at = len(r.body)
		}
	}
	r.body = r.body[:at] + text + r.body[at:]
}

// Lookup returns the page at a path in the book; nil if there is none.
func (b *Book) Lookup(path string) *Page {
	for _, p := range b.Pages {
		if p.Path == path {
			return p
		}
	}
	return nil
}

// PageOf returns the page that is made from a file of the course; nil if there is none.
func (b *Book) PageOf(source string) *Page { return b.bySource[source] }

// SearchIndex returns the script with the index of the search, and its path in the book.
func (b *Book) SearchIndex() (path string, script []byte, err error) {
	index := b.newIndex()
	for _, p := range b.Pages {
		r, err := b.renderBody(p)
		if err != nil {
			return searchIndex, nil, err
		}
		index.add(p, r)
	}
	script, err = index.script()
	return searchIndex, script, err
}

// Diff returns a diff in the unified format as the book shows it.
func Diff(text string) template.HTML {
	var out strings.Builder
	out.WriteString(`<figure class="code diff"><pre tabindex="0" class="marked"><code>`)
	for _, line := range highlightDiff(text) {
		out.WriteString(line + "\n")
	}
	out.WriteString("</code></pre></figure>\n")
	return template.HTML(out.String())
}

// Hex returns bytes as lines of sixteen, each with its offset and its text.
func Hex(data []byte) string { return hexdump(data) }
