package verify

import (
	"context"
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
func checkNames(ctx context.Context, c *Course, f *Findings) error {
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
	return eachLesson((*Course).checkPins)(ctx, c, f)
}

var (
	declaredTest = regexp.MustCompile(`(?m)^\+?func ((?:Test|Fuzz|Benchmark|Example)\w*)\(`)
	testName     = regexp.MustCompile(`^((?:Test|Fuzz|Benchmark)[A-Z]\w*)(?:/.*|…|\.\.\.)?$`)
)

// testNames returns the names of all tests of the workspace.
func testNames(root string) ([]string, error) {
	files, err := course.Walk(root, func(name string) bool { return strings.HasPrefix(path.Base(name), ".") })
	if err != nil {
		return nil, err
	}
	var names []string
	for _, file := range files {
		if !source.IsTest(file) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(file)))
		if err != nil {
			return nil, err
		}
		names = append(names, namesIn(string(text))...)
	}
	return names, nil
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
