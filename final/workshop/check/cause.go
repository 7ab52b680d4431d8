package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A group is tests that failed for the same reason.
type group struct {
	cause   string
	results []Result
}

// groups sorts results by what went wrong, in the order in which each first did.
func groups(results []Result) []group {
	var all []group
	at := map[string]int{}
	for _, r := range results {
		key := causeKey(r)
		i, known := at[key]
		if !known {
			i = len(all)
			at[key] = i
			all = append(all, group{cause: cause(r)})
		}
		all[i].results = append(all[i].results, r)
	}
	return all
}

// yours is what a stub says, wherever it comes out.
var yours = regexp.MustCompile(`([\w.]+) is yours to write`)

// number matches what differs in the texts of panics that have one cause.
var number = regexp.MustCompile(`\d+`)

// causeKey is the same for tests that most likely failed for the same reason.
func causeKey(r Result) string {
	if r.Stub == nil && r.Status == Panicked && len(r.Stacks) > 0 {
		return number.ReplaceAllString(r.Panic, "0") + whereStuck(r)
	}
	return cause(r)
}

// cause says in a line why a test did not pass. Tests with the same line most
// likely fail for the same reason.
func cause(r Result) string {
	if r.Stub != nil {
		return r.Stub.String()
	}
	switch r.Status {
	case Hung:
		if shown := stuck(r.Stacks); r.Spins == "" && hasCode(shown) && shown[0].works() {
			return "takes too long: still at work at " + shown[0].codeFrame()
		}
		return "hangs" + whereStuck(r)
	case Deadlocked:
		if !r.found() {
			return deadlock(r.Panic) + whereStuck(r)
		}
	case Panicked:
		return "panics: " + r.Panic + whereStuck(r)
	case Raced:
		return "data race: " + strings.Join(r.Race, ", ")
	}
	for _, f := range r.Failures {
		if m := yours.FindString(f.message(maxWidth)); m != "" {
			return m
		}
	}
	if r.raceOfProgram() {
		return "data race in a program that the script runs (exit status 66)"
	}
	return r.main().message(inList)
}

// raceOfProgram reports whether the race detector has ended a program of a script: its
// exit status is all that the script gets.
func (r Result) raceOfProgram() bool {
	return r.Test.IsScript() && slices.ContainsFunc(r.Failures, func(f Failure) bool { return slices.Contains(f.What, "exit status 66") })
}

// whereStuck names the place that explains a hang, a deadlock or a panic.
func whereStuck(r Result) string {
	shown := r.Stacks
	if r.Status != Panicked {
		shown = stuck(r.Stacks)
	}
	switch {
	case r.Spins != "":
		return ": the loop at " + r.Spins + " goes on when Accept fails"
	case r.Status == Hung && r.Test.IsScript() && !hasCode(shown):
		return ": the script waits for a program that does not end"
	case len(shown) == 0:
		return ""
	case r.Status == Panicked:
		return ", at " + shown[0].codeFrame()
	case shown[0].Panic != "":
		return ": " + shown[0].Panic + " at " + shown[0].codeFrame() + " waits for a " + shown[0].State
	}
	return ": " + shown[0].State + " at " + shown[0].codeFrame()
}

// codeFrame is the innermost frame in the code under test, or else in the test.
func (g Goroutine) codeFrame() string {
	for _, frame := range g.Own {
		if isCodeFrame(frame) {
			return frame
		}
	}
	return g.Own[0]
}

// main returns the failure that says most: an assertion's, not what a test has
// logged before it.
func (r Result) main() Failure {
	for _, f := range r.Failures {
		if f.Expected != "" || f.Got != "" || f.asserted {
			return f
		}
	}
	if len(r.Failures) == 0 {
		return Failure{What: []string{string(r.Status)}}
	}
	return r.Failures[0]
}

// inList is how many characters of a value the list of causes shows.
const inList = 60

// inLine is how many the line of a problem shows: an editor lists it in a row.
const inLine = 160

// message is the failure in one line, with at most width characters of a value.
func (f Failure) message(width int) string {
	var parts []string
	add := func(format, text string) {
		if text = strings.Join(strings.Fields(text), " "); text != "" {
			parts = append(parts, fmt.Sprintf(format, text))
		}
	}
	expected, got := window(f.Expected, f.Got, width)
	add("%s", middle(strings.TrimSuffix(strings.Join(f.What, " "), ":"), width))
	switch {
	case expected != "" && got != "":
		parts = append(parts, fmt.Sprintf("expected %s, got %s", flat(expected), flat(got)))
	default:
		add("expected %s", expected)
		add("got %s", got)
	}
	add("%s", middle(f.Message, width))
	return clean(strings.Join(parts, ": "))
}

// flat puts a text into one line.
func flat(text string) string { return strings.Join(strings.Split(text, "\n"), " ") }
