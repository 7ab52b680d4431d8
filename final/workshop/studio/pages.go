package studio

import (
	"html/template"
	"path"
	"path/filepath"
	"sync"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// pages are those of the book. It renders one at a time.
type pages struct {
	mu    sync.Mutex // guards rendering, which notes in the Markdown what it found
	book  *book.Book
	index func() ([]byte, error)
}

func newPages(b *book.Book) *pages {
	p := &pages{book: b}
	p.index = sync.OnceValues(func() ([]byte, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		_, script, err := b.SearchIndex()
		return script, err
	})
	return p
}

// lesson returns the path of a station's lesson.
func (p *pages) lesson(s course.Station) string {
	if page := p.book.PageOf(s.Page()); page != nil {
		return page.Path
	}
	return "index.html"
}

// relative returns the link from one page to another.
func (p *pages) relative(from, to string) string {
	rel, err := filepath.Rel(filepath.FromSlash(path.Dir(from)), filepath.FromSlash(to))
	if err != nil {
		return "/" + to
	}
	return filepath.ToSlash(rel)
}

func (p *pages) render(page *book.Page, e book.Extra) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.book.RenderWith(page, e)
}

func (p *pages) own(path, title string, body template.HTML, e book.Extra) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.book.RenderOwn(path, title, body, e)
}

// predictAnchor is that of the lessons' heading above their question.
var predictAnchor = lesson.Anchor("Predict")
