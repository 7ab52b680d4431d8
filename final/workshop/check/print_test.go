package check

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

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

func TestPrint(t *testing.T) {
	report := &Report{Target: Target{Station: find(t, "03")}, Results: []Result{
		{Test: test("TestA"), New: true, Status: Passed},
		{Test: test("TestB"), New: true, Status: Failed, Failures: []Failure{
			{Test: "empty", Place: "rpc/a_test.go:5", Expected: "1", Came: "2", More: []string{"-1", "+2"}, Message: "the count"},
			{Place: "rpc/a_test.go:6", What: []string{"Should be true"}},
			{Place: "rpc/a_test.go:7"}, {Place: "rpc/a_test.go:8"},
		}},
		{Test: test("TestC"), New: true, Status: Hung, Panic: "test timed out after 20s", Stacks: []Goroutine{
			{"chan receive (durable), synctest bubble 1", []string{"rpc/a_test.go:9 in TestC"}},
			{"sync.Mutex.Lock", []string{"rpc/server.go:3 in (*Server).Close", "rpc/a_test.go:4 in TestC"}},
		}},
		{Test: test("TestD"), New: true, Status: Deadlocked, Panic: "deadlock: main bubble goroutine has exited but blocked goroutines remain",
			Stacks: []Goroutine{{"select (durable)", []string{"rpc/server.go:3 in serve"}}}},
		{Test: test("TestE"), Status: Passed},
		{Test: test("TestF"), Status: Passed},
		{Test: test("TestG"), Status: NotCompiled},
		{Test: test("TestH"), Status: Missing},
		{Test: test("TestI"), Status: Raced, Race: []string{"read at rpc/server.go:1 in a", "write at rpc/server.go:2 in b"}},
	}}
	hint := func(name string) string {
		return map[string]string{"TestB": "Count from one.\nNot from zero.", "TestC": "Lock and unlock."}[name]
	}
	assert.Equal(t, `New in 03
  passed  TestA
  to do   TestB
            at        rpc/a_test.go:5 in empty
            expected  1
            came      2
                      -1
                      +2
            message   the count
            at        rpc/a_test.go:6
                      Should be true
                      and 2 more: go tool workshop check -run TestB -v shows all
            hint      Count from one.
                      Not from zero.
  to do   TestC
            hung      it was still running when its time was over (20s)
            in        sync.Mutex.Lock
                      rpc/server.go:3 in (*Server).Close
                      rpc/a_test.go:4 in TestC
            hint      Somebody holds this lock and never gives it back: look for a way out without Unlock, or for a wait with the lock held.
            hint      Lock and unlock.
  to do   TestD
            stuck     the test has ended, but a goroutine that it started waits for ever
            in        select
                      rpc/server.go:3 in serve
            hint      The answers may be right. What stays behind is shown above: who should have closed its connection, or its listener?

Carried over
  to do   TestI
            race      two goroutines use the same memory at once, and one of them writes:
                      read at rpc/server.go:1 in a
                      write at rpc/server.go:2 in b
            hint      Both lines use the same variable. Which lock guards it, and which of the two does not take it?
  to do   1 test of rpc/a_test.go, not in your folder any more: the course's own file has it
  to do   1 test, not compiled
  passed  2 tests

3 of 9 tests pass.
`, printed(report, Printer{Hint: hint}))
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
	assert.Contains(t, text, "x…\n")
	assert.Contains(t, text, "Only 8 are explained here: go tool workshop check -run NAME explains another.")
	assert.Contains(t, printed(report, Printer{Verbose: true}), "      whole\n")
}

func TestPrint_OneMistakeIsToldOnce(t *testing.T) {
	mistake := "rpc/server.go:3:1: undefined: x"
	report := &Report{Target: Target{Station: find(t, "03")}, RedIsRight: "Red is right here.", Packages: []*Package{
		{Name: "cmd", Errors: []string{mistake}}, {Name: "rpc", Errors: []string{mistake, "rpc/a.go:1:1: y"}},
	}}
	assert.Equal(t, `rpc does not compile, so no test can run:
  rpc/server.go:3:1: undefined: x
  rpc/a.go:1:1: y

Red is right here.

0 of 0 tests pass.
`, printed(report, Printer{}))
}
