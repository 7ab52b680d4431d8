package verify

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// template is what the parts of every lesson are called, in their order.
var template = []string{
	"What you will build", "Where we stand", "Predict", "The article's way", "Test first", "The code",
	"On the wire", "Checkpoint", "What changed", "What real frameworks do", "Exercises",
}

// ofCheckpoint are the parts that a checkpoint's lesson has of its own: the others
// may stand on another page of its step.
var ofCheckpoint = []string{"Test first", "The code", "On the wire", "Checkpoint", "What changed"}

// inherited is the part of an entrance that names each file of the code before it.
const inherited = "The code you inherit"

// Bounds of a lesson's prose, in words: of a step that is one station, and of a
// checkpoint, part of which stands on its step's other pages.
var (
	lessonWords     = [2]int{900, 1800}
	checkpointWords = [2]int{450, 1800}
)

// mostArrows is how many a reader can follow in one diagram.
const mostArrows = 8

// checkTemplate checks that lessons have the parts that all have, in the same
// order, are as long as they should be, and use terms that the glossary explains.
func checkTemplate(_ context.Context, c *Course, f *Findings) error {
	glossary, err := c.glossary(f)
	if err != nil {
		return err
	}
	for _, p := range c.pages {
		switch {
		case !p.IsTold():
			continue
		case p.IsLesson():
			checkParts(p, f)
			checkWords(p, f)
			checkTyped(p, f)
			if err := c.checkShipped(p, f); err != nil {
				return err
			}
			if p.Station.Entrance() == "" {
				if err := c.checkInherited(p, f); err != nil {
					return err
				}
			}
		case p.IsEntrance():
			if err := c.checkInherited(p, f); err != nil {
				return err
			}
		}
		checkArrows(p, f)
		if glossary != nil {
			checkTerms(p, glossary, f)
		}
	}
	return nil
}

// checkParts checks the headings.
func checkParts(p *Page, f *Findings) {
	found := make(map[string]bool)
	last, misplaced := 0, false
	for _, s := range p.Sections {
		i := slices.Index(template, s.Title)
		if i < 0 {
			continue
		}
		found[s.Title] = true
		if s.Level != 2 {
			f.page(p, s.Line, "%q is a part of a lesson (##), not of %q", s.Title, s.Parent.Title)
		}
		if i < last && !misplaced {
			f.page(p, s.Line, "%q comes before %q", s.Title, template[last])
			misplaced = true // one out of place displaces all that follow
		}
		last = max(i, last)
	}
	parts := template
	if p.Station.Entrance() != "" {
		parts = ofCheckpoint
	}
	for _, title := range parts {
		if !found[title] {
			f.page(p, 0, "no part is called %q", title)
		}
	}
}

// checkInherited checks that an entrance, or the lesson of a step that has none, names each file of rpc/ that a learner
// who begins there has not written.
func (c *Course) checkInherited(p *Page, f *Findings) error {
	before, ok := course.OfStep(p.Station.Step)[0].Previous()
	if !ok {
		return nil
	}
	files, err := c.files(before, before.Module())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.Sections, func(s *lesson.Section) bool { return s.Title == inherited })
	if i < 0 {
		f.page(p, 0, "no part is called %q", inherited)
		return nil
	}
	part := p.Sections[i]
	for _, name := range files.Names() {
		if path.Dir(name) == "rpc" && course.IsCode(name) && !tables(p, part, name) {
			f.page(p, part.Line, "%s, which %s has, is not in the table: say in a line what it is for", name, before.Name)
		}
	}
	return nil
}

// tables reports whether a table of that section has a row that begins with name.
func tables(p *Page, section *lesson.Section, name string) bool {
	return slices.ContainsFunc(p.Tables, func(t *lesson.Table) bool {
		return t.Section == section && slices.ContainsFunc(t.Rows, func(row []string) bool { return row[0] == name })
	})
}

func checkWords(p *Page, f *Findings) {
	words := 0
	for _, s := range p.Sections {
		words += s.Words
	}
	bounds := lessonWords
	if p.Station.Entrance() != "" {
		bounds = checkpointWords
	}
	checkBounds(p, 0, words, bounds, f)
}

func checkBounds(p *Page, line, words int, bounds [2]int, f *Findings) {
	if words < bounds[0] || words > bounds[1] {
		f.page(p, line, "%d words of prose: write %d to %d", words, bounds[0], bounds[1])
	}
}

// mostTyped is how many lines of code a station has a reader type. Comments and blank
// lines do not count; what teaches nothing is shipped: see course/shipped.go.
const mostTyped = 110

func checkTyped(p *Page, f *Findings) {
	lines := 0
	for _, b := range p.Blocks {
		if isTyped(b) {
			lines += typedLines(b)
		}
	}
	f.report("%s: %d lines to type", p.Station.Name, lines)
	if lines > mostTyped {
		f.page(p, 0, "%d lines to type, at most %d: ship what teaches nothing", lines, mostTyped)
	}
}

// typedLines counts the lines of code that a block has a reader type.
func typedLines(b *lesson.Block) int {
	lines := 0
	for line := range strings.Lines(b.Body) {
		if b.Word(0) == "diff" {
			var added bool
			if line, added = strings.CutPrefix(line, "+"); !added {
				continue
			}
		}
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	return lines
}

// checkShipped checks that a lesson names each file that start and next put into the
// folder with code in it that the reader does not write.
func (c *Course) checkShipped(p *Page, f *Findings) error {
	shipped, err := starter.Shipped(c.Root, *p.Station)
	if err != nil {
		return err
	}
	for _, s := range shipped {
		if !slices.ContainsFunc(p.Spans, func(span lesson.Span) bool { return namesFile(span.Text, s.File) }) {
			f.page(p, 0, "%s is shipped, and the page does not name it: say what it does", s.File)
		}
	}
	return nil
}

func checkArrows(p *Page, f *Findings) {
	for _, b := range p.Blocks {
		if b.Word(0) != "mermaid" || !strings.Contains(b.Body, "sequenceDiagram") {
			continue
		}
		arrows := 0
		for line := range strings.Lines(b.Body) {
			before, _, ok := strings.Cut(line, ":")
			if ok && (strings.Contains(before, "->") || strings.Contains(before, "-x") || strings.Contains(before, "-)")) {
				arrows++
			}
		}
		if arrows > mostArrows {
			f.page(p, b.Line, "%d arrows in a sequence diagram: at most %d can be followed", arrows, mostArrows)
		}
	}
}

const glossaryPath = "final/workshop/guide/glossary.md"

// glossary returns the terms in bold or in headings of the glossary, in lower
// case; nil if there is none yet.
func (c *Course) glossary(f *Findings) (map[string]bool, error) {
	if !exists(c.Root, glossaryPath) {
		f.note("terms: there is no %s", path.Base(glossaryPath))
		return nil, nil
	}
	page, err := lesson.Load(c.Root, glossaryPath)
	if err != nil {
		return nil, err
	}
	terms := make(map[string]bool)
	for _, s := range page.Sections {
		terms[term(s.Title)] = true
	}
	for _, b := range page.Bold {
		terms[term(b.Text)] = true
	}
	return terms, nil
}

// notTerms are in bold for other reasons: sidebars, and what the lessons name or
// say again and again.
var notTerms = regexp.MustCompile(`^(new in go\b.*|red is right here|net/rpc|grpc-go|drpc|ttrpc)$`)

// checkTerms checks that what is in bold as a term is in the glossary.
func checkTerms(p *Page, glossary map[string]bool, f *Findings) {
	for _, b := range p.Bold {
		name := term(b.Text)
		first, _, _ := strings.Cut(name, " ")
		if slices.Contains(labels, first) || first == deleteLabel || notTerms.MatchString(name) {
			continue
		}
		if !glossary[name] && !glossary[strings.TrimSuffix(name, "s")] {
			f.page(p, b.Line, "%q is in bold as a term, and not in %s: explain it there, or take the bold away", b.Text, path.Base(glossaryPath))
		}
	}
}

func term(text string) string { return strings.ToLower(strings.Trim(text, " .,:;")) }
