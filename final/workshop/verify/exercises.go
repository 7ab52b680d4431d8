package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/patch"
)

// A solution is what the blocks of one exercise change: the text of files, or
// the change of them, by name below the step's folder.
type solution struct {
	page    *Page
	section *lesson.Section
	line    int
	changes []change
}

type change struct {
	file string
	text string // lines of a diff, or a whole file
	diff bool
	line int
}

// checkExercises puts the solution of each exercise into a copy of its step, and
// runs all tests there.
func checkExercises(ctx context.Context, c *Course, f *Findings) error {
	var all []solution
	for _, p := range c.pages {
		if p.IsExercises() {
			all = append(all, solutions(p, f)...)
		}
	}
	if len(all) == 0 && len(c.only) > 0 {
		f.note("exercises: none of these lessons has any; name their page, such as -lesson %s/EXERCISES.md", course.Stations[0].Step)
	}
	eachAtOnce(all, func(s solution) {
		if err := c.checkSolution(ctx, s); err != nil {
			f.page(s.page, s.line, "the solution of %q: %v", s.section.Title, err)
		}
	})
	return ctx.Err()
}

// solutions returns those of a page that consist of code.
func solutions(p *Page, f *Findings) []solution {
	var all []solution
	for _, b := range p.Blocks {
		if b.Info != "go" && b.Info != "diff" {
			continue
		}
		changes, err := changesOf(b)
		if err != nil {
			f.page(p, b.Line, "%v", err)
			continue
		}
		if n := len(all); n > 0 && all[n-1].section == b.Section {
			all[n-1].changes = append(all[n-1].changes, changes...)
			continue
		}
		all = append(all, solution{p, b.Section, b.Line, changes})
	}
	return all
}

// changesOf returns what a block changes: a diff has "# rpc/server.go" above the
// changes of each file; code is a file that the paragraph before it names.
func changesOf(b *lesson.Block) ([]change, error) {
	if b.Word(0) == "go" {
		i := slices.IndexFunc(b.Lead.Spans, func(s string) bool { return path.Ext(s) == ".go" && strings.Contains(s, "/") })
		if i < 0 {
			return nil, errors.New("the paragraph before the code does not name its file, such as `rpc/count_test.go`")
		}
		return []change{{b.Lead.Spans[i], b.Body, false, b.Line}}, nil
	}
	var changes []change
	line := b.Line
	for text := range strings.Lines(b.Body) {
		line++
		if name, ok := strings.CutPrefix(text, "# "); ok {
			changes = append(changes, change{file: strings.TrimSpace(name), diff: true, line: line})
			continue
		}
		if len(changes) == 0 {
			return nil, errors.New("the diff does not begin with its file: write \"# rpc/server.go\" above it")
		}
		changes[len(changes)-1].text += text
	}
	return changes, nil
}

func (c *Course) checkSolution(ctx context.Context, s solution) error {
	root, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(root)
	step := s.page.Folder()
	dir := filepath.Join(root, step)
	for _, folder := range []string{step, "testdata"} {
		if !exists(c.Root, folder) {
			continue
		}
		if err := os.CopyFS(filepath.Join(root, folder), os.DirFS(filepath.Join(c.Root, folder))); err != nil {
			return err
		}
	}
	packages := c.rooms(step)
	for _, change := range s.changes {
		if err := change.apply(dir); err != nil {
			return fmt.Errorf("line %d, %s: %w", change.line, change.file, err)
		}
		if folder := "./" + path.Dir(change.file); path.Ext(change.file) == ".go" && !slices.Contains(packages, folder) {
			packages = append(packages, folder)
		}
	}
	return s.test(ctx, dir, packages)
}

// test runs the tests of a copy with the solution. All have to pass; if the
// exercise speaks of red, those that it names may fail, and one of them does.
func (s solution) test(ctx context.Context, dir string, packages []string) error {
	alone := []string{"GOWORK=off"}
	red := s.red()
	args := packages
	if len(red) > 0 {
		args = append([]string{"-skip", "^(" + strings.Join(red, "|") + ")$"}, packages...)
	}
	out, passed, err := goTest(ctx, dir, alone, args...)
	switch {
	case err != nil:
		return err
	case !passed:
		return fmt.Errorf("tests fail with it:\n%s", short(out))
	}
	for _, test := range red {
		_, passed, err := goTest(ctx, dir, alone, append([]string{"-timeout", "10s", "-run", check.Pattern(test)}, packages...)...)
		if err != nil || !passed {
			return err
		}
	}
	if len(red) > 0 {
		return fmt.Errorf("it turns none of these red, of which the exercise speaks: %s", strings.Join(red, ", "))
	}
	return nil
}

// red returns the tests that the exercise names, if it speaks of red.
func (s solution) red() []string {
	var tests []string
	red := false
	for _, para := range s.page.Prose {
		if para.Section != s.section {
			continue
		}
		red = red || hasWord(para.Text, "red")
		for _, span := range para.Spans {
			if name := namedTest(span); strings.HasPrefix(name, "Test") && !slices.Contains(tests, name) {
				tests = append(tests, name)
			}
		}
	}
	if !red {
		return nil
	}
	return tests
}

// rooms returns the packages of a step, its checkpoints' left out, since a
// solution changes the step's last.
func (c *Course) rooms(step string) []string {
	var packages []string
	for _, room := range []string{"rpc", "cmd", "inventory", "orders"} {
		if exists(c.Root, step+"/"+room) {
			packages = append(packages, "./"+room+"/...")
		}
	}
	return packages
}

// apply makes the change in the step's copy at dir.
func (ch change) apply(dir string) error {
	file := filepath.Join(dir, filepath.FromSlash(ch.file))
	text, err := ch.of(file)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o666)
}

// of returns the text of file with the change. A diff of nothing but new lines
// makes a new file.
func (ch change) of(file string) (string, error) {
	if !ch.diff {
		return ch.text, nil
	}
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return newFile(ch.text)
	case err != nil:
		return "", err
	}
	text := strings.ReplaceAll(string(old), "\r\n", "\n")
	changed, err := patch.Apply(text, ch.text)
	if err == nil && changed == text {
		err = errors.New("it changes nothing")
	}
	return changed, err
}

// newFile returns the text of a diff that adds every line.
func newFile(diff string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(diff) {
		added, ok := strings.CutPrefix(line, "+")
		if !ok {
			return "", errors.New("there is no such file to change")
		}
		b.WriteString(added)
	}
	return b.String(), nil
}
