package book

import (
	"encoding/json"
	"strings"
)

// searchIndex is the file that the search reads, when a reader begins to search.
const searchIndex = "assets/search-index.js"

// An index is what the search knows: pages, and sections of pages.
type index struct {
	Pages    [][3]string `json:"pages"`    // a path, a title and a group
	Sections [][4]any    `json:"sections"` // a page's number, an anchor, a heading, a text

	groups map[*Page]string
}

// newIndex returns an index that groups pages by the parts of the table of contents.
func (b *Book) newIndex() *index {
	x := &index{groups: map[*Page]string{}}
	for _, p := range b.Pages {
		switch p.Kind {
		case Code, Folder:
			x.groups[p] = "Code"
		case Hints, Changes, Slides:
			x.groups[p] = "Beside the lessons"
		default:
			x.groups[p] = "Other pages"
		}
	}
	for _, part := range b.Parts {
		for _, p := range part.Pages {
			x.groups[p] = part.Title
		}
	}
	if p := b.bySource[glossaryPage]; p != nil {
		x.groups[p] = p.Title
	}
	return x
}

// add adds the sections of a page.
func (x *index) add(p *Page, r *Rendered) {
	if len(r.sections) == 0 {
		return
	}
	x.Pages = append(x.Pages, [3]string{p.Path, p.Title, x.groups[p]})
	for _, s := range r.sections {
		text := strings.Join(strings.Fields(s.text), " ")
		x.Sections = append(x.Sections, [4]any{len(x.Pages) - 1, s.id, s.heading, text})
	}
}

// script returns the index as a script: browsers load those from the file system, too.
func (x *index) script() ([]byte, error) {
	data, err := json.Marshal(x)
	return append(append([]byte("window.bookIndex="), data...), ";\n"...), err
}
