package check

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/fatih/color"
)

// A Printer writes reports.
type Printer struct {
	W       io.Writer
	Verbose bool                     // the whole output of a test that fails, in place of what matters of it
	Hint    func(test string) string // its first hint, or ""
}

// What is shown of a report at most, so that it can be taken in: the rest is
// counted.
const (
	maxDetailed = 8   // tests with details
	maxFailures = 2   // failures of a test
	maxLines    = 16  // lines of a diff, a session, a text
	maxStacks   = 3   // goroutines that wait
	maxFrames   = 5   // of a stack
	maxErrors   = 15  // lines about a package's mistakes
	maxWidth    = 400 // characters of a value
)

var (
	green = color.New(color.FgGreen).SprintFunc()
	red   = color.New(color.FgRed).SprintFunc()
	bold  = color.New(color.Bold).SprintFunc()
	faint = color.New(color.Faint).SprintFunc()
)

// Print writes the report: what does not compile, then the tests.
func (p *Printer) Print(r *Report) {
	p.mistakes(r)
	detailed := 0
	p.group("New in "+r.Target.Station.Name, r, true, &detailed)
	p.group("Carried over", r, false, &detailed)
	p.doubts(r)
	p.leftOut(r)
	if detailed > maxDetailed {
		fmt.Fprintf(p.W, "Only %d are explained here: go tool workshop check -run NAME explains another.\n\n", maxDetailed)
	}
	done, all := len(r.Passed()), len(r.Results)
	fmt.Fprintf(p.W, "%d of %s.\n", done, plural(all, "test passes", "tests pass"))
}

// mistakesOf prints lines, some of which go on below, under a title.
func (p *Printer) mistakesOf(title string, lines []string) {
	fmt.Fprintln(p.W, bold(title))
	p.lines("  ", strings.Split(strings.Join(lines, "\n"), "\n"), maxErrors)
	fmt.Fprintln(p.W)
}

func (p *Printer) paragraph(text string) { fmt.Fprintf(p.W, "%s\n\n", text) }

// group prints the tests that are new, or those that are not: of the latter,
// those that pass are only counted, as are all that could not run.
func (p *Printer) group(title string, r *Report, added bool, detailed *int) {
	var of []Result
	for _, result := range r.Results {
		if result.New == added {
			of = append(of, result)
		}
	}
	if len(of) == 0 {
		return
	}
	fmt.Fprintln(p.W, bold(title))
	passed, notCompiled, leftOut := 0, 0, 0
	for _, result := range of {
		switch {
		case result.Status == Passed && !added:
			passed++
		case result.Status == NotCompiled:
			notCompiled++
		case result.Status == LeftOut:
			leftOut++
		case result.Status != Missing:
			p.result(result, detailed)
		}
	}
	p.missing(of)
	if notCompiled > 0 {
		fmt.Fprintf(p.W, "  %s   %s, not compiled\n", red("to do"), plural(notCompiled, "test", "tests"))
	}
	if leftOut > 0 {
		fmt.Fprintf(p.W, "  %s   %s, not run\n", red("to do"), plural(leftOut, "test", "tests"))
	}
	if passed > 0 {
		fmt.Fprintf(p.W, "  %s  %s\n", green("passed"), plural(passed, "test", "tests"))
	}
	fmt.Fprintln(p.W)
}

// leftOut says why tests have not been run.
func (p *Printer) leftOut(r *Report) {
	isLeftOut := func(s Status) bool { return s == LeftOut }
	if n := len(r.names(isLeftOut)); n > 0 {
		hang := len(r.names(func(s Status) bool { return s == Hung }))
		p.paragraph(fmt.Sprintf("%d tests hang, probably for the same reason; %s not been run (go tool workshop check -run NAME runs one).",
			hang, plural(n, "other has", "others have")))
	}
}

// missing names the files whose tests are gone.
func (p *Printer) missing(of []Result) {
	gone := map[string]int{}
	for _, r := range of {
		if r.Status == Missing {
			gone[r.Test.File]++
		}
	}
	for _, file := range slices.Sorted(maps.Keys(gone)) {
		fmt.Fprintf(p.W, "  %s   %s of %s, not in your folder any more: the course's own file has %s\n",
			red("to do"), plural(gone[file], "test", "tests"), file, them(gone[file]))
	}
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func (p *Printer) result(r Result, detailed *int) {
	if r.Status == Passed {
		fmt.Fprintf(p.W, "  %s  %s\n", green("passed"), r.Test.Name)
		return
	}
	fmt.Fprintf(p.W, "  %s   %s\n", red("to do"), r.Test.Name)
	if *detailed++; *detailed > maxDetailed {
		return
	}
	p.details(r)
	p.field("hint", advice(r))
	if p.Hint == nil {
		return
	}
	if hint := p.Hint(r.Test.Name); hint != "" {
		p.field("hint", hint)
	}
}

// details prints why a test did not pass.
func (p *Printer) details(r Result) {
	if p.Verbose {
		p.lines("      ", strings.Split(strings.TrimRight(r.Output, "\n"), "\n"), 1<<20)
		return
	}
	for i, f := range r.Failures {
		if i == maxFailures {
			p.field("", fmt.Sprintf("and %d more: go tool workshop check -run %s -v shows all", len(r.Failures)-i, r.Test.Name))
			break
		}
		p.failure(f)
	}
	p.race(r)
	p.panic(r)
}

func (p *Printer) failure(f Failure) {
	place := f.Place
	if f.Test != "" {
		place += " in " + f.Test
	}
	p.field("at", place)
	p.field("", strings.Join(f.What, "\n"))
	p.field("expected", f.Expected)
	p.field("came", f.Came)
	p.field("", strings.Join(f.More, "\n"))
	p.field("message", f.Message)
}

func (p *Printer) race(r Result) {
	if r.Race == nil {
		return
	}
	p.field("race", "two goroutines use the same memory at once, and one of them writes:\n"+strings.Join(r.Race, "\n"))
}

// panic prints what ended the test's process, and where the learner's code was.
func (p *Printer) panic(r Result) {
	switch r.Status {
	case Hung:
		p.field("hung", "it was still running when its time was over ("+strings.TrimPrefix(r.Panic, "test timed out after ")+")")
		p.waiting(r.Stacks, "no goroutine of your code was found waiting: look for a loop that does not end")
	case Deadlocked:
		if len(r.Failures) > 0 {
			return // the test ended there, and left behind what it had started
		}
		p.field("stuck", deadlock(r.Panic))
		p.waiting(r.Stacks, "")
	case Panicked:
		p.field("panic", r.Panic)
		if len(r.Stacks) > 0 {
			p.field("in", firstFrames(r.Stacks[0]))
		}
	}
}

func deadlock(text string) string {
	if leaks(text) {
		return "the test has ended, but a goroutine that it started waits for ever"
	}
	return "every goroutine waits, and nothing can wake one"
}

// waiting shows where goroutines stand: those that wait in the learner's code, or
// else the test's own.
func (p *Printer) waiting(all []Goroutine, none string) {
	shown := stuck(all)
	for _, g := range shown[:min(len(shown), maxStacks)] {
		state, _, _ := strings.Cut(g.State, ", synctest bubble")
		p.field("in", strings.TrimSuffix(state, " (durable)")+"\n"+firstFrames(g))
	}
	switch more := len(shown) - maxStacks; {
	case len(shown) == 0:
		p.field("", none)
	case more > 0:
		p.field("", "and "+plural(more, "goroutine more", "goroutines more"))
	}
}

func firstFrames(g Goroutine) string {
	return strings.Join(g.Own[:min(len(g.Own), maxFrames)], "\n")
}

// field prints a label and a text of some lines beside it; nothing if the text is
// empty.
func (p *Printer) field(label, text string) {
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	fmt.Fprintf(p.W, "            %s %s\n", faint(fmt.Sprintf("%-9s", label)), short(lines[0]))
	p.lines(strings.Repeat(" ", 22), lines[1:], maxLines)
}

// lines prints the first n lines, and says how many are left out.
func (p *Printer) lines(indent string, lines []string, n int) {
	for i, line := range lines {
		if i == n {
			fmt.Fprintf(p.W, "%s… %s\n", indent, plural(len(lines)-n, "more line", "more lines"))
			return
		}
		fmt.Fprintf(p.W, "%s%s\n", indent, short(line))
	}
}

// short cuts a line that is too long to be read, at a character's end.
func short(line string) string {
	if utf8.RuneCountInString(line) <= maxWidth {
		return line
	}
	return string([]rune(line)[:maxWidth]) + "…"
}

// plural counts things.
func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
