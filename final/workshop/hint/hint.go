// Package hint reads the hints that belong to the tests of a station: see
// final/workshop/hints/README.md for their form.
package hint

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/text"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/hints"
)

// A Page is the hints of a station.
type Page struct {
	Question string   // asked when all tests pass; "" if there is none
	Answer   string   // to the question; "" if there is none
	Tests    []string // that have hints, in the page's order
	hints    map[string][]string
}

// Of returns the hints of a test, each stronger than the one before.
func (p *Page) Of(test string) []string { return p.hints[test] }

// Load returns the page of a station; an empty one if it has none.
func Load(s course.Station) (*Page, error) { return load(hints.Files, s) }

func load(files fs.FS, s course.Station) (*Page, error) {
	name := s.Name + ".md"
	src, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) {
		return &Page{}, nil
	}
	if err != nil {
		return nil, err
	}
	p, err := Parse(src)
	if err != nil {
		return nil, fmt.Errorf("hints/%s: %w", name, err)
	}
	return p, nil
}

// For returns the hints of a test for a learner who is at s: those of s, or of
// the latest station before it that has some, and which that is.
func For(s course.Station, test string) (found []string, from course.Station, err error) {
	for at, ok := s, true; ok; at, ok = at.Previous() {
		p, err := Load(at)
		if err != nil {
			return nil, s, err
		}
		if found := p.Of(test); found != nil {
			return found, at, nil
		}
	}
	return nil, s, nil
}

// Parse reads a page. Its errors name the heading that is not as it should be.
func Parse(src []byte) (*Page, error) {
	r := &reader{Page: &Page{hints: map[string][]string{}}, src: []byte(strings.ReplaceAll(string(src), "\r\n", "\n"))}
	doc := goldmark.DefaultParser().Parse(text.NewReader(r.src))
	for node := doc.FirstChild(); node != nil; node = node.NextSibling() {
		if err := r.block(node); err != nil {
			return nil, err
		}
	}
	if n := len(r.Tests); n > 0 && len(r.hints[r.Tests[n-1]]) == 0 {
		return nil, noHints(r.Tests[n-1])
	}
	return r.Page, nil
}

func noHints(test string) error { return fmt.Errorf("%s has no numbered list of hints below it", test) }

// A reader is a page while it is read.
type reader struct {
	*Page
	src []byte
}

// block reads one of the blocks that the page consists of.
func (r *reader) block(node ast.Node) error {
	switch node := node.(type) {
	case *ast.Heading:
		return r.heading(node)
	case *ast.List:
		return r.list(node)
	default:
		if len(r.Tests) == 0 {
			r.preface(r.text(node))
		}
		return nil // other words are for those who keep the page
	}
}

// preface reads a paragraph before the first test: the question or its answer,
// which may follow in the same paragraph.
func (r *reader) preface(text string) {
	text, answer, both := strings.Cut(text, "\nAnswer:")
	if question, ok := strings.CutPrefix(text, "Question:"); ok {
		r.Question = strings.TrimSpace(question)
	} else if a, ok := strings.CutPrefix(text, "Answer:"); ok {
		answer, both = a, true
	}
	if both {
		r.Answer = strings.TrimSpace(answer)
	}
}

func (r *reader) heading(node *ast.Heading) error {
	if node.Level == 1 {
		return nil
	}
	name := strings.Trim(r.text(node), "`")
	if node.Level > 2 || !strings.HasPrefix(name, "Test") && !strings.HasPrefix(name, "Fuzz") || strings.ContainsAny(name, " \t") {
		return fmt.Errorf("heading %q: it has to be ## and the name of a test alone", name)
	}
	if _, twice := r.hints[name]; twice {
		return fmt.Errorf("%s has two headings", name)
	}
	if n := len(r.Tests); n > 0 && len(r.hints[r.Tests[n-1]]) == 0 {
		return noHints(r.Tests[n-1])
	}
	r.Tests = append(r.Tests, name)
	r.hints[name] = nil
	return nil
}

func (r *reader) list(node *ast.List) error {
	if len(r.Tests) == 0 {
		return errors.New("a list stands before the first ## heading, so that nobody knows whose hints these are")
	}
	test := r.Tests[len(r.Tests)-1]
	if !node.IsOrdered() {
		return fmt.Errorf("%s: the hints have to be numbered", test)
	}
	if len(r.hints[test]) > 0 {
		return fmt.Errorf("%s has two lists: indent what belongs to a hint", test)
	}
	for item := node.FirstChild(); item != nil; item = item.NextSibling() {
		r.hints[test] = append(r.hints[test], r.item(item))
	}
	return nil
}

// item returns a hint: its paragraphs and code, with empty lines between, code
// indented by four.
func (r *reader) item(node ast.Node) string {
	var parts []string
	for child := node.FirstChild(); child != nil; child = child.NextSibling() {
		parts = append(parts, r.text(child))
	}
	return strings.Join(parts, "\n\n")
}

// text returns a block's own lines, as they stand in the page.
func (r *reader) text(node ast.Node) string {
	if list, ok := node.(*ast.List); ok {
		return r.inner(list)
	}
	if node.Type() != ast.TypeBlock || node.Lines() == nil {
		return ""
	}
	indent := ""
	switch node.(type) {
	case *ast.FencedCodeBlock, *ast.CodeBlock:
		indent = "    "
	}
	var b strings.Builder
	for i := range node.Lines().Len() {
		line := node.Lines().At(i)
		b.WriteString(indent + strings.TrimRight(string(line.Value(r.src)), "\n") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

// inner returns a list inside of a hint, its items marked.
func (r *reader) inner(list *ast.List) string {
	var lines []string
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		lines = append(lines, "- "+strings.ReplaceAll(r.item(item), "\n", "\n  "))
	}
	return strings.Join(lines, "\n")
}
