package verify

import (
	"context"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// template is what the parts of every lesson are called, in their order.
var template = []string{
	"What you will build", "Where we stand", "Predict", "The article's way", "Test first", "The code",
	"On the wire", "Checkpoint", "What changed", "What real frameworks do", "Exercises",
}

// Bounds of a lesson's prose, in words, with a tenth to spare: of a whole lesson,
// and of a checkpoint in a lesson that is told by long ones.
var (
	lessonWords     = [2]int{900, 2200}
	checkpointWords = [2]int{540, 990}
)

// long are the steps whose checkpoints are as long as lessons.
var long = []string{"step04-registry", "step05-context-timeouts", "step06-gob-codec"}

// mostArrows is how many a reader can follow in one diagram.
const mostArrows = 8

// checkTemplate checks that lessons have the parts that all have, in the same
// order, are as long as they should be, and use terms that the glossary explains.
func checkTemplate(_ context.Context, c *Course, f *Findings) error {
	glossary, err := c.glossary(f)
	if err != nil {
		return err
	}
	for _, p := range c.lessons() {
		checkParts(p, f)
		checkWords(p, f)
		checkArrows(p, f)
		if glossary != nil {
			checkTerms(p, glossary, f)
		}
	}
	return nil
}

// checkParts checks the headings. Where a lesson tells checkpoints, a part may
// stand once for all or below each checkpoint's heading; the order holds within
// each.
func checkParts(p *Page, f *Findings) {
	found := make(map[string]bool)
	last := make(map[*lesson.Section]int) // by the section that parts are in
	misplaced := make(map[*lesson.Section]bool)
	for _, s := range p.Sections {
		i := slices.Index(template, s.Title)
		if i < 0 {
			continue
		}
		found[s.Title] = true
		if s.Level != 2 && (s.Level != 3 || !checkpointTitle.MatchString(s.Parent.Title)) {
			f.page(p, s.Line, "%q is a part of a lesson (##) or of a checkpoint (###), not of %q", s.Title, s.Parent.Title)
		}
		if i < last[s.Parent] && !misplaced[s.Parent] {
			f.page(p, s.Line, "%q comes before %q", s.Title, template[last[s.Parent]])
			misplaced[s.Parent] = true // one out of place displaces all that follow
		}
		last[s.Parent] = max(i, last[s.Parent])
	}
	for _, title := range template {
		if !found[title] {
			f.page(p, 0, "no part is called %q", title)
		}
	}
}

func checkWords(p *Page, f *Findings) {
	if !slices.Contains(long, p.Station.Step) {
		words := 0
		for _, s := range p.Sections {
			words += s.Words
		}
		checkBounds(p, 0, words, lessonWords, f)
		return
	}
	for _, s := range p.Sections {
		if !checkpointTitle.MatchString(s.Title) {
			continue
		}
		words := 0
		for _, part := range p.Sections {
			if _, ok := part.Within(func(in *lesson.Section) bool { return in == s }); ok {
				words += part.Words
			}
		}
		checkBounds(p, s.Line, words, checkpointWords, f)
	}
}

func checkBounds(p *Page, line, words int, bounds [2]int, f *Findings) {
	if words < bounds[0] || words > bounds[1] {
		f.page(p, line, "%d words of prose: write %d to %d", words, bounds[0], bounds[1])
	}
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
		if slices.Contains(labels, first) || notTerms.MatchString(name) {
			continue
		}
		if !glossary[name] && !glossary[strings.TrimSuffix(name, "s")] {
			f.page(p, b.Line, "%q is in bold as a term, and not in %s: explain it there, or take the bold away", b.Text, path.Base(glossaryPath))
		}
	}
}

func term(text string) string { return strings.ToLower(strings.Trim(text, " .,:;")) }
