package check

import (
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// A Failure is one thing that a test found wrong, or logged on its way there.
type Failure struct {
	Test     string   // the subtest's name, "" for the test itself
	Place    string   // "rpc/client_test.go:66"
	What     []string // in the test's words, where Expected and Got do not say it all
	Expected string   // "" where the assertion names none
	Got      string
	More     []string // testify's diff, without its headings; what the script did before
	Message  string   // what the test adds to its assertion

	Times int // how often the test said the same, if more than once

	asserted bool // by testify
	logged   bool // a line of t.Log, which is no failure
}

// isLog matches a line of a test that logs.
var isLog = regexp.MustCompile(`\.Logf?\(`)

// logsLast marks what is no failure, and puts it behind the failures. What a test
// prints does not tell the two apart, but its source does.
func logsLast(dir string, all []Failure) {
	for i := range all {
		all[i].logged = isLog.MatchString(sourceLine(dir, all[i].Place))
	}
	slices.SortStableFunc(all, func(a, b Failure) int { return first(!a.logged) - first(!b.logged) })
}

// fold counts failures that are equal: those of a loop without subtests.
func fold(all []Failure) []Failure {
	var folded []Failure
	for _, f := range all {
		i := slices.IndexFunc(folded, func(g Failure) bool { g.Times = 0; return reflect.DeepEqual(f, g) })
		if i < 0 {
			folded = append(folded, f)
			continue
		}
		folded[i].Times = max(folded[i].Times, 1) + 1
	}
	return folded
}

// found reports whether the test itself found something wrong.
func (r Result) found() bool {
	return slices.ContainsFunc(r.Failures, func(f Failure) bool { return !f.logged })
}

var logLine = regexp.MustCompile(`^ {4}([^\s:]+\.go):(\d+): ?(.*)$`)

// failures returns what one top-level test of the package in folder pkg found
// wrong, or logged on its way there. What subtests that pass have logged is left
// out.
func failures(pkg string, events []event) []Failure {
	var found []Failure
	for _, e := range entries(events) {
		m := logLine.FindStringSubmatch(e.lines[0])
		if m[1] == "testing.go" {
			continue // what the race detector and panics add is told elsewhere
		}
		e.lines[0] = m[3]
		_, sub, _ := strings.Cut(e.test, "/")
		f := Failure{Test: sub, Place: path.Join(pkg, m[1]) + ":" + m[2]}
		switch {
		case m[1] == "testscript.go":
			f.readScript(pkg, e.lines)
		case isTestify(e.lines):
			f.readTestify(e.lines)
		default:
			f.What = dedent(e.lines)
		}
		found = append(found, f)
	}
	return found
}

// An entry is what a test has logged at once: the first line names the place.
type entry struct {
	test  string
	lines []string
}

// entries returns what was logged by tests that do not pass.
func entries(events []event) []entry {
	well := map[string]bool{}
	for _, e := range events {
		if e.Action == "pass" || e.Action == "skip" {
			well[e.Test] = true
		}
	}
	var all []entry
	within := false
	for _, e := range events {
		line := strings.TrimRight(e.Output, "\r\n")
		switch {
		case e.Action != "output" || well[e.Test] || line == "":
		case logLine.MatchString(line):
			all = append(all, entry{e.Test, []string{line}})
			within = true
		case within && strings.HasPrefix(line, "    ") && all[len(all)-1].test == e.Test:
			all[len(all)-1].lines = append(all[len(all)-1].lines, line)
		default: // FAIL, a panic, what the code under test prints
			within = false
		}
	}
	return all
}

// dedent takes the testing package's indentation off all lines but the first,
// and empty lines off the end.
func dedent(lines []string) []string {
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.TrimPrefix(lines[i], "        ")
	}
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

var scriptFail = regexp.MustCompile(`^FAIL: (.*\.txtar):(\d+): (.*)$`)

// readScript reads what testscript logs: the script's session so far, then a
// line FAIL. The session's last part, which a comment begins, is what matters.
func (f *Failure) readScript(pkg string, lines []string) {
	lines = dedent(lines)
	for i, line := range lines {
		m := scriptFail.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "# ") {
				f.More = nil
			}
			f.More = append(f.More, line)
			continue
		}
		f.Test = "" // the script is the test
		f.Place = path.Join(pkg, strings.ReplaceAll(m[1], `\`, "/")) + ":" + m[2]
		f.What = append([]string{m[3]}, lines[i+1:]...)
		f.More = dedent(f.More)
		if cut := len(f.More) - maxLines; cut > 0 { // its end explains the failure
			f.More = append([]string{"…"}, f.More[cut+1:]...)
		}
		return
	}
	f.What, f.More = lines, nil
}
