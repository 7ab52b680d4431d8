package check

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Goroutine is what a stack trace says of one: what it waits for, and where it
// stands in the learner's own code, innermost first.
type Goroutine struct {
	State string   // "chan receive, 2 minutes"
	Own   []string // "rpc/client.go:40 in (*Client).Call"
}

var (
	goroutineLine = regexp.MustCompile(`^goroutine \d+ .*\[(.*)\]:$`)
	frameLine     = regexp.MustCompile(`^\s+(.*\.go):(\d+)(?: \+0x[0-9a-f]+)?$`)
	funcArgs      = regexp.MustCompile(`\([^()]*\)$`)
)

// goroutines reads the stack traces in output. Frames outside dir are left out,
// and goroutines that have none inside.
func goroutines(dir, output string) []Goroutine {
	var found []Goroutine
	lines := strings.Split(output, "\n")
	for i := 0; i < len(lines); i++ {
		m := goroutineLine.FindStringSubmatch(strings.TrimRight(lines[i], "\r"))
		if m == nil {
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != "" {
			end++
		}
		if own := ownFrames(dir, lines[i+1:end]); len(own) > 0 {
			found = append(found, Goroutine{m[1], own})
		}
		i = end
	}
	return found
}

// ownFrames returns the frames of a trace that stand in files below dir. A frame
// is two lines: the function, then the file.
func ownFrames(dir string, lines []string) []string {
	var own []string
	for i := 1; i < len(lines); i++ {
		m := frameLine.FindStringSubmatch(strings.TrimRight(lines[i], "\r"))
		if m == nil {
			continue
		}
		if file, ok := below(dir, m[1]); ok {
			own = append(own, file+":"+m[2]+" in "+funcName(lines[i-1]))
		}
	}
	return own
}

// funcName shortens "example.com/x/rpc.(*Server).Serve(0xc000…)" to
// "(*Server).Serve".
func funcName(line string) string {
	line = strings.TrimSpace(line)
	by := ""
	if rest, ok := strings.CutPrefix(line, "created by "); ok {
		line, _, _ = strings.Cut(rest, " in goroutine")
		by = ", where it was started"
	}
	line = funcArgs.ReplaceAllString(line, "")
	line = line[strings.LastIndexByte(line, '/')+1:]
	if _, name, ok := strings.Cut(line, "."); ok {
		line = name
	}
	return line + by
}

// below returns file, as a stack trace has it, relative to dir; false if it is
// not in it.
func below(dir, file string) (string, bool) {
	for _, d := range []string{dir, resolved(dir)} {
		if rel, ok := strings.CutPrefix(filepath.ToSlash(file), filepath.ToSlash(d)+"/"); ok {
			return rel, true
		}
	}
	return "", false
}

// resolved returns dir without symbolic links, which the compiler may have
// followed (a temporary folder of macOS is behind one).
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// isTestFrame reports whether an own frame stands in a test's file.
func isTestFrame(frame string) bool {
	file, _, _ := strings.Cut(frame, ":")
	return strings.HasSuffix(file, "_test.go")
}

// stuck returns the goroutines to show for a test that waits for ever: those with
// a frame in the code under test, first those that stand in it themselves and not
// in what a test has lent it. If there are none, one that stands in the test.
func stuck(all []Goroutine) []Goroutine {
	var standing, passing, inTest []Goroutine
	for _, g := range all {
		switch {
		case !isTestFrame(g.Own[0]):
			standing = append(standing, g)
		case slices.ContainsFunc(g.Own, isCodeFrame):
			passing = append(passing, g)
		case g.State != "running": // the one that runs is that which ended the test
			inTest = append(inTest, g)
		}
	}
	if inCode := append(standing, passing...); len(inCode) > 0 {
		return inCode
	}
	if len(inTest) == 0 {
		inTest = all
	}
	return inTest[:min(len(inTest), 1)]
}

func isCodeFrame(frame string) bool { return !isTestFrame(frame) }
