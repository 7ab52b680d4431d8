package check

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/fatih/color"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// printed returns a report as it is printed.
func printed(r *Report, p Printer) string {
	var b strings.Builder
	p.W = &b
	p.Print(r)
	return b.String()
}

func test(name string) course.Test {
	return course.Test{Name: name, Package: "rpc", File: "rpc/a_test.go"}
}

// failed returns the result of a new test that failed.
func failed(name string, failures ...Failure) Result {
	return Result{Test: test(name), New: true, Status: Failed, Failures: failures}
}

var stubbed = Failure{Place: "rpc/helpers_test.go:7", What: []string{"the server serves no longer"}, Message: "Serve returned: rpc: Server.Serve is yours to write (step 03)"}

func TestPrint(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{
		{Test: test("TestA"), New: true, Status: Passed},
		{Test: test("TestLimit_L"), New: true, Status: Lifted, Lifted: "5c"},
		{Test: test("TestLimit_M"), New: true, Status: Lifted, Lifted: "03"},
		failed("TestS", stubbed),
		failed("TestB",
			Failure{Test: "empty", Place: "rpc/a_test.go:5", Expected: "1", Got: "2", More: []string{"-1", "+2"}, Message: "the count"},
			Failure{Place: "rpc/a_test.go:6", What: []string{"Should be true"}},
			Failure{Place: "rpc/a_test.go:7"}, Failure{Place: "rpc/a_test.go:8"}),
		failed("TestT", stubbed),
		{Test: test("TestE"), Status: Passed},
		{Test: test("TestF"), Status: Passed},
		{Test: test("TestG"), Status: NotCompiled},
		{Test: test("TestH"), Status: Missing},
		{Test: test("TestI"), Status: Raced, Race: []string{"read at rpc/server.go:1 in a", "write at rpc/server.go:2 in b"}},
	}}
	hint := func(name string) string {
		return map[string]string{"TestB": "Count from one.\nNot from zero.", "TestI": "Lock and unlock."}[name]
	}
	assert.Equal(t, `New in 03
  passed  TestA
  lifted  TestLimit_L (5c): your code does what 5c adds, so you are ahead
  lifted  TestLimit_M (03): your code no longer has this limit
  to do   2 tests: Server.Serve is yours to write
          TestS TestT
  to do   TestB: expected 1, got 2: the count

Carried over
  to do   TestI: data race: read at rpc/server.go:1 in a, write at rpc/server.go:2 in b
  to do   1 test of rpc/a_test.go, not in your folder any more: the course has the file
  to do   1 test, not compiled
  passed  2 tests

5 of 11 tests pass, 2 of them by lifting their limit; 4 fail; 1 is missing; 1 does not compile.

Begin with TestB
  at        rpc/a_test.go:5 in empty
  expected  1
  got       2
            -1
            +2
  message   the count
  at        rpc/a_test.go:6
            Should be true
            and 2 more: "go tool workshop check -run TestB -v" shows all
  hint      Count from one.
            Not from zero.
`, printed(report, Printer{Hint: hint}))

	narrow := printed(report, Printer{Hint: hint, Width: 60})
	for line := range strings.Lines(narrow) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 60, line)
	}
	assert.Contains(t, narrow, "  to do   TestI: data race: read at rpc/server.go:1 in a,\n          write at rpc/server.go:2 in b\n")

	plain := printed(report, Printer{Hint: hint})
	noColor := color.NoColor
	defer func() { color.NoColor = noColor }()
	color.NoColor = false
	colored := printed(report, Printer{Hint: hint})
	assert.Equal(t, plain, ansi.Strip(colored), "in color, it has the same text")
	assert.Contains(t, colored, "\x1b[32mTestLimit_L (5c)")
}

func TestPrint_ACommandIsNotBroken(t *testing.T) {
	var failures []Failure
	for range maxFailures + 1 {
		failures = append(failures, Failure{Place: "rpc/a_test.go:6"})
	}
	const name = "TestServer_EndsOnlyTheConnectionWhoseLineIsTooLong"
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{failed(name, failures...)}}
	for _, width := range []int{20, 60, 80} {
		assert.Contains(t, printed(report, Printer{Width: width}), `"go tool workshop check -run `+name+` -v"`, width)
	}
}

func TestFirst_FollowsTheLessonsPieces(t *testing.T) {
	later, earlier := failed("TestNew"), failed("TestCarriedOver")
	earlier.New = false
	r := &Report{Results: []Result{later, earlier}, all: []course.Test{earlier.Test, later.Test}}
	assert.Equal(t, "TestCarriedOver", r.First(nil).Test.Name)
	assert.Equal(t, []string{"TestCarriedOver", "TestNew"}, r.ToDo())
}

func TestPrint_ExplainsHowATestEnded(t *testing.T) {
	for _, c := range []struct {
		result Result
		want   string
	}{
		{Result{Status: Hung, Panic: "test timed out after 20s", Stacks: []Goroutine{
			{State: "chan receive", Own: []string{"rpc/a_test.go:9 in TestC"}, Count: 1},
			{State: "select", Own: []string{"rpc/server.go:9 in (*Server).serveConn"}, Calls: "(*Reader).ReadSlice", Count: 12},
			{State: "sync.Mutex.Lock", Own: []string{"rpc/server.go:3 in (*Server).Close", "rpc/a_test.go:4 in TestC"}, Count: 2},
		}}, `  to do   TestC: hangs: sync.Mutex.Lock at rpc/server.go:3 in (*Server).Close

0 of 1 test passes; 1 fails.

Begin with TestC
  hung      it was still running when its time was over (20s)
  in        2 goroutines: sync.Mutex.Lock
            rpc/server.go:3 in (*Server).Close
            rpc/a_test.go:4 in TestC
  in        12 goroutines: select
            rpc/server.go:9 in (*Server).serveConn
  hint      A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held.
`},
		{Result{Status: Hung, Panic: "test timed out after 20s", Output: "goroutine 7 [sync.Mutex.Lock, synctest bubble 1]:\n", Stacks: []Goroutine{
			{State: "sync.Mutex.Lock", Own: []string{"rpc/conn.go:3 in (*serverConn).reply"}, Count: 1},
		}}, `  to do   TestC: hangs: sync.Mutex.Lock at rpc/conn.go:3 in (*serverConn).reply

0 of 1 test passes; 1 fails.

Begin with TestC
  hung      it was still running when its time was over (20s)
  in        sync.Mutex.Lock
            rpc/conn.go:3 in (*serverConn).reply
  hint      A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held. Or it waits for the bubble's clock, which stands still while a goroutine waits for a mutex: where others wait that long, take a channel with one slot as the lock.
`},
		{Result{Status: Hung, Panic: "test timed out after 20s", Spins: "rpc/server.go:3", Stacks: []Goroutine{
			{State: "runnable", Own: []string{"rpc/server.go:4 in (*Server).Serve"}, Count: 1}}},
			`  to do   TestC: hangs: the loop at rpc/server.go:3 goes on when Accept fails

0 of 1 test passes; 1 fails.

Begin with TestC
  hung      it was still running when its time was over (20s)
  in        runnable
            rpc/server.go:4 in (*Server).Serve
  hint      Accept fails each time, as it does once the listener is closed, and the loop at rpc/server.go:3 goes on. It has to return the error.
`},
		{Result{Status: Deadlocked, Panic: "deadlock: main bubble goroutine has exited but blocked goroutines remain",
			Stacks: []Goroutine{{State: "select", Own: []string{"rpc/server.go:3 in serve"}, Count: 1}}},
			`  to do   TestC: the test has ended, but a goroutine that it started waits for ever: select at rpc/server.go:3 in serve

0 of 1 test passes; 1 fails.

Begin with TestC
  stuck     the test has ended, but a goroutine that it started waits for ever
  in        select
            rpc/server.go:3 in serve
  hint      The answers may be right, but a goroutine stays behind. Who should have closed its connection, or its listener?
`},
		{Result{Status: Panicked, Case: "empty_line", Panic: "assignment to entry in nil map", Stacks: []Goroutine{{State: "running", Own: []string{"rpc/server.go:3 in serve"}, Count: 1}}},
			`  to do   TestC: panics: assignment to entry in nil map, at rpc/server.go:3 in serve

0 of 1 test passes; 1 fails.

Begin with TestC
  case      empty_line
  panic     assignment to entry in nil map
  in        rpc/server.go:3 in serve
  hint      The map on this line was never made. Make it with make(map[…]…) where the struct is created, or before the first write.
`},
	} {
		c.result.Test, c.result.New = test("TestC"), true
		report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{c.result}}
		assert.Equal(t, "New in 03\n"+c.want, printed(report, Printer{}))
	}
}

// The runtime's texts have numbers in them, which differ from test to test.
func TestPrint_PanicsAtOnePlaceAreOneCause(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}}
	for name, text := range map[string]string{"TestA": "index out of range [1] with length 0", "TestB": "index out of range [7] with length 3"} {
		report.Results = append(report.Results, Result{Test: test(name), New: true, Status: Panicked, Panic: text,
			Stacks: []Goroutine{{State: "running", Own: []string{"rpc/server.go:3 in serve", "rpc/a_test.go:5 in " + name}}}})
	}
	assert.Contains(t, printed(report, Printer{}), "  to do   2 tests: panics: index out of range [")
	assert.NotEqual(t, causeKey(report.Results[0]), causeKey(Result{Status: Panicked, Panic: "nil map", Stacks: report.Results[0].Stacks}))
}

// A flag alone on a line, or half of it, cannot be copied.
func TestPrint_BreaksLinesBetweenWords(t *testing.T) {
	var b strings.Builder
	p := Printer{W: &b, Width: 40}
	p.field("", "and 2 more: workshop check -v shows "+strings.Repeat("x", 40))
	assert.Equal(t, "            and 2 more: workshop check\n            -v shows\n            "+
		strings.Repeat("x", 28)+"\n            "+strings.Repeat("x", 12)+"\n", b.String())
}

// The names of the course's tests are as long as a narrow terminal is wide.
func TestPrint_BeginWithFits(t *testing.T) {
	name := "TestServer_" + strings.Repeat("x", 50)
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{failed(name, Failure{Place: "rpc/a_test.go:5", Expected: "1", Got: "2"})}}
	for line := range strings.Lines(printed(report, Printer{Width: 60})) {
		assert.LessOrEqual(t, ansi.StringWidth(strings.TrimSuffix(line, "\n")), 60, line)
	}
}

// A colon alone on a line says nothing.
func TestPrint_ACauseBelowALongName(t *testing.T) {
	name := "TestServer_" + strings.Repeat("x", 39)
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{failed(name, Failure{Place: "rpc/a_test.go:5", Expected: "1", Got: "2"})}}
	assert.Contains(t, printed(report, Printer{Width: 60}), "  to do   "+name+"\n          expected 1, got 2\n")
	assert.Contains(t, printed(report, Printer{Width: 61}), "  to do   "+name+":\n          expected 1, got 2\n")
}

func TestMiddle_NeverLengthens(t *testing.T) {
	for n := range 120 {
		text := strings.Repeat("x", n)
		assert.LessOrEqual(t, len([]rune(middle(text, 60))), n)
		assert.LessOrEqual(t, len([]rune(cut([]rune(text), 0, 60))), n)
	}
}

func TestPrint_IsBounded(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}}
	for range 100 {
		report.Results = append(report.Results, Result{Test: test("TestA"), New: true, Status: Failed, Output: "whole\n", Failures: []Failure{
			{Place: "rpc/a_test.go:5", Expected: strings.Repeat("x", 1<<16), More: strings.Split(strings.Repeat("+\n", 5000), "\n")},
		}})
	}
	text := printed(report, Printer{})
	assert.Less(t, len(text), 20_000)
	assert.Contains(t, text, "… 4984 more lines")
	assert.Contains(t, text, "x… (65136 characters more)\n")
	assert.Contains(t, text, "  to do   100 tests: expected x")
	assert.Contains(t, printed(report, Printer{Verbose: true}), "  whole\n")
}

func TestPrint_NeverCutsBeforeTheFirstDifference(t *testing.T) {
	same := strings.Repeat("same", 300)
	r := failed("TestA", Failure{Place: "rpc/a_test.go:5", Expected: `"` + same + `this"`, Got: `"` + same + `that"`,
		More: []string{"-" + same + "this", "+" + same + "that"}})
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{r}}
	text := printed(report, Printer{})
	for _, want := range []string{
		"to do   TestA: expected (1183 characters the same) …", `samethis", got (1183`,
		"expected  (1163 characters the same) …", `samethis"` + "\n", `samethat"` + "\n",
		"            -(1162 characters the same) …", "samethis\n", "samethat\n",
	} {
		assert.Contains(t, text, want)
	}
	assert.Contains(t, report.Problems(nil)[0].Message, `samethis", got (1163`)
	assert.Regexp(t, `samethat"$`, report.Problems(nil)[0].Message)
}

// An assertion's words have a long value in their middle.
func TestPrint_CutsWhatAnAssertionSaysInItsMiddle(t *testing.T) {
	what := `Error "` + strings.Repeat("[", 20_000) + `" does not contain "invalid request: "`
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{
		failed("TestA", Failure{Test: "nested_too_deep", Place: "rpc/a_test.go:5", What: []string{what}, Message: strings.Repeat("m", 20_000), asserted: true}),
	}}
	message := report.Problems(nil)[0].Message
	assert.Less(t, len(message), 500)
	assert.True(t, strings.HasPrefix(message, `TestA/nested_too_deep: Error "[[[[`), message)
	assert.Contains(t, message, `[" does not contain "invalid request: "`)
	text := printed(report, Printer{})
	assert.Less(t, len(text), 2000)
	assert.Contains(t, text, `[" does not contain "invalid request: "`)
	assert.Contains(t, text, "mm… (19601 characters) …mm")
}

func TestPrint_WhatIsPrintedMovesNoCursor(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{failed("TestA", Failure{Place: "rpc/a_test.go:5", What: []string{"a\x1b[2Jb\rc\td"}})}}
	text := printed(report, Printer{})
	assert.Contains(t, text, `a\x1b[2Jb\rc    d`)
	assert.NotContains(t, text, "\x1b")
}

func TestPrint_OneMistakeIsToldOnce(t *testing.T) {
	mistake := "rpc/server.go:3:1: undefined: x"
	report := &Report{Target: Target{Station: find(t, "03")}, RedIsRight: "Red is right here.", Packages: []*Package{
		{Name: "cmd", Errors: []string{mistake}}, {Name: "rpc", Errors: []string{mistake, "rpc/a.go:1:1: y"}},
	}}
	assert.Equal(t, `0 of 0 tests pass.

rpc does not compile, so no test can run:
  rpc/server.go:3:1: undefined: x
  rpc/a.go:1:1: y

Red is right here. The lesson says how: step03-client/README.md

`, printed(report, Printer{}))
}

// assertEditorsReadIt checks that the matchers in a learner's tasks.json find each
// problem in plain output, and nothing else.
func assertEditorsReadIt(t *testing.T, r *Report, plain string) {
	t.Helper()
	text, err := os.ReadFile("../starter/tasks.json")
	require.NoError(t, err)
	var file struct {
		Tasks []struct {
			ProblemMatcher struct {
				Pattern struct {
					Regexp                      string
					File, Line, Column, Message int
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &file))
	require.Len(t, file.Tasks, 2)
	for _, task := range file.Tasks {
		pattern := task.ProblemMatcher.Pattern
		var found []Problem
		for line := range strings.SplitSeq(plain, "\n") {
			if m := regexp.MustCompile(pattern.Regexp).FindStringSubmatch(line); m != nil {
				place := m[pattern.File] + ":" + m[pattern.Line] + ":" + m[pattern.Column]
				found = append(found, Problem{place, m[pattern.Message]})
			}
		}
		assert.Equal(t, r.Problems(nil), found)
	}
}

func TestPlain_IsALineForEachProblem(t *testing.T) {
	locked := []Goroutine{{State: "sync.Mutex.Lock", Own: []string{"rpc/server.go:9 in b"}}}
	report := &Report{
		Target: Target{Station: find(t, "03"), Dir: t.TempDir()},
		Doubts: []Doubt{{"printf", "rpc/a.go:5:24: bad"}},
		Results: []Result{
			{Test: test("TestA"), Status: Passed},
			failed("TestB", Failure{Test: "empty_line", Place: "rpc/a_test.go:5", Expected: "1", Got: "2\n3"}, Failure{Place: "rpc/a_test.go:6", What: []string{"first:", "second"}}),
			{Test: test("TestC"), Status: Hung, Stacks: locked},
			{Test: test("TestD"), Status: Raced, Race: []string{"read at rpc/server.go:1 in a", "write at rpc/server.go:2 in b"}},
			{Test: test("TestE"), Status: Hung, Case: "a_case", Stacks: locked},
			{Test: test("TestF"), Status: Missing},
			failed("TestG", Failure{Test: "empty_line", Place: "rpc/a_test.go:9", Expected: "1", Got: "2\n3"}),
		},
	}
	var b strings.Builder
	Plain(&b, report, nil)
	assertEditorsReadIt(t, report, b.String())
	assert.Equal(t, `rpc/a_test.go:1:1: TestF: not in the folder any more: the course has it
rpc/server.go:9:1: TestC: hangs: sync.Mutex.Lock at rpc/server.go:9 in b
rpc/server.go:9:1: TestE/a_case: hangs: sync.Mutex.Lock at rpc/server.go:9 in b
rpc/server.go:1:1: TestD: data race: read at rpc/server.go:1 in a, write at rpc/server.go:2 in b
rpc/a.go:5:24: go vet: bad
rpc/a_test.go:9:1: TestG/empty_line: expected 1, got 2 3
rpc/a_test.go:5:1: TestB/empty_line: expected 1, got 2 3
rpc/a_test.go:6:1: TestB: first: second
1 of 7 tests pass; 5 fail; 1 is missing. Begin with TestB.
`, b.String())
}

// What does not compile is fixed first, so it comes last.
func TestPlain_EndsWithWhatDoesNotCompile(t *testing.T) {
	r := failed("TestB", Failure{Place: "rpc/a_test.go:6", What: []string{"wrong"}})
	report := &Report{Target: Target{Station: find(t, "03"), Dir: t.TempDir()}, Results: []Result{r},
		Packages: []*Package{{Name: "cmd", Errors: []string{"cmd/a.go:3:1: undefined: x", "cmd/a.go:4:1: undefined: y"}}}}
	var b strings.Builder
	Plain(&b, report, nil)
	assertEditorsReadIt(t, report, b.String())
	assert.Equal(t, `rpc/a_test.go:6:1: TestB: wrong
cmd/a.go:3:1: undefined: x
cmd/a.go:4:1: undefined: y
0 of 1 test passes; 1 fails.
`, b.String())
}

// The schema and what is written have the same fields.
func TestJSON_IsAsItsSchemaSays(t *testing.T) {
	var schema struct {
		Required   []string
		Properties map[string]struct{ OneOf []struct{ Const Status } }
	}
	require.NoError(t, json.Unmarshal(Schema, &schema))
	var fields, required []string
	for f := range reflect.TypeFor[exported]().Fields() {
		name, option, _ := strings.Cut(f.Tag.Get("json"), ",")
		fields = append(fields, name)
		if option == "" {
			required = append(required, name)
		}
	}
	assert.ElementsMatch(t, fields, slices.Collect(maps.Keys(schema.Properties)))
	assert.ElementsMatch(t, required, schema.Required)
	var statuses []Status
	for _, s := range schema.Properties["status"].OneOf {
		statuses = append(statuses, s.Const)
	}
	assert.ElementsMatch(t, []Status{Passed, Lifted, Undecided, Failed, Panicked, Deadlocked, Hung, Raced, NotCompiled, LeftOut, Missing}, statuses)
}

func TestJSONAndJUnit(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03"), Dir: t.TempDir()}, Results: []Result{
		{Test: test("TestA"), Status: Passed, New: true, Time: 1234 * time.Millisecond},
		{Test: test("TestLimit_B"), Status: Lifted, Lifted: "5c", Time: 500 * time.Millisecond},
		failed("TestC", stubbed),
		{Test: test("TestD"), Status: Missing},
	}}
	var out strings.Builder
	require.NoError(t, JSON(&out, report))
	assert.Equal(t, `{"version":1,"station":"03","test":"TestA","package":"rpc","file":"rpc/a_test.go","new":true,"done":true,"status":"passed","seconds":1.234,"problems":[]}
{"version":1,"station":"03","test":"TestLimit_B","package":"rpc","file":"rpc/a_test.go","new":false,"done":true,"status":"lifted","lifted":"5c","seconds":0.5,"problems":[]}
{"version":1,"station":"03","test":"TestC","package":"rpc","file":"rpc/a_test.go","new":true,"done":false,"status":"failed","seconds":0,"cause":"Server.Serve is yours to write","problems":[{"place":"rpc/helpers_test.go:7:1","message":"TestC: the server serves no longer: Serve returned: rpc: Server.Serve is yours to write (step 03)"}]}
{"version":1,"station":"03","test":"TestD","package":"rpc","file":"rpc/a_test.go","new":false,"done":false,"status":"missing","seconds":0,"problems":[{"place":"rpc/a_test.go:1:1","message":"TestD: not in the folder any more: the course has it"}]}
`, out.String())

	out.Reset()
	require.NoError(t, JUnit(&out, report))
	for _, want := range []string{
		`<testsuites name="workshop check 03" time="1.734" tests="4"`,
		`<testsuite name="rpc" tests="4" failures="1" errors="1" id="0" time="1.734"`, `<testcase name="TestA" classname="rpc" time="1.234">`,
		`<failure message="rpc/helpers_test.go:7:1: TestC: the server serves no longer`, `<error message="rpc/a_test.go:1:1: TestD: not in`,
	} {
		assert.Contains(t, out.String(), want)
	}
}

// Neither a terminal's codes nor bytes that are no text make the file unreadable.
func TestJUnit_IsXMLWhateverATestPrints(t *testing.T) {
	r := failed("TestA", Failure{Place: "rpc/a_test.go:5", What: []string{"\x1b"}})
	r.Output = "red: \x1b[31m, a tab:\t, zero: \x00, ]]>\nno UTF-8: \xff\n"
	var out strings.Builder
	require.NoError(t, JUnit(&out, &Report{Target: Target{Station: find(t, "03"), Dir: t.TempDir()}, Results: []Result{r}}))
	var read struct {
		Suites []struct {
			Cases []struct {
				Failure string `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	require.NoError(t, xml.Unmarshal([]byte(out.String()), &read))
	assert.Contains(t, read.Suites[0].Cases[0].Failure, "red: \\x1b[31m, a tab:    , zero: \\x00, ]]>\nno UTF-8: \uFFFD\n")
}

// Every view counts each test once.
func TestReport_EveryViewCountsEachTestOnce(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03"), Dir: t.TempDir()}}
	for _, s := range []Status{Passed, Lifted, Lifted, Undecided, Failed, Panicked, Deadlocked, Hung, Raced, NotCompiled, LeftOut, Missing} {
		r := Result{Test: test(fmt.Sprintf("Test%d", len(report.Results))), Status: s}
		if s == Lifted || s == Undecided {
			r.Lifted = "5c"
		}
		report.Results = append(report.Results, r)
	}
	const tally = "3 of 12 tests pass, 2 of them by lifting their limit; 5 fail; 1 is missing; 1 does not compile; 1 has not been run; 1 skips."
	assert.Contains(t, printed(report, Printer{}), tally)

	var plain strings.Builder
	Plain(&plain, report, nil)
	assertEditorsReadIt(t, report, plain.String())
	assert.Contains(t, plain.String(), `
lifted: Test1 (5c): your code does what 5c adds, so you are ahead
lifted: Test2 (5c): your code does what 5c adds, so you are ahead
skips: Test3: whether your code has lifted its limit shows when the other tests pass
`+tally)

	var xml strings.Builder
	require.NoError(t, JUnit(&xml, report))
	assert.Contains(t, xml.String(), `<testsuite name="rpc" tests="12" failures="5" errors="3" id="0" skipped="1"`)
	assert.Contains(t, xml.String(), `<skipped message="whether your code has lifted its limit`)
	assert.Contains(t, xml.String(), `<system-out><![CDATA[lifted (5c): your code does what 5c adds, so you are ahead]]></system-out>`)

	var lines strings.Builder
	require.NoError(t, JSON(&lines, report))
	assert.Equal(t, 12, strings.Count(lines.String(), "\n"))
}

// What has not been run says nothing: the first to look at is one that failed.
func TestReport_WhatHasNotBeenRunComesLast(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03"), Dir: t.TempDir()}, Results: []Result{
		{Test: test("TestA"), Status: LeftOut},
		{Test: test("TestB"), Status: Passed},
		failed("TestC", Failure{Place: "rpc/a_test.go:6", What: []string{"wrong"}}),
	}}
	assert.Equal(t, []string{"TestC", "TestA"}, report.ToDo())
	var b strings.Builder
	Plain(&b, report, nil)
	assert.Contains(t, b.String(), "1 of 3 tests pass; 1 fails; 1 has not been run. Begin with TestC.")
}
