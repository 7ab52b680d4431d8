package verify

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// checkNames checks that the tests that pages and pins name are there.
func checkNames(_ context.Context, c *Course, f *Findings) error {
	known, err := testNames(c.Root)
	if err != nil {
		return err
	}
	for _, p := range c.pages {
		own := known
		if p.IsExercises() {
			own = slices.Concat(known, namesIn(bodies(p)))
		}
		for _, span := range p.Spans {
			if name := namedTest(span.Text); name != "" && !hasName(own, name) {
				f.page(p, span.Line, "there is no test %s", name)
			}
		}
	}
	for _, p := range c.lessons() {
		if err := c.checkPins(p, f); err != nil {
			return err
		}
	}
	return nil
}

var (
	declaredTest = regexp.MustCompile(`(?m)^\+?func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	testName     = regexp.MustCompile(`^((?:Test|Fuzz|Benchmark)[A-Z]\w*)(?:/.*|…|\.\.\.)?$`)
)

// testNames returns the names of all tests of the workspace.
func testNames(root string) ([]string, error) {
	var names []string
	err := fs.WalkDir(os.DirFS(root), ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !source.IsTest(file):
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		names = append(names, namesIn(string(text))...)
		return err
	})
	return names, err
}

func namesIn(text string) []string {
	var names []string
	for _, match := range declaredTest.FindAllStringSubmatch(text, -1) {
		names = append(names, match[1])
	}
	return names
}

// namedTest returns the test that a word in code type names, or "". TestXxx is
// what Go's own documentation calls any test.
func namedTest(word string) string {
	match := testName.FindStringSubmatch(word)
	if match == nil || match[1] == "TestMain" || strings.HasSuffix(match[1], "Xxx") {
		return ""
	}
	return match[1]
}

// hasName reports whether there is a test of that name; one that ends with _ is
// the beginning of names.
func hasName(known []string, name string) bool {
	return slices.ContainsFunc(known, func(k string) bool {
		return k == name || strings.HasSuffix(name, "_") && strings.HasPrefix(k, name)
	})
}

// bodies returns the text of all blocks.
func bodies(p *Page) string {
	var b strings.Builder
	for _, block := range p.Blocks {
		b.WriteString(block.Body)
	}
	return b.String()
}

var (
	lifted = regexp.MustCompile(`(?m)^// Lifted in (?:step )?(\w+) by (\w+)`)
	pin    = regexp.MustCompile(`(?m)^func (TestLimit_\w+)\(`)
)

// checkPins checks the pins of a lesson's station: each says truly what lifts it,
// and the lesson of the station that pins it speaks of it.
func (c *Course) checkPins(p *Page, f *Findings) error {
	seen := make(map[string]bool)
	if before, ok := p.Station.Previous(); ok {
		if err := c.eachPin(before, func(_, name string) { seen[name] = true }); err != nil {
			return err
		}
	}
	err := c.eachPin(*p.Station, func(file, name string) {
		if !seen[name] && !strings.Contains(p.Text, name) {
			f.page(p, 0, "%s pins %s, and the lesson does not name it", file, name)
		}
	})
	if err != nil {
		return err
	}
	return c.checkLifted(*p.Station, f)
}

// eachPin calls f for each pin of s, with its file.
func (c *Course) eachPin(s course.Station, f func(file, name string)) error {
	files, err := c.files(s, s.Module())
	if err != nil {
		return err
	}
	for _, file := range files.Names() {
		if path.Base(file) != "limits_test.go" {
			continue
		}
		for _, match := range pin.FindAllStringSubmatch(string(files[file]), -1) {
			f(file, match[1])
		}
	}
	return nil
}

func (c *Course) checkLifted(s course.Station, f *Findings) error {
	files, err := c.files(s, s.Module())
	if err != nil {
		return err
	}
	for _, file := range files.Names() {
		if path.Base(file) != "limits_test.go" {
			continue
		}
		text := string(files[file])
		for _, at := range lifted.FindAllStringSubmatchIndex(text, -1) {
			where, test := text[at[2]:at[3]], text[at[4]:at[5]]
			names, err := c.testsAt(where)
			line := strings.Count(text[:at[0]], "\n") + 1
			if err != nil {
				f.file(path.Join(s.Folder, file), line, "%v", err)
			} else if !slices.Contains(names, test) {
				f.file(path.Join(s.Folder, file), line, "there is no %s in %s: name the test that lifts the pin", test, where)
			}
		}
	}
	return nil
}

// findPlace returns the station that a pin names: a step, or a checkpoint such as
// "5a".
func findPlace(where string) (course.Station, error) {
	s, err := course.Find(where)
	if err != nil {
		s, err = course.Find(strings.TrimPrefix(where, "0"))
	}
	return s, err
}

// testsAt returns the names of the tests at a place that a pin names: a step, a
// checkpoint such as "5a", or final.
func (c *Course) testsAt(where string) ([]string, error) {
	if where == "final" {
		return testNames(filepath.Join(c.Root, "final"))
	}
	s, err := findPlace(where)
	if err != nil {
		return nil, err
	}
	files, err := c.files(s, s.Module())
	var names []string
	for name, text := range files {
		if source.IsTest(name) {
			names = append(names, namesIn(string(text))...)
		}
	}
	return names, err
}
