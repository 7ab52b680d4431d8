package book

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/workshop/course"
)

const (
	glossaryPage = "final/workshop/guide/glossary.md"
	cheatPage    = "final/workshop/guide/cheatsheet.md"
	apiFolder    = "final/rpc"
)

// outline finds the pages to read, in their order, and after them the pages that
// these link to.
func (b *Book) outline(names []string) error {
	o := &outliner{Book: b, names: names}
	o.part("Begin", "README.md", "final/workshop/guide/prerequisites.md", "final/workshop/guide/setup.md",
		"final/workshop/guide/trouble.md", glossaryPage, cheatPage)
	o.steps()
	o.part("The tour of final", o.below("final/workshop/tour/")...)
	o.part("Bridges to final", o.below("final/workshop/bridge/")...)
	o.part("The bug museum", o.below("final/workshop/museum/")...)
	o.part("The framework", "final/README.md", "final/PROTOCOL.md")
	o.reference()
	o.add("final/SECURITY.md", "final/CHANGELOG.md", "final/conform/README.md", "final/bench/README.md")
	o.part("Teach and maintain", "final/workshop/guide/INSTRUCTOR.md", "final/workshop/README.md")
	o.addHints()
	o.addSlides()
	o.linked()
	b.link()
	return o.err
}

// An outliner adds pages to a book, until one fails.
type outliner struct {
	*Book
	names []string
	err   error
}

// part begins a part with these pages.
func (o *outliner) part(title string, sources ...string) {
	o.Parts = append(o.Parts, Part{Title: title})
	o.add(sources...)
}

// add adds pages to the last part; those that the clone does not have are left out.
func (o *outliner) add(sources ...string) {
	part := &o.Parts[len(o.Parts)-1]
	for _, source := range sources {
		if slices.Contains(o.names, source) {
			part.Pages = append(part.Pages, o.page(source))
		}
	}
}

// page makes the page of a file of Markdown.
func (o *outliner) page(source string) *Page {
	p := &Page{Source: source, Path: markdownPath(source), Kind: Markdown, Station: stationOf(source)}
	switch source {
	case "README.md":
		p.Kind = Home
	case cheatPage:
		p.Kind = Cheats
	}
	doc, err := readDocument(o.Root, source)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("%s: %w", source, err)
	}
	p.doc = doc
	p.Title = doc.title()
	p.Label, p.Indented = labelOf(p)
	o.Pages = append(o.Pages, p)
	o.bySource[source] = p
	return p
}

// steps adds the lessons: a step's entrance, its checkpoints, its other pages.
func (o *outliner) steps() {
	o.part("The steps")
	seen := map[string]bool{}
	for _, s := range course.Stations {
		if seen[s.Step] {
			continue
		}
		seen[s.Step] = true
		first := []string{s.Step + "/README.md"}
		for _, s := range course.OfStep(s.Step) {
			first = append(first, s.Page())
		}
		first = slices.Compact(first)
		o.add(first...)
		for _, name := range o.names {
			if path.Dir(name) == s.Step && path.Ext(name) == ".md" && !slices.Contains(first, name) {
				o.add(name)
			}
		}
	}
}

// below returns the pages of a folder: its README, then the pages that this links to,
// in its order, then the others.
func (o *outliner) below(folder string) []string {
	index := &Page{Source: folder + "README.md"}
	index.doc, _ = readDocument(o.Root, index.Source)
	first := append([]string{index.Source}, index.links()...)
	var found []string
	for _, name := range o.names {
		if strings.HasPrefix(name, folder) && path.Ext(name) == ".md" {
			found = append(found, name)
		}
	}
	rank := func(name string) int {
		if at := slices.Index(first, name); at >= 0 {
			return at
		}
		return len(first)
	}
	slices.SortStableFunc(found, func(a, b string) int { return rank(a) - rank(b) })
	return found
}

// reference adds the documentation of final/rpc.
func (o *outliner) reference() {
	if !slices.Contains(o.names, apiFolder+"/server.go") {
		return
	}
	p := &Page{Path: apiFolder + "/doc.html", Title: "Package rpc", Label: "Package rpc", Kind: Reference}
	o.Pages = append(o.Pages, p)
	part := &o.Parts[len(o.Parts)-1]
	part.Pages = append(part.Pages, p)
}

// linked adds the pages that others link to, and those that these link to.
func (o *outliner) linked() {
	for i := 0; i < len(o.Pages) && o.err == nil; i++ {
		for _, to := range o.Pages[i].links() {
			if path.Ext(to) != ".md" {
				to = path.Join(to, "README.md")
			}
			if o.bySource[to] == nil && slices.Contains(o.names, to) {
				o.page(to)
			}
		}
	}
}

// link tells the pages of the parts what is before and after them.
func (b *Book) link() {
	var before *Page
	for _, part := range b.Parts {
		for _, p := range part.Pages {
			before = follow(before, p)
		}
	}
}

// linkKinds tells the pages of a kind that each station has what is before and after them,
// and pages of files what is beside them.
func (b *Book) linkKinds() {
	for _, kind := range []Kind{Hints, Changes, Slides} {
		var before *Page
		for _, s := range course.Stations {
			i := slices.IndexFunc(b.Pages, func(p *Page) bool { return p.Kind == kind && p.Station != nil && p.Station.Name == s.Name })
			if i >= 0 {
				before = follow(before, b.Pages[i])
			}
		}
	}
	for dir, names := range b.folders {
		var before *Page
		for _, name := range names {
			if p := b.sources[name]; p != nil && p.Kind == Code && path.Dir(p.Source) == dir {
				before = follow(before, p)
			}
		}
	}
}

// follow tells two pages that one is after the other, and returns the other.
func follow(before, p *Page) *Page {
	if before != nil {
		p.Previous, before.Next = before, p
	}
	return p
}

// markdownPath returns where the page of a file of Markdown is.
func markdownPath(source string) string {
	dir, name := path.Split(source)
	if name == "README.md" {
		return dir + "index.html"
	}
	return dir + strings.ToLower(strings.TrimSuffix(name, ".md")) + ".html"
}

// stationOf returns the station whose lesson a file is, or the last of the step
// that it belongs to.
func stationOf(source string) *course.Station {
	for _, s := range course.Stations {
		if s.Page() == source {
			return &s
		}
	}
	step, _, _ := strings.Cut(source, "/")
	if of := course.OfStep(step); len(of) > 0 {
		return &of[len(of)-1]
	}
	return nil
}

// labelOf returns what the table of contents calls a page, and whether the page
// belongs to the one above it.
func labelOf(p *Page) (label string, indented bool) {
	name := path.Base(p.Source)
	switch {
	case p.Kind == Home:
		return "Home", false
	case name == "EXERCISES.md":
		return "Exercises", true
	case p.Station != nil && p.Source == p.Station.Entrance():
		return strings.TrimPrefix(p.Title, "Step "), false
	case p.Station != nil && p.Source == p.Station.Page():
		return strings.TrimPrefix(p.Title, "Step "), p.Station.Entrance() != ""
	case p.Station != nil:
		_, label, _ := strings.Cut(p.Title, ": ")
		return capital(cmp.Or(label, p.Title)), true
	case strings.HasPrefix(p.Source, "final/workshop/tour/"), strings.HasPrefix(p.Source, "final/workshop/bridge/"),
		strings.HasPrefix(p.Source, "final/workshop/museum/"):
		return p.Title, strings.Count(p.Source, "/") > 3 || name != "README.md"
	}
	return p.Title, false
}

// capital returns a text that begins with a capital letter.
func capital(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(first)) + s[size:]
}
