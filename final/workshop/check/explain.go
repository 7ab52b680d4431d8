package check

import (
	"strings"
)

// An Explanation is what there is to say of a test that is not done, for a page: the
// texts are as short as those of a Printer.
type Explanation struct {
	Cause    string // in a line
	Failures []Failure
	More     int // failures that are left out
	Case     string
	Stub     *Stub
	Ended    string      // how a panic, a hang or a deadlock ended the test; "" if none did
	Waiting  []Goroutine // those that explain it, the one to look at first before the others
	Others   int         // goroutines that are left out
	Race     []string    // the sides of a data race, with the calls that lead there
	Hint     string      // about how it ended; "" if the test's own hints have to do
	Cut      int         // bytes of its output that were left out
}

// Explain says why a test is not done.
func (r *Report) Explain(result Result) Explanation {
	e := Explanation{Cause: cause(result), Case: result.Case, Stub: result.Stub, Cut: result.Cut}
	if !result.Status.ran() {
		e.Cause = string(result.Status)
		return e
	}
	for _, f := range result.Failures[:min(len(result.Failures), maxFailures)] {
		e.Failures = append(e.Failures, f.shown())
	}
	e.More = len(result.Failures) - len(e.Failures)
	if hints := r.hints(result); len(hints) > 0 {
		e.Hint = hints[0]
	}
	if result.Race != nil {
		e.Race = sides(result)
	}
	if result.Stub == nil { // else what waits or panics is none of the code's
		e.end(result)
	}
	return e
}

// end says how a panic, a deadlock or a hang ended the test.
func (e *Explanation) end(r Result) {
	var shown []Goroutine
	switch {
	case r.Status == Deadlocked && r.found():
		return
	case r.Status == Hung:
		e.Ended = "still running when its time was over (" + strings.TrimPrefix(r.Panic, "test timed out after ") + ")"
		shown = stuck(r.Stacks)
	case r.Status == Deadlocked:
		e.Ended = deadlock(r.Panic)
		shown = stuck(r.Stacks)
	case r.Status == Panicked:
		e.Ended = "panic: " + r.Panic
		shown = r.Stacks[:min(len(r.Stacks), 1)]
	}
	for i, g := range shown {
		if i >= maxStacks {
			e.Others += g.Count
			continue
		}
		g.State, g.Own = g.state(), g.Own[:min(len(g.Own), maxFrames)]
		e.Waiting = append(e.Waiting, g)
	}
}

// shown is the failure with its texts cut to what can be taken in.
func (f Failure) shown() Failure {
	f.What = limited(strings.Split(middle(strings.Join(f.What, "\n"), maxWidth), "\n"))
	f.Expected, f.Got = window(f.Expected, f.Got, maxWidth)
	f.More = limited(pairs(f.More))
	f.Message = middle(f.Message, maxWidth)
	return f
}

// limited returns the first lines of a text.
func limited(lines []string) []string {
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	if len(lines) <= maxLines {
		return lines
	}
	return append(lines[:maxLines:maxLines], "… "+plural(len(lines)-maxLines, "more line", "more lines"))
}

// IsLog reports whether f is what the test logged, and no failure.
func (f Failure) IsLog() bool { return f.logged }

// Tally counts the tests in a line: those that pass, and why the others do not.
func (r *Report) Tally() string { return r.tally() }

// Done reports whether nothing is left to do.
func (s Status) Done() bool { return s.done() }

// Failed reports whether the test ran, and did not end well.
func (s Status) Failed() bool { return s.failed() }

// PlaceOf returns where an editor has to look for a test that is not done:
// "rpc/server.go:43:1".
func (r *Report) PlaceOf(result Result) string {
	if place := guilty(result); place != "" {
		return place
	}
	for _, f := range result.Failures {
		if f.Place != "" && !f.logged {
			return f.Place
		}
	}
	return placeOfTest(r.Target.Dir, result)
}
