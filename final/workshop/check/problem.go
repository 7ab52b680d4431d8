package check

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Problem is one thing to fix, as editors and graders read it.
type Problem struct {
	Place   string `json:"place"` // "rpc/server.go:43:1"
	Message string `json:"message"`
}

func (p Problem) String() string { return p.Place + ": " + p.Message }

// Problems returns what is wrong. Tests that failed for the same reason are together.
// Last, where the eye is, comes what to look at first: what does not compile, or else
// what First returns for hint.
func (r *Report) Problems(hint func(test string) string) []Problem {
	var all []Problem
	groups, last := r.failedGroups(r.First(hint))
	for _, result := range groups {
		all = append(all, r.ProblemsOf(result)...)
	}
	for _, d := range r.Doubts {
		p := problemOf(d.Text)
		p.Message = "go vet: " + p.Message
		all = append(all, p)
	}
	for _, result := range last {
		all = append(all, r.ProblemsOf(result)...)
	}
	for _, m := range slices.Backward(r.Mistakes()) {
		for _, line := range m.Lines {
			all = append(all, problemOf(line))
		}
	}
	return all
}

// failedGroups returns the tests that are missing, and those that failed, by cause.
// Those with the cause of first are last, and first is the last of them.
func (r *Report) failedGroups(first *Result) (others, last []Result) {
	var failed []Result
	for _, result := range r.Results {
		switch {
		case result.Status == Missing:
			others = append(others, result)
		case result.Status.failed() && (first == nil || !result.Test.Same(first.Test)):
			failed = append(failed, result)
		}
	}
	for _, g := range groups(failed) {
		if first != nil && causeKey(g.results[0]) == causeKey(*first) {
			last = append(last, g.results...)
			continue
		}
		others = append(others, g.results...)
	}
	if first != nil {
		last = append(last, *first)
	}
	return others, last
}

// problemOf reads a line of the compiler or of vet, which may go on below.
func problemOf(line string) Problem {
	line = clean(strings.Join(strings.Fields(line), " "))
	place, text, ok := strings.Cut(line, ": ")
	if !ok || !placeOf.MatchString(place) {
		return Problem{"go.mod:1:1", line}
	}
	return Problem{withColumn(place), text}
}

// withColumn adds the column to "rpc/server.go:43".
func withColumn(place string) string {
	if strings.Count(place[strings.LastIndexByte(place, '.'):], ":") < 2 {
		place += ":1"
	}
	return place
}

// ProblemsOf returns why one test is not done; nothing if it is.
func (r *Report) ProblemsOf(result Result) []Problem {
	add := func(place, sub, message string) Problem {
		if place == "" {
			place = placeOfTest(r.Target.Dir, result)
		}
		name := result.Test.Name
		if sub != "" {
			name += "/" + sub
		}
		return Problem{withColumn(place), name + ": " + message}
	}
	switch result.Status {
	case Passed, Lifted, Undecided:
		return nil
	case NotCompiled:
		return []Problem{add("", "", "not compiled: "+mistakeOf(r, result))}
	case LeftOut:
		return []Problem{add("", "", "not run, since too many tests hang")}
	case Missing:
		return []Problem{add("", "", "not in the folder any more: the course has it")}
	}
	if message := cause(result); result.Status != Failed && (result.Status != Deadlocked || !result.found()) {
		return []Problem{add(guilty(result), result.Case, message)}
	}
	var all []Problem
	for _, f := range result.Failures {
		if f.logged && result.found() {
			continue
		}
		message := f.message(inLine)
		if f.Times > 1 {
			message += fmt.Sprintf(" (%d times)", f.Times)
		}
		if result.Stub != nil && !strings.Contains(message, result.Stub.String()) {
			message += " (" + result.Stub.String() + ", at " + result.Stub.Place + ")"
		}
		all = append(all, add(f.Place, f.Test, message))
	}
	if len(all) == 0 {
		return []Problem{add(guilty(result), "", cause(result))} // such as a pin that only a stub has lifted
	}
	return all
}

// mistakeOf returns what keeps a test from being compiled.
func mistakeOf(r *Report, result Result) string {
	for _, m := range r.Mistakes() {
		for _, pkg := range m.Stops {
			if pkg == result.Test.Package {
				return problemOf(m.Lines[0]).String()
			}
		}
	}
	return "its package"
}

// guilty returns the place in the learner's code that a race, a hang or a panic
// is about, "" if there is none.
func guilty(r Result) string {
	frame := ""
	switch shown := stuck(r.Stacks); {
	case r.Stub != nil:
		return r.Stub.Place
	case r.Spins != "":
		return r.Spins
	case r.Status == Raced:
		frame = ownSide(r.Race)
	case r.Status == Panicked && len(r.Stacks) > 0:
		frame = r.Stacks[0].codeFrame()
	case len(shown) > 0:
		frame = shown[0].codeFrame()
	}
	place, _, _ := strings.Cut(frame, " ")
	if !placeOf.MatchString(place) {
		return ""
	}
	return place
}

// ownSide returns where in the learner's code a data race is: the first side that is
// there, or else where the goroutine of one was started.
func ownSide(sides []string) string {
	started := ""
	for _, side := range sides {
		how, at, ok := strings.Cut(side, " at ")
		if ok && !strings.Contains(how, "outside") {
			return at
		}
		started = at
	}
	return started
}

// placeOfTest returns where a test begins.
func placeOfTest(dir string, r Result) string {
	if !r.Test.IsScript() {
		text, _ := os.ReadFile(filepath.Join(dir, filepath.FromSlash(r.Test.File)))
		if at := bytes.Index(text, []byte("\nfunc "+r.Test.Name+"(")); at >= 0 {
			return r.Test.File + ":" + strconv.Itoa(bytes.Count(text[:at+1], []byte("\n"))+1)
		}
	}
	return r.Test.File + ":1"
}
