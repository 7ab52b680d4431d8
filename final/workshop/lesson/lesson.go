// Package lesson reads a page of the course: its headings, its blocks of code with
// what their first lines say, and whatever else can be compared with the code.
package lesson

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Lesson is a page in Markdown.
type Lesson struct {
	Path     string     // below the workspace's root, with slashes
	Text     string     // all of it; lines end with \n
	Sections []*Section // in their order; the first is what stands above any heading
	Blocks   []*Block
	Prose    []Paragraph // all of them
	Links    []Link
	Spans    []Span // code type
	Bold     []Span
	Regions  []*Region
	Tables   []*Table
	Anchors  []string // what a link's #anchor can name

	Sentences []Sentence // of prose, tables and headings
}

// A Section is a heading and what stands below it, until the next heading.
type Section struct {
	Level   int // 1 is the title; 0 stands above any heading
	Title   string
	Line    int
	Parent  *Section // the section that this one is part of
	Words   int      // of prose: no code, no tables, no regions
	Minutes int      // what its "Time:" line says; 0: it has none
	Time    int      // where that stands
}

// A Block is fenced code.
type Block struct {
	Info    string   // what stands behind its three backquotes
	Words   []string // Info's
	Line    int      // of the backquotes
	Body    string   // with a newline at its end, unless empty
	Section *Section
	Lead    Paragraph // the last one before the block in its section

	begin, end int // Body's place in the lesson's text, by bytes
	indent     string
}

// A Paragraph is prose, such as what introduces a block.
type Paragraph struct {
	Line    int // 0: there is none
	Text    string
	Spans   []string // code type
	Bold    []string
	Section *Section
}

// A Link is a link or an image.
type Link struct {
	To   string
	Line int
}

// A Span is a piece of text in a type of its own.
type Span struct {
	Text string
	Line int
}

// A Region stands between <!-- changed 03 --> and <!-- end -->.
type Region struct {
	Words []string // "changed", "03"
	Line  int
	Last  int // the line that ends it
	Body  string

	begin, end int
}

// A Table is a table's text.
type Table struct {
	Line    int
	Header  []string
	Rows    [][]string
	Section *Section
}

// Load reads the lesson at path below root, with slashes.
func Load(root, path string) (*Lesson, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	return Parse(path, string(text))
}

// RegionAt returns the region that a line is part of, or nil.
func (l *Lesson) RegionAt(line int) *Region {
	i := slices.IndexFunc(l.Regions, func(r *Region) bool { return r.Line <= line && line <= r.Last })
	if i < 0 {
		return nil
	}
	return l.Regions[i]
}

// Word returns the block's i'th word, or "".
func (b *Block) Word(i int) string {
	if i >= len(b.Words) {
		return ""
	}
	return b.Words[i]
}

// Rest returns the block's words from the i'th.
func (b *Block) Rest(i int) []string { return b.Words[min(i, len(b.Words)):] }

// An Edit gives a block or a region another body.
type Edit struct {
	begin, end int
	text       string
}

// Edit returns the change that gives b the body text.
func (b *Block) Edit(text string) Edit {
	return Edit{b.begin, b.end, indent(ended(text), b.indent)}
}

// Edit returns the change that gives r the body text.
func (r *Region) Edit(text string) Edit { return Edit{r.begin, r.end, ended(text)} }

// Apply returns the lesson's text with the edits made, which must not overlap.
func (l *Lesson) Apply(edits []Edit) string {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b Edit) int { return b.begin - a.begin })
	text := l.Text
	for _, e := range edits {
		text = text[:e.begin] + e.text + text[e.end:]
	}
	return text
}

// ended returns text with a newline at its end, unless it is empty.
func ended(text string) string {
	if text == "" || strings.HasSuffix(text, "\n") {
		return text
	}
	return text + "\n"
}

func indent(text, by string) string {
	if by == "" {
		return text
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		if line != "\n" {
			b.WriteString(by)
		}
		b.WriteString(line)
	}
	return b.String()
}
