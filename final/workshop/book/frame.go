package book

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// assets are the files that all pages share. The fonts are in a style sheet: browsers
// refuse to load fonts from the file system, but take those that a style sheet contains.
//
//go:embed assets
var assets embed.FS

// frames has the frame that each page is put into.
//
//go:embed frame.html
var frameText string

var frameTemplate = template.Must(template.New("frame").Parse(frameText))

// Assets returns the files that all pages share, by their paths in the book, for pages
// beside the book that look like it.
func Assets() (map[string][]byte, error) { return assetFiles() }

// assetFiles returns the files that all pages share, by their paths in the book.
func assetFiles() (map[string][]byte, error) {
	files := map[string][]byte{}
	err := fs.WalkDir(assets, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[name], err = assets.ReadFile(name)
		return err
	})
	return files, err
}

// A frame is what the template needs.
type frame struct {
	Title  string
	Kind   Kind
	Root   string // leads to the book's folder: "", "../"
	Source string
	Body   template.HTML
	TOC    []tocItem
	Parts  []framePart

	Previous, Next *frameLink

	Extra Extra
}

type framePart struct {
	Title string
	Open  bool
	Links []frameLink
}

type frameLink struct {
	Label, Href string
	Remark      string // minutes, and whether it is a side trip
	Current     string // "page" if it leads to the page itself, "true" if to what the page belongs to
	Indented    bool
}

// frame puts a page into its frame.
func (b *Book) frame(p *Page, r *Rendered) ([]byte, error) {
	f := frame{
		Title: p.Title, Kind: p.Kind, Root: strings.Repeat("../", strings.Count(p.Path, "/")), Source: p.Source,
		Body: template.HTML(r.body), TOC: r.toc, Parts: b.partsFor(p),
		Previous: linkTo(p, p.Previous), Next: linkTo(p, p.Next), Extra: r.extra,
	}
	if len(f.TOC) < 2 {
		f.TOC = nil
	}
	var out bytes.Buffer
	err := frameTemplate.Execute(&out, f)
	return out.Bytes(), err
}

// partsFor returns the table of contents as p shows it. The part with p is unfolded. Pages
// of files, of which there are many, have the files beside them in its place.
func (b *Book) partsFor(p *Page) []framePart {
	if p.Kind == Code || p.Kind == Folder {
		return b.filesBeside(p)
	}
	var parts []framePart
	home := b.belongsTo(p)
	for i, part := range b.Parts {
		shown := framePart{Title: part.Title, Open: p.Kind == Home && i < 2}
		for _, to := range part.Pages {
			link := frameLink{Label: to.Label, Href: rel(p.Path, to.Path), Remark: remarkOn(to), Indented: to.Indented}
			switch to {
			case p:
				link.Current, shown.Open = "page", true
			case home:
				link.Current, shown.Open = "true", true
			}
			shown.Links = append(shown.Links, link)
		}
		parts = append(parts, shown)
	}
	return parts
}

// belongsTo returns the page of the table of contents that p belongs to: of what is about a
// station, its lesson. It is nil if there is none.
func (b *Book) belongsTo(p *Page) *Page {
	if p.Station == nil {
		return nil
	}
	return b.bySource[p.Station.Page()]
}

// remarkOn returns how long a lesson takes, and whether the core path goes without it.
func remarkOn(p *Page) string {
	s := p.Station
	switch {
	case s == nil || p.Kind != Markdown || p.Source != s.Page():
		return ""
	case s.Side:
		return fmt.Sprintf("%d min, side", s.Minutes)
	}
	return fmt.Sprintf("%d min", s.Minutes)
}

// filesBeside returns the table of contents of a page of files: the lesson that it belongs
// to, and what is beside it. The folders above are at the top of the page.
func (b *Book) filesBeside(p *Page) []framePart {
	course := framePart{Title: "Course", Open: true, Links: []frameLink{{Label: "Home", Href: rel(p.Path, "index.html")}}}
	if home := b.belongsTo(p); home != nil {
		course.Links = append(course.Links, frameLink{Label: home.Label, Href: rel(p.Path, home.Path), Current: "true", Remark: remarkOn(home)})
	}
	parts := []framePart{course}
	if dir := path.Dir(p.Source); dir != "." {
		parts = append(parts, b.folderPart(p, dir))
	}
	return parts
}

// mostBeside is how many files of a folder a page of one of them lists. In a large folder
// all of them, on each of its pages, would be most of the book.
const mostBeside = 16

// folderPart lists a folder, or what is beside p in a large one.
func (b *Book) folderPart(p *Page, dir string) framePart {
	part := framePart{Title: dir + "/", Open: true}
	names := b.folders[dir]
	at := slices.IndexFunc(names, func(name string) bool { return b.sources[strings.TrimSuffix(name, "/")] == p })
	if all := b.sources[dir]; at >= 0 && len(names) > mostBeside && all != nil {
		part.Links = append(part.Links, frameLink{Label: fmt.Sprintf("all %d", len(names)), Href: rel(p.Path, all.Path)})
		from := max(0, min(at-mostBeside/2, len(names)-mostBeside))
		names = names[from : from+mostBeside]
	}
	for _, name := range names {
		plain, isFolder := strings.CutSuffix(name, "/")
		link := frameLink{Label: path.Base(plain), Href: rel(p.Path, b.sources[plain].Path)}
		if isFolder {
			link.Label += "/"
		}
		if b.sources[plain] == p {
			link.Current = "page"
		}
		part.Links = append(part.Links, link)
	}
	return part
}

// linkTo returns the link from a page to the one before or after it.
func linkTo(p, to *Page) *frameLink {
	if to == nil {
		return nil
	}
	label := to.Label
	if label == "Exercises" {
		label = to.Title
	}
	return &frameLink{Label: label, Href: rel(p.Path, to.Path)}
}
