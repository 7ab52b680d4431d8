package check

import (
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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
  lifted  TestLimit_L (lifted: 5c): your code does what 5c adds, so you are ahead
  lifted  TestLimit_M (lifted: 03): your code no longer has this limit
  to do   2 tests: Server.Serve is yours to write
          TestS TestT
  to do   TestB: expected 1, got 2: the count

Carried over
  to do   TestI: data race: read at rpc/server.go:1 in a, write at rpc/server.go:2 in b
  to do   1 test of rpc/a_test.go, not in your folder any more: the course has the file
  to do   1 test, not compiled
  passed  2 tests

5 of 11 tests pass; 1 does not compile.

Begin with TestB
  at        rpc/a_test.go:5 in empty
  expected  1
  got       2
            -1
            +2
  message   the count
  at        rpc/a_test.go:6
            Should be true
            and 2 more: go tool workshop check -run TestB -v shows all
  hint      Count from one.
            Not from zero.
`, printed(report, Printer{Hint: hint}))

	narrow := printed(report, Printer{Hint: hint, Width: 60})
	for line := range strings.Lines(narrow) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 60, line)
	}
	assert.Contains(t, narrow, "  to do   TestI: data race: read at rpc/server.go:1 in a,\n          write at rpc/server.go:2 in b\n")
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

0 of 1 test passes.

Begin with TestC
  hung      it was still running when its time was over (20s)
  in        2 goroutines: sync.Mutex.Lock
            rpc/server.go:3 in (*Server).Close
            rpc/a_test.go:4 in TestC
  in        12 goroutines: select
            rpc/server.go:9 in (*Server).serveConn
  hint      A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held.
`},
		{Result{Status: Hung, Panic: "test timed out after 20s", Spins: "rpc/server.go:3", Stacks: []Goroutine{
			{State: "runnable", Own: []string{"rpc/server.go:4 in (*Server).Serve"}, Count: 1}}},
			`  to do   TestC: hangs: the loop at rpc/server.go:3 goes on when Accept fails

0 of 1 test passes.

Begin with TestC
  hung      it was still running when its time was over (20s)
  in        runnable
            rpc/server.go:4 in (*Server).Serve
  hint      Accept fails each time, as it does once the listener is closed, and the loop at rpc/server.go:3 goes on. It has to return the error.
`},
		{Result{Status: Deadlocked, Panic: "deadlock: main bubble goroutine has exited but blocked goroutines remain",
			Stacks: []Goroutine{{State: "select", Own: []string{"rpc/server.go:3 in serve"}, Count: 1}}},
			`  to do   TestC: the test has ended, but a goroutine that it started waits for ever: select at rpc/server.go:3 in serve

0 of 1 test passes.

Begin with TestC
  stuck     the test has ended, but a goroutine that it started waits for ever
  in        select
            rpc/server.go:3 in serve
  hint      The answers may be right. What stays behind is shown above: who should have closed its connection, or its listener?
`},
		{Result{Status: Panicked, Panic: "assignment to entry in nil map", Stacks: []Goroutine{{State: "running", Own: []string{"rpc/server.go:3 in serve"}, Count: 1}}},
			`  to do   TestC: panics: assignment to entry in nil map, at rpc/server.go:3 in serve

0 of 1 test passes.

Begin with TestC
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

func TestPrint_IsBounded(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}}
	for range 100 {
		report.Results = append(report.Results, Result{Test: test("TestA"), New: true, Status: Failed, Output: "whole\n", Failures: []Failure{
			{Place: "rpc/a_test.go:5", Expected: strings.Repeat("x", 1<<20), More: strings.Split(strings.Repeat("+\n", 5000), "\n")},
		}})
	}
	text := printed(report, Printer{})
	assert.Less(t, len(text), 20_000)
	assert.Contains(t, text, "… 4984 more lines")
	assert.Contains(t, text, "x… (1048176 characters more)\n")
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
	assert.Contains(t, report.Problems()[0].Message, `samethis", got (1163`)
	assert.Regexp(t, `samethat"$`, report.Problems()[0].Message)
}

// An assertion's words have a long value in their middle.
func TestPrint_CutsWhatAnAssertionSaysInItsMiddle(t *testing.T) {
	what := `Error "` + strings.Repeat("[", 20_000) + `" does not contain "invalid request: "`
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{
		failed("TestA", Failure{Test: "nested_too_deep", Place: "rpc/a_test.go:5", What: []string{what}, Message: strings.Repeat("m", 20_000), asserted: true}),
	}}
	message := report.Problems()[0].Message
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

Red is right here.

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
		assert.Equal(t, r.Problems(), found)
	}
}

func TestPlain_IsALineForEachProblem(t *testing.T) {
	report := &Report{
		Target: Target{Station: find(t, "03"), Dir: t.TempDir()},
		Doubts: []Doubt{{"printf", "rpc/a.go:5:24: bad"}},
		Results: []Result{
			{Test: test("TestA"), Status: Passed},
			failed("TestB", Failure{Test: "empty_line", Place: "rpc/a_test.go:5", Expected: "1", Got: "2\n3"}, Failure{Place: "rpc/a_test.go:6", What: []string{"first:", "second"}}),
			{Test: test("TestC"), Status: Raced, Race: []string{"read at rpc/server.go:1 in a", "write at rpc/server.go:2 in b"}},
			{Test: test("TestD"), Status: Hung, Stacks: []Goroutine{{State: "chan send", Own: []string{"rpc/server.go:9 in b"}}}},
			{Test: test("TestE"), Status: Missing},
		},
	}
	var b strings.Builder
	Plain(&b, report)
	assertEditorsReadIt(t, report, b.String())
	assert.Equal(t, `rpc/a_test.go:5:1: TestB/empty_line: expected 1, got 2 3
rpc/a_test.go:6:1: TestB: first: second
rpc/server.go:1:1: TestC: data race: read at rpc/server.go:1 in a, write at rpc/server.go:2 in b
rpc/server.go:9:1: TestD: hangs: chan send at rpc/server.go:9 in b
rpc/a_test.go:1:1: TestE: not in the folder any more: the course has it
rpc/a.go:5:24: go vet: bad
1 of 5 tests pass.
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
		{Test: test("TestLimit_B"), Status: Lifted, Lifted: "5c"},
		failed("TestC", stubbed),
		{Test: test("TestD"), Status: Missing},
	}}
	var out strings.Builder
	require.NoError(t, JSON(&out, report))
	assert.Equal(t, `{"version":1,"station":"03","test":"TestA","package":"rpc","file":"rpc/a_test.go","new":true,"done":true,"status":"passed","seconds":1.234,"problems":[]}
{"version":1,"station":"03","test":"TestLimit_B","package":"rpc","file":"rpc/a_test.go","new":false,"done":true,"status":"lifted","lifted":"5c","seconds":0,"problems":[]}
{"version":1,"station":"03","test":"TestC","package":"rpc","file":"rpc/a_test.go","new":true,"done":false,"status":"failed","seconds":0,"cause":"Server.Serve is yours to write","problems":[{"place":"rpc/helpers_test.go:7:1","message":"TestC: the server serves no longer: Serve returned: rpc: Server.Serve is yours to write (step 03)"}]}
{"version":1,"station":"03","test":"TestD","package":"rpc","file":"rpc/a_test.go","new":false,"done":false,"status":"missing","seconds":0,"problems":[{"place":"rpc/a_test.go:1:1","message":"TestD: not in the folder any more: the course has it"}]}
`, out.String())

	out.Reset()
	require.NoError(t, JUnit(&out, report))
	for _, want := range []string{
		`<testsuite name="rpc" tests="4" failures="1" errors="1" id="0"`, `<testcase name="TestA" classname="rpc" time="1.234">`,
		`<failure message="rpc/helpers_test.go:7:1: TestC: the server serves no longer`, `<error message="rpc/a_test.go:1:1: TestD: not in`,
	} {
		assert.Contains(t, out.String(), want)
	}
}
