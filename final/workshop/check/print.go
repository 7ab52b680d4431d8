package check

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/charmbracelet/x/ansi"
	"github.com/fatih/color"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/wrap"
)

// A Printer writes reports for people.
type Printer struct {
	W       io.Writer
	Width   int                      // columns to fit into; 0: as many as it takes
	Verbose bool                     // the whole output of the test that is explained
	Hint    func(test string) string // its first hint, or ""; nil: there are none
}

// What is shown of a report at most, so that it can be taken in: the rest is
// counted.
const (
	maxFailures = 2   // failures of a test
	maxLines    = 16  // lines of a diff, a session, a text
	maxStacks   = 3   // goroutines that wait
	maxFrames   = 5   // of a stack
	maxErrors   = 15  // lines about a package's mistakes
	maxWidth    = 400 // characters of a value
	maxCause    = 300 // characters of a cause in the list
)

var (
	green = color.New(color.FgGreen).SprintFunc()
	red   = color.New(color.FgRed).SprintFunc()
	bold  = color.New(color.Bold).SprintFunc()
	faint = color.New(color.Faint).SprintFunc()
)

// Header says what is checked.
func (p *Printer) Header(t Target) {
	p.Paragraph(fmt.Sprintf("%s %s: %s", t.Station.Name, t.Station.Title, t.Dir))
}

// Print writes the report: the tests, what does not compile, and last, where the
// eye is, the first failure with all that is known of it. It returns the name of
// the test whose hint it has shown, "" if none.
func (p *Printer) Print(r *Report) (hinted string) {
	p.section("New in "+r.Target.Station.Name, r, true)
	p.section("Carried over", r, false)
	p.leftOut(r)
	p.wrapped("", "", fmt.Sprint, r.tally())
	p.doubts(r)
	p.mistakes(r)
	if len(r.Mistakes()) > 0 {
		return "" // fixed first
	}
	return p.first(r)
}

// tally counts each test once: those that pass, and why the others do not.
func (r *Report) tally() string {
	text := fmt.Sprintf("%d of %s", len(r.Passed()), plural(len(r.Results), "test passes", "tests pass"))
	if n := r.count(Lifted); n > 0 {
		text += ", " + strconv.Itoa(n) + " of them by lifting " + one(n, "its", "their") + " limit"
	}
	for _, part := range []struct {
		n         int
		one, many string
	}{
		{len(r.names(Status.failed)), "fails", "fail"},
		{r.count(Missing), "is missing", "are missing"},
		{r.count(NotCompiled), "does not compile", "do not compile"},
		{r.count(LeftOut), "has not been run", "have not been run"},
		{r.count(Undecided), "skips", "skip"},
	} {
		if part.n > 0 {
			text += "; " + plural(part.n, part.one, part.many)
		}
	}
	return text + "."
}

// count returns how many tests ended so.
func (r *Report) count(s Status) int { return len(r.names(func(t Status) bool { return t == s })) }

// First returns the test to look at first: the first that failed, but rather one
// with a hint. Nil if all have passed, or none has run.
func (r *Report) First(hint func(test string) string) *Result {
	var first *Result
	for _, result := range r.byPiece() {
		switch {
		case !result.Status.failed():
		case hint == nil || hint(result.Test.Name) != "":
			return result
		case first == nil:
			first = result
		}
	}
	return first
}

// first explains one failure.
func (p *Printer) first(r *Report) (hinted string) {
	first := r.First(p.Hint)
	if first == nil {
		return ""
	}
	fmt.Fprintln(p.W)
	p.wrapped("", "", bold, "Begin with "+first.Test.Name)
	p.details(*first)
	hint := ""
	if of := r.hints(*first); len(of) > 0 {
		hint = of[0]
	} else if p.Hint != nil {
		hint = p.Hint(first.Test.Name)
	}
	if hint == "" {
		return ""
	}
	p.field("hint", hint)
	return first.Test.Name
}

// section prints the tests that are new, or those that are not: of the latter,
// those that pass are only counted, as are all that could not run.
func (p *Printer) section(title string, r *Report, added bool) {
	var of, failed []Result
	count := map[Status]int{}
	for _, result := range r.Results {
		if result.New == added {
			of = append(of, result)
			count[result.Status]++
		}
	}
	if len(of) == 0 {
		return
	}
	fmt.Fprintln(p.W, bold(title))
	for _, result := range of {
		switch {
		case result.Status == Passed && added:
			p.entry(green("passed"), result.Test.Name)
		case result.Status == Lifted:
			p.wrapped("  "+green("lifted")+"  ", "          ", green, result.Test.Name+" ("+result.Lifted+"): "+lifted(r.Target.Station, result.Lifted))
		case result.Status == Undecided:
			p.entry(faint("skips "), result.Test.Name+": "+undecided)
		case result.Status.failed():
			failed = append(failed, result)
		}
	}
	for _, g := range groups(failed) {
		p.group(g)
	}
	p.missing(of)
	p.counted(red("to do "), count[NotCompiled], "not compiled")
	p.counted(red("to do "), count[LeftOut], "not run")
	if !added {
		p.counted(green("passed"), count[Passed], "")
	}
	fmt.Fprintln(p.W)
}

// group prints tests that failed for one reason.
func (p *Printer) group(g group) {
	cause := string([]rune(g.cause)[:min(len([]rune(g.cause)), maxCause)])
	if cause != g.cause {
		cause += "…"
	}
	if len(g.results) == 1 {
		p.entry(red("to do "), g.results[0].Test.Name+": "+cause)
		return
	}
	p.entry(red("to do "), fmt.Sprintf("%d tests: %s", len(g.results), cause))
	var names []string
	for _, r := range g.results {
		names = append(names, r.Test.Name)
	}
	p.wrapped("          ", "          ", faint, strings.Join(names, " "))
}

// counted says how many tests ended in one way.
func (p *Printer) counted(label string, n int, how string) {
	if n == 0 {
		return
	}
	text := plural(n, "test", "tests")
	if how != "" {
		text += ", " + how
	}
	p.entry(label, text)
}

// entry prints a line of the list: a label of six letters, and a text.
func (p *Printer) entry(label, text string) {
	p.wrapped("  "+label+"  ", "          ", fmt.Sprint, text)
}

// lifted says what it means that a pin's limit is gone.
func lifted(at course.Station, by string) string {
	s, err := course.Find(by)
	if err == nil && course.Index(s) > course.Index(at) {
		return "your code does what " + by + " adds, so you are ahead"
	}
	return "your code no longer has this limit"
}

// undecided says why a pin that skips does not count as lifted.
const undecided = "whether your code has lifted its limit shows when the other tests pass"

// leftOut says why tests have not been run.
func (p *Printer) leftOut(r *Report) {
	if n := r.count(LeftOut); n > 0 {
		p.Paragraph(fmt.Sprintf("%s, probably for the same reason; %s not been run (\"go tool workshop check -run NAME\" runs one).",
			plural(r.count(Hung), "test hangs", "tests hang"), plural(n, "other has", "others have")))
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
		p.entry(red("to do "), fmt.Sprintf("%s of %s, not in your folder any more: the course has the file",
			plural(gone[file], "test", "tests"), file))
	}
}

// details prints why a test did not pass.
func (p *Printer) details(r Result) {
	if p.Verbose {
		p.lines("  ", strings.Split(strings.TrimRight(r.Output, "\n"), "\n"), 1<<20)
		return
	}
	for i, f := range r.Failures {
		if i == maxFailures {
			p.field("", fmt.Sprintf("and %d more: \"go tool workshop check -run %s -v\" shows all", len(r.Failures)-i, r.Test.Name))
			break
		}
		p.failure(f)
	}
	p.race(r)
	if r.Stub != nil {
		p.field("stub", r.Stub.String()+", at "+r.Stub.Place)
		return // what waits or panics then is none of the code's
	}
	p.panic(r)
}

func (p *Printer) failure(f Failure) {
	label, place := "at", f.Place
	if f.logged {
		label = "logged at"
	}
	if f.Test != "" {
		place += " in " + f.Test
	}
	if f.Times > 1 {
		place += fmt.Sprintf(", %d times", f.Times)
	}
	p.field(label, place)
	p.field("", middle(strings.Join(f.What, "\n"), maxWidth))
	expected, got := window(f.Expected, f.Got, maxWidth)
	p.field("expected", expected)
	p.field("got", got)
	p.field("", strings.Join(pairs(f.More), "\n"))
	p.field("message", middle(f.Message, maxWidth))
}

func (p *Printer) race(r Result) {
	if r.Race == nil {
		return
	}
	p.field("race", "two goroutines use the same memory at once, and one of them writes:\n"+strings.Join(sides(r), "\n"))
}

// sides returns the sides of a data race, with the calls that lead there.
func sides(r Result) []string {
	var lines []string
	for i, side := range r.Race {
		lines = append(lines, side)
		if i < len(r.calls) {
			for _, frame := range r.calls[i][:min(len(r.calls[i]), maxFrames-1)] {
				lines = append(lines, "  called at "+frame)
			}
		}
	}
	return lines
}

// panic prints what ended the test's process, and where the learner's code was.
func (p *Printer) panic(r Result) {
	if r.Status == Deadlocked && r.found() {
		return // the test ended there, and left behind what it had started
	}
	p.field("case", r.Case)
	switch r.Status {
	case Hung:
		p.field("hung", "it was still running when its time was over ("+strings.TrimPrefix(r.Panic, "test timed out after ")+")")
		p.waiting(r.Stacks, "no goroutine of your code was found waiting: look for a loop that does not end")
	case Deadlocked:
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

// waiting shows where goroutines are: those that wait in the learner's code, or
// else the test's own.
func (p *Printer) waiting(all []Goroutine, none string) {
	shown := stuck(all)
	for _, g := range shown[:min(len(shown), maxStacks)] {
		p.field("in", g.state()+"\n"+firstFrames(g))
	}
	more := 0
	for _, g := range shown[min(len(shown), maxStacks):] {
		more += g.Count
	}
	switch {
	case len(shown) == 0:
		p.field("", none)
	case more > 0:
		p.field("", "and "+plural(more, "goroutine more", "goroutines more"))
	}
}

// state says what g does, and how many do the same.
func (g Goroutine) state() string {
	state := g.State
	if g.Panic != "" {
		state = g.Panic + " waits for a " + state
	}
	if g.Count > 1 {
		state = fmt.Sprintf("%d goroutines: %s", g.Count, state)
	}
	return state
}

func firstFrames(g Goroutine) string {
	return strings.Join(g.Own[:min(len(g.Own), maxFrames)], "\n")
}

// mistakesOf prints lines, some of which go on below, under a title.
func (p *Printer) mistakesOf(title string, lines []string) {
	fmt.Fprintln(p.W)
	p.wrapped("", "", bold, title)
	p.lines("  ", strings.Split(strings.Join(lines, "\n"), "\n"), maxErrors)
}

// Paragraph writes a text, whose lines may be too long, and an empty line.
func (p *Printer) Paragraph(text string) {
	for line := range strings.SplitSeq(text, "\n") {
		indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
		p.wrapped(indent, indent, fmt.Sprint, line[len(indent):])
	}
	fmt.Fprintln(p.W)
}

// field prints a label and a text of some lines beside it; nothing if the text is
// empty.
func (p *Printer) field(label, text string) {
	if text == "" {
		return
	}
	const indent = "            "
	lines := strings.Split(text, "\n")
	p.wrapped("  "+faint(fmt.Sprintf("%-10s", label)), indent, fmt.Sprint, lines[0])
	p.lines(indent, lines[1:], maxLines)
}

// lines prints the first n lines, and says how many are left out.
func (p *Printer) lines(indent string, lines []string, n int) {
	for i, line := range lines {
		if i == n {
			fmt.Fprintf(p.W, "%s… %s\n", indent, plural(len(lines)-n, "more line", "more lines"))
			return
		}
		p.wrapped(indent, indent, fmt.Sprint, short(line))
	}
}

// wrapped prints a line that may take several: first stands before the first of
// them, rest before the others.
func (p *Printer) wrapped(first, rest string, paint func(...any) string, line string) {
	line = clean(line)
	if width := p.Width - ansi.StringWidth(rest); p.Width > 0 {
		line = broken(line, max(width, 20))
	}
	indent := first
	for part := range strings.SplitSeq(line, "\n") {
		fmt.Fprintln(p.W, strings.TrimRight(indent+paint(part), " "))
		indent = rest
	}
}

// broken returns a line as lines of at most width columns: only a command may be longer,
// which a reader copies. A colon for which a name leaves no room is left out.
func broken(line string, width int) string {
	var lines []string
	for part := range strings.SplitSeq(wrap.Words(line, width, ""), "\n") {
		if !wrap.IsCommand(part) {
			part = strings.TrimSuffix(ansi.Hardwrap(part, width, true), "\n:")
		}
		lines = append(lines, part)
	}
	return strings.Join(lines, "\n")
}

// plural counts things.
func plural(n int, single, many string) string { return fmt.Sprintf("%d %s", n, one(n, single, many)) }

// one returns the word for n things.
func one(n int, single, many string) string {
	if n == 1 {
		return single
	}
	return many
}
