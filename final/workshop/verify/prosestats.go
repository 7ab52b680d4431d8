package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

const (
	meanWords    = 17   // a sentence's, over a page
	mostWords    = 40   // of any sentence
	wordsAVague  = 1000 // of a page, for each of the vague words in it
	vagueCounted = "nobody, somebody, anybody and whoever"
)

var vague = regexp.MustCompile(`(?i)\b(nobody|somebody|anybody|whoever)\b`)

// A habit is a way to put things that must not occur.
type habit struct {
	found   *regexp.Regexp
	instead string
}

var habits = []habit{
	{regexp.MustCompile(`(?i)\b(tells?|telling|told) of\b`), `"reports", or the noun itself`},
	{regexp.MustCompile(`(?i)\bcame(\W*$|[^ \w]| ([^b]|b[^a]))`), `"got", "arrived" or "was"`},
	{regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), `"fix"`},
	{regexp.MustCompile(`(?i)\b(hold|holds|held|holding)( \w+){0,2} up\b`), `"block" or "delay"`},
	{regexp.MustCompile(`(?i)\b(take|takes|taking|took) leave\b`), `"close" or "leave"`},
	{regexp.MustCompile(`(?i)\bstands? (in|by)\b`), `"is in"`},
	{regexp.MustCompile(`(?i)\b(simply|just|obviously)\b`), "nothing"},
	{regexp.MustCompile(`(?i)\b(thanks to|last but one|long gone|after what time|for a rare guest)\b`), "the actor and the verb"},
	{regexp.MustCompile(`(?i)\ba (goroutine|line|test|page|file) an? (connection|file|test|call|method|station|step)\b`), `"one … per …"`},
	{regexp.MustCompile(`!\W*$`), "a full stop"},
}

// inversions are sentences that are no question and do not begin with their
// subject, by the parts in which they are looked for: a heading may be one.
var inversions = map[lesson.Part][]habit{
	lesson.InProse: {{regexp.MustCompile(`^(So|Of an?|What)\b[^?]*$`), "a sentence that begins with its subject"}},
}

// checkProse measures how a page reads, and looks for habits that make a reader
// read twice. What sync writes is not looked at.
func (c *Course) checkProse(p *Page, f *Findings) error {
	figures, problems := measure(p)
	f.Figures = append(f.Figures, fmt.Sprintf("%s: %s", p.Path, figures))
	f.Problems = append(f.Problems, problems...)
	return nil
}

// figures are a page's.
type figures struct {
	words, sentences int // of prose alone, without tables and headings
	longest          int
	vague            int
	all              int // words, with those of tables and headings
	habits           int
}

func (s figures) mean() float64 { return float64(s.words) / float64(max(s.sentences, 1)) }

func (s figures) String() string {
	return fmt.Sprintf("%d words, %.1f a sentence, the longest %d, %d vague, %d habits",
		s.all, s.mean(), s.longest, s.vague, s.habits)
}

// measure returns a page's figures, and where they are beyond the bounds.
func measure(p *Page) (s figures, problems []*Problem) {
	report := func(l lesson.Sentence, format string, args ...any) {
		problems = append(problems, problem(p, l.Line, "%s: %s", fmt.Sprintf(format, args...), l.Text))
	}
	var vagueOnes []lesson.Sentence
	var longest lesson.Sentence
	for _, l := range p.Sentences {
		if p.RegionAt(l.Line) != nil {
			continue
		}
		s.add(l)
		if l.Part != lesson.InHeading && l.Words > longest.Words {
			longest = l
		}
		if l.Part != lesson.InHeading && l.Words > mostWords {
			report(l, "%d words in a sentence, at most %d", l.Words, mostWords)
		}
		for _, h := range slices.Concat(habits, inversions[l.Part]) {
			if said := h.found.FindString(l.Said); said != "" {
				s.habits++
				report(l, "%q: write %s", opening(said), h.instead)
			}
		}
		if vague.MatchString(l.Said) {
			vagueOnes = append(vagueOnes, l)
		}
	}
	s.longest = longest.Words
	if s.mean() > meanWords {
		report(longest, "%.1f words a sentence, at most %d; the longest, %d words", s.mean(), meanWords, s.longest)
	}
	if s.vague*wordsAVague > s.all {
		for _, l := range vagueOnes {
			report(l, "%d of %s in %d words, at most one in %d: name the actor", s.vague, vagueCounted, s.all, wordsAVague)
		}
	}
	return s, problems
}

func (s *figures) add(l lesson.Sentence) {
	s.all += l.Words
	s.vague += len(vague.FindAllString(l.Said, -1))
	if l.Part == lesson.InProse {
		s.words += l.Words
		s.sentences++
	}
}

// opening returns the first words of what was found, which may be all of a sentence.
func opening(said string) string {
	words := strings.Fields(said)
	return strings.Join(words[:min(len(words), 4)], " ")
}
