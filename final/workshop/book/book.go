// Package book makes pages of the course: a folder of HTML from its Markdown and
// its code, which a browser opens from the file system, without a server and
// without a network.
package book

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// A Book is the course as pages. Its files are made when they are asked for.
type Book struct {
	Root  string
	Parts []Part  // the pages to read, in their order
	Pages []*Page // all pages, those of the parts first

	bySource map[string]*Page // by the file below Root that a page is made from
	slides   map[string]*Page // decks, by their stations
	folders  map[string][]string
	sources  map[string]*Page // code and other files, by their path below Root
	terms    terms
	captured map[string]captured // sections of captures, by their names
}

// A Part is a group of pages in the table of contents.
type Part struct {
	Title string
	Pages []*Page
}

// A Page is one file of the book.
type Page struct {
	Source   string          // the file that it shows, below Root; "" if there is none
	Path     string          // its own path in the book, with slashes: "step01-tcp-server/index.html"
	Title    string          // as the page has it
	Label    string          // as the table of contents has it
	Indented bool            // a checkpoint, or a page beside a lesson
	Station  *course.Station // whose lesson it is; of a step's other pages, the step's last; nil: no step's
	Kind     Kind

	Previous, Next *Page

	doc *document // of Markdown
}

// A Kind says how a page is made.
type Kind string

// The kinds of pages.
const (
	Markdown  Kind = "markdown"  // from a page of the course
	Home      Kind = "home"      // from the README of the course
	Code      Kind = "code"      // one file, with its lines
	Folder    Kind = "folder"    // a list of files
	Reference Kind = "reference" // a package's documentation
	Changes   Kind = "changes"   // from one station to another
	Hints     Kind = "hints"     // of a station, folded
	Cheats    Kind = "cheats"    // the sheet to print
	Slides    Kind = "slides"    // of a station, with the notes of who speaks
)

// Load reads the course at root.
func Load(root string) (*Book, error) {
	b := &Book{Root: root, bySource: map[string]*Page{}, slides: map[string]*Page{}, folders: map[string][]string{}, sources: map[string]*Page{}}
	names, err := textFiles(root)
	if err != nil {
		return nil, err
	}
	if err := b.outline(names); err != nil {
		return nil, err
	}
	if b.terms, err = loadTerms(b); err != nil {
		return nil, err
	}
	if err := b.addSources(names); err != nil {
		return nil, err
	}
	return b, b.findCaptured()
}

// A Summary says what was written.
type Summary struct {
	Pages, Files int
	Bytes        int64
}

// Files returns the whole book: the contents of all files, by their paths in it.
func (b *Book) Files() (map[string][]byte, error) {
	files, err := assetFiles()
	if err != nil {
		return nil, err
	}
	index := b.newIndex()
	for _, p := range b.Pages {
		r, err := b.Render(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Path, err)
		}
		files[p.Path] = r.HTML
		index.add(p, r)
	}
	files[searchIndex], err = index.script()
	return files, err
}

// Write writes the book into dir, which must be empty or not exist.
func (b *Book) Write(dir string) (Summary, error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return Summary{}, fmt.Errorf("%s is not empty: name a new folder", dir)
	}
	files, err := b.Files()
	if err != nil {
		return Summary{}, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return Summary{}, err
		}
		if err := os.WriteFile(file, files[name], 0o666); err != nil {
			return Summary{}, err
		}
	}
	return b.summary(files), nil
}

func (b *Book) summary(files map[string][]byte) Summary {
	s := Summary{Pages: len(b.Pages), Files: len(files)}
	for _, data := range files {
		s.Bytes += int64(len(data))
	}
	return s
}
