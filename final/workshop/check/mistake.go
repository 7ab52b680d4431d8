package check

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

// A Mistake is what is wrong in one folder, so that tests cannot run.
type Mistake struct {
	Folder string   // "rpc"
	Lines  []string // "rpc/client.go:12:3: undefined: Dial"; some go on below
	Stops  []string // the packages whose tests cannot run because of it
	starts bool     // it compiles, and fails before its first test
}

// String is the mistake in one line.
func (m Mistake) String() string {
	first, _, _ := strings.Cut(m.Lines[0], "\n")
	return m.what() + ": " + first
}

func (m Mistake) what() string {
	name := m.Folder
	if name == "." {
		name = "the folder itself"
	}
	if m.starts {
		return name + " does not start"
	}
	return name + " does not compile"
}

// Mistakes returns what has to be fixed before tests can run, one for each
// folder that a line names: a package that does not compile breaks all that use
// it.
func (r *Report) Mistakes() []Mistake {
	var all []Mistake
	add := func(line, pkg string, starts bool) {
		folder := folderOf(line, pkg)
		i := slices.IndexFunc(all, func(m Mistake) bool { return m.Folder == folder })
		if i < 0 {
			i = len(all)
			all = append(all, Mistake{Folder: folder, starts: starts})
		}
		if !slices.Contains(all[i].Lines, line) {
			all[i].Lines = append(all[i].Lines, line)
		}
		if pkg != "" && !slices.Contains(all[i].Stops, pkg) {
			all[i].Stops = append(all[i].Stops, pkg)
		}
	}
	for _, p := range r.Packages {
		for _, line := range p.Errors {
			add(line, p.Name, p.starts)
		}
	}
	for _, line := range r.Broken {
		add(line, "", false)
	}
	for i := range all {
		all[i].Lines = codeFirst(all[i].Lines)
	}
	return all
}

var placeOf = regexp.MustCompile(`^([^\s:]+\.go):\d+`)

// folderOf returns the folder of the file that a line names, or else that of the
// package it was said about.
func folderOf(line, pkg string) string {
	if m := placeOf.FindStringSubmatch(line); m != nil {
		return path.Dir(m[1])
	}
	if pkg == "" {
		return "."
	}
	return pkg
}

// inTest reports whether a line names a test's file.
func inTest(line string) bool {
	m := placeOf.FindStringSubmatch(line)
	return m != nil && strings.HasSuffix(m[1], "_test.go")
}

// codeFirst leaves out what is said about tests while the code beside them is
// wrong: the one often comes of the other.
func codeFirst(lines []string) []string {
	if code := slices.DeleteFunc(slices.Clone(lines), inTest); len(code) > 0 {
		return code
	}
	return lines
}

// Explained returns what is known of the mistakes beyond the compiler's words.
func (r *Report) Explained() []string {
	if r.RedIsRight == "" {
		return r.Help
	}
	return append([]string{r.RedIsRight + " The lesson says how: " + r.Target.Station.Page()}, r.Help...)
}

// mistakes prints what has to be fixed first.
func (p *Printer) mistakes(r *Report) {
	for i, m := range r.Mistakes() {
		p.mistakesOf(title(r, m, i), m.Lines)
	}
	for i, text := range r.Explained() {
		if i == 0 {
			fmt.Fprintln(p.W)
		}
		p.Paragraph(text)
	}
}

// title says what a mistake, the i-th, keeps from running.
func title(r *Report, m Mistake, i int) string {
	title := m.what()
	switch {
	case len(m.Stops) == 0: // it stops no test
	case !slices.ContainsFunc(r.Results, func(result Result) bool { return result.Status.ran() }):
		title += ", so no test can run"
	default:
		title += ", so no test of " + strings.Join(m.Stops, " or ") + " can run"
	}
	switch {
	case r.RedIsRight != "":
		return title + ":"
	case i == 0:
		return title + ". Fix this first:"
	}
	return title + ". Fix this, too:"
}

// lines returns those of all mistakes.
func lines(mistakes []Mistake) []string {
	var all []string
	for _, m := range mistakes {
		all = append(all, m.Lines...)
	}
	return all
}
