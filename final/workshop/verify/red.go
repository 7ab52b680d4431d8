package verify

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// checkRed checks that at a lesson's station a learner begins with new tests that
// fail, and has none that fails with the course's own code.
func (c *Course) checkRed(ctx context.Context, p *Page, f *Findings) error {
	s := *p.Station
	parent, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	dir := filepath.Join(parent, "mine")
	if err := starter.Write(c.Root, s, dir); err != nil {
		return err
	}
	if err := c.checkFails(ctx, s, dir, f); err != nil {
		return err
	}
	if err := starter.Solve(c.Root, s, dir); err != nil {
		return err
	}
	out, passed, err := goTest(ctx, dir, nil, "./...")
	if err == nil && !passed {
		f.file(s.Folder, 0, "the tests of %s do not pass with its code, in a folder that start made:\n%s", s.Name, short(out))
	}
	return err
}

// checkFails checks that the new tests of s fail on what start gives.
func (c *Course) checkFails(ctx context.Context, s course.Station, dir string, f *Findings) error {
	tests, err := course.NewTests(c.Root, s)
	if err != nil {
		return err
	}
	var names []string
	for _, t := range tests {
		if !t.IsPin() && !t.IsNaive() {
			names = append(names, regexp.QuoteMeta(t.Name))
		}
	}
	target, err := check.Find(dir)
	if err != nil {
		return err
	}
	only := regexp.MustCompile("^(" + strings.Join(names, "|") + ")$")
	report, err := check.Run(ctx, target, check.Options{Run: only})
	if err != nil {
		return err
	}
	for _, r := range report.Results {
		switch r.Status {
		case check.Passed:
			if !c.greenFromTheStart(s, r.Test.Name) {
				f.file(s.Folder, 0, "%s of %s passes on what start gives: make it fail until the code is written, or name it in a paragraph of the lesson that says \"from the start\"",
					r.Test.Name, r.Test.File)
			}
		case check.Missing:
			f.file(s.Folder, 0, "start does not give %s of %s", r.Test.Name, r.Test.File)
		}
	}
	return nil
}

// greenFromTheStart reports whether the lesson says of a test that it passes from
// the start, as one does that guards what is there already.
func (c *Course) greenFromTheStart(s course.Station, test string) bool {
	for _, p := range c.lessons() {
		for _, para := range p.Prose {
			if p.Station.Name == s.Name && strings.Contains(para.Text, "from the start") && slices.Contains(para.Spans, test) {
				return true
			}
		}
	}
	return false
}
