package check

import (
	"path"
	"regexp"
	"strings"
)

// A Failure is one thing that a test found wrong, or logged on its way there.
type Failure struct {
	Test     string   // the subtest's name, "" for the test itself
	Place    string   // "rpc/client_test.go:66"
	What     []string // in the test's words, where Expected and Came do not say it all
	Expected string   // "" where the assertion names none
	Came     string
	More     []string // testify's diff, without its headings; what the script did before
	Message  string   // what the test adds to its assertion
}

var (
	failLine = regexp.MustCompile(`^( *)--- FAIL: (\S+) \(`)
	logLine  = regexp.MustCompile(`^( +)([^\s:]+\.go):(\d+): ?(.*)$`)
)

// failures reads the output of one top-level test of the package in folder pkg,
// as the testing package writes it without -v: "--- FAIL" lines, and below each,
// indented by four more, what was logged.
func failures(pkg, output string) []Failure {
	var found []Failure
	sub, indent := "", 0
	for _, entry := range entries(output) {
		if m := failLine.FindStringSubmatch(entry[0]); m != nil {
			_, sub, _ = strings.Cut(m[2], "/")
			indent = len(m[1]) + 4
			continue
		}
		m := logLine.FindStringSubmatch(entry[0])
		if m[2] == "testing.go" || indent == 0 {
			continue // what the race detector and panics add is told elsewhere
		}
		if len(m[1]) < indent { // back in an outer test
			sub, indent = outer(sub, (indent-len(m[1]))/4), len(m[1])
		}
		entry[0] = m[4]
		f := Failure{Test: sub, Place: path.Join(pkg, m[2]) + ":" + m[3]}
		switch {
		case m[2] == "testscript.go":
			f.readScript(pkg, entry)
		case isTestify(entry):
			f.readTestify(entry)
		default:
			f.What = dedent(entry)
		}
		found = append(found, f)
	}
	return found
}

// entries splits output into its "--- FAIL" lines and what was logged, each with
// the lines that go on below it.
func entries(output string) [][]string {
	var all [][]string
	within := false
	for line := range strings.Lines(output) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case failLine.MatchString(line) || logLine.MatchString(line):
			all = append(all, []string{line})
			within = true
		case within && strings.HasPrefix(line, "    "):
			all[len(all)-1] = append(all[len(all)-1], line)
		case line != "": // FAIL, a panic
			within = false
		}
	}
	return all
}

// outer takes the last n parts off a subtest's name.
func outer(name string, n int) string {
	parts := strings.Split(name, "/")
	return strings.Join(parts[:max(0, len(parts)-n)], "/")
}

// dedent takes the testing package's indentation off all lines but the first,
// and empty lines off the end.
func dedent(lines []string) []string {
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.TrimLeft(lines[i], " ")
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
