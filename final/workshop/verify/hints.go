package verify

import (
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/hint"
)

// leastHints is how many every new test has: the first only says where to look.
const leastHints = 2

// checkHints checks that each new test has hints, and each hint a test. A station
// may have hints for a test that is carried over, too: what they say fits better
// than what the station said that added it.
func (c *Course) checkHints(p *Page, f *Findings) error {
	s := *p.Station
	name := "final/workshop/hints/" + s.Name + ".md"
	text, err := os.ReadFile(filepath.Join(c.Root, filepath.FromSlash(name)))
	if err != nil {
		f.file(name, 0, "missing: write hints for the new tests of %s", s.Name)
		return nil
	}
	page, err := hint.Parse(text)
	if err != nil {
		f.file(name, 0, "%v", err)
		return nil
	}
	if page.Question == "" || page.Answer == "" {
		f.file(name, 0, "it has to begin with a paragraph Question: … and one Answer: …, before the first ##")
	}
	tests, err := course.NewTests(c.Root, s)
	if err != nil {
		return err
	}
	for _, t := range tests {
		if n := len(page.Of(t.Name)); n < leastHints && !t.IsPin() && !t.IsNaive() {
			f.file(name, 0, "%d hints for %s of %s: write at least %d", n, t.Name, t.File, leastHints)
		}
	}
	all, err := course.Tests(c.Root, s)
	if err != nil {
		return err
	}
	for _, test := range page.Tests {
		if !slices.ContainsFunc(all, func(t course.Test) bool { return t.Name == test }) {
			f.file(name, 0, "%s is no test of %s", test, s.Name)
		}
	}
	return nil
}
