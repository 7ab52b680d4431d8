package check

import (
	"context"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/procgroup"
)

// Status is how a test ended.
type Status string

// How a test can end. All but Passed, Lifted and Undecided are to do.
const (
	Passed      Status = "passed"
	Lifted      Status = "lifted"    // a pin whose limit the code does not have any more
	Undecided   Status = "undecided" // a pin that skips, but so it might since other tests fail
	Failed      Status = "failed"
	Panicked    Status = "panicked"
	Deadlocked  Status = "deadlocked"   // all goroutines of its synctest bubble wait
	Hung        Status = "hung"         // still running when its time was over
	Raced       Status = "raced"        // the race detector has found a data race
	NotCompiled Status = "not compiled" // its package does not
	LeftOut     Status = "left out"     // too many tests hung before its turn
	Missing     Status = "missing"      // the lesson's test is not in the folder
)

// done reports whether nothing is left to do.
func (s Status) done() bool { return s == Passed || s == Lifted }

// failed reports whether the test ran, and did not end well.
func (s Status) failed() bool { return s.ran() && !s.done() && s != Undecided }

// ran reports whether the test ran at all.
func (s Status) ran() bool { return s != NotCompiled && s != LeftOut && s != Missing }

// A Result is how one test went.
type Result struct {
	Test     course.Test
	New      bool // the station adds it
	Status   Status
	Lifted   string // of a pin that skips: the station whose code lifts it
	Stub     *Stub  // that the test called before it failed; nil: none
	Next     string // if Stub is set: the stub that the lesson has the learner write next; ""
	Time     time.Duration
	Failures []Failure
	Panic    string      // what it panicked with
	Case     string      // of a panic, a deadlock or a hang: the subtest that ran then; "" if none did
	Stacks   []Goroutine // of a panic, a deadlock or a hang: those in the learner's code
	Spins    string      // of a hang: the place of a loop that goes on when Accept fails
	Race     []string    // the two places of a data race
	calls    [][]string  // of each of them: the frames of the learner's code that lead there
	Output   string      // all of it, or its beginning and its end
	Cut      int         // how many bytes of the output were left out
}

// runTest runs one test in a process of its own: whatever it does, it hides no
// other test's result. Its error is of the machine.
func runTest(ctx context.Context, dir string, p *Package, t course.Test, o Options, c *converter) (Result, error) {
	begin := time.Now()
	output, cut, failed := runBinary(ctx, dir, p, t, o.Timeout, nil)
	stub, output := p.stubOf(output)
	r := Result{Test: t, Status: Passed, Time: time.Since(begin), Output: output, Cut: cut, Stub: stub}
	if failed == nil {
		if m := liftedLine.FindStringSubmatch(output); m != nil {
			r.Status, r.Lifted = Lifted, m[1]
		}
		return r, nil
	}
	if strings.Contains(output, "goroutine running on other thread; stack unavailable") {
		// Where it spins can only be seen if nothing else runs at the same time.
		if again, _, err := runBinary(ctx, dir, p, t, min(o.Timeout, againTimeout), []string{"GOMAXPROCS=1"}); err != nil {
			_, output = p.stubOf(again)
			failed = err
		}
	}
	events, err := c.events(ctx, output)
	if err != nil {
		return r, err
	}
	r.explain(dir, p.Name, events, failed)
	return r, nil
}

// runBinary runs one test of p, and returns what it prints, and how many bytes of that
// are left out.
func runBinary(ctx context.Context, dir string, p *Package, t course.Test, timeout time.Duration, env []string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+killAfter)
	defer cancel()
	cmd := command(ctx, filepath.Join(dir, p.Name), p.binary, "-test.v=test2json",
		"-test.run", Pattern(t.Name), "-test.timeout", timeout.String(), "-test.paniconexit0")
	cmd.Env = append(testEnv(), env...)
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	procgroup.End(cmd)   // programs that the test has started
	text := out.String() // which counts what is dropped
	return text, out.dropped, err
}

// againTimeout is how long a test that spins is run again.
const againTimeout = 3 * time.Second

// liftedLine is what a pin says when it skips, since the weakness that it shows
// is gone. In a synctest bubble, a test that skips ends as one that passes.
var liftedLine = regexp.MustCompile(`(?m)^ {4}[^\s:]+_test\.go:\d+: lifted: (\w+)`)

// killAfter is how much longer than its -test.timeout a test is waited for: it
// then prints its goroutines.
const killAfter = 10 * time.Second

// Only returns what Options.Run has to be for the tests of these names alone.
func Only(names ...string) *regexp.Regexp {
	var quoted []string
	for _, name := range names {
		quoted = append(quoted, regexp.QuoteMeta(name))
	}
	return regexp.MustCompile("^(" + strings.Join(quoted, "|") + ")$")
}

// Pattern is what -run wants to run that test and no other.
func Pattern(name string) string {
	var parts []string
	for part := range strings.SplitSeq(name, "/") {
		parts = append(parts, "^"+regexp.QuoteMeta(part)+"$")
	}
	return strings.Join(parts, "/")
}

var panicLine = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*)$`)

// explain fills r for a test that did not pass, from what its process did.
func (r *Result) explain(dir, pkg string, events []event, err error) {
	r.Status = Failed
	r.Output = text(events)
	r.Failures = failures(pkg, events)
	logsLast(dir, r.Failures)
	r.Failures = fold(r.Failures)
	traces := r.Output
	if at := panicLine.FindStringSubmatchIndex(r.Output); at != nil {
		r.Panic = strings.TrimSuffix(r.Output[at[2]:at[3]], " [recovered, repanicked]")
		traces = r.Output[at[0]:]
	}
	switch r.Race, r.calls = race(dir, r.Output); {
	case strings.HasPrefix(r.Panic, "test timed out after "):
		r.Status = Hung
	case strings.HasPrefix(r.Panic, "deadlock: "), strings.HasPrefix(r.Panic, "all goroutines are asleep - deadlock"):
		r.Status = Deadlocked
	case r.Race != nil:
		r.Status = Raced // a panic may well come of it
	case r.Panic != "":
		r.Status = Panicked
	}
	if r.Panic != "" {
		r.Case = runningCase(events)
		r.Stacks = goroutines(dir, traces)
		r.Spins = acceptLoop(dir, r.Stacks)
	} else if !r.found() && r.Race == nil {
		r.Failures = []Failure{{What: append([]string{"The test's process ended with " + err.Error() + "."}, lastLines(r.Output, 5)...)}}
	}
}

// runningCase returns the subtest that began last, unless it has ended well: after a
// panic, nothing else runs.
func runningCase(events []event) string {
	last := ""
	for _, e := range events {
		_, sub, _ := strings.Cut(e.Test, "/")
		switch {
		case sub == "": // of the test itself, or the process
		case e.Action == "run":
			last = sub
		case sub == last && (e.Action == "pass" || e.Action == "skip"):
			last = ""
		}
	}
	return last
}

// lastLines returns the last n lines of text.
func lastLines(text string, n int) []string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return lines[max(0, len(lines)-n):]
}

var raceLine = regexp.MustCompile(`(?m)^(?:Previous )?([Rr]ead|[Ww]rite|[Aa]tomic read|[Aa]tomic write) at 0x\S+ by (.*):$`)

// race returns, for the first data race that output reports, what each side did
// and where in the learner's code, and the frames of that code that lead there.
func race(dir, output string) (sides []string, calls [][]string) {
	_, report, ok := strings.Cut(output, "WARNING: DATA RACE\n")
	if !ok {
		return nil, nil
	}
	report, _, _ = strings.Cut(report, "\n==================")
	sides = []string{}
	parts := strings.Split(report, "\n\n")
	for _, part := range parts {
		if m := raceLine.FindStringSubmatch(part); m != nil {
			trace := frames(dir, strings.Split(part, "\n"))
			sides = append(sides, strings.ToLower(m[1])+side(dir, trace, m[2], parts))
			inCode := slices.DeleteFunc(own(trace), isTestFrame)
			calls = append(calls, inCode[min(1, len(inCode)):])
		}
	}
	return sides, calls
}

// side says where one side of a data race is: in the learner's code, or else in which
// function of another package, called in a goroutine that the learner's code started.
func side(dir string, trace []frame, goroutine string, parts []string) string {
	if all := own(trace); len(all) > 0 {
		return " at " + all[0]
	}
	where := " outside your code"
	if len(trace) > 0 {
		where = " in " + funcName(trace[0].call) + ", outside your code"
	}
	for _, other := range parts {
		if number, ok := strings.CutPrefix(other, "G"+strings.TrimPrefix(goroutine, "g")+" "); ok {
			if all := own(frames(dir, strings.Split(number, "\n"))); len(all) > 0 {
				return where + ", in the goroutine started at " + all[0]
			}
		}
	}
	return where
}
