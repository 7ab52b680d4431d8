package check

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// learner makes the target's folder a learner's.
func learner(t *testing.T, target Target) Target {
	t.Helper()
	p, err := progress.Create(target.Dir, target.Station.Name)
	assert.NoError(t, err)
	target.Progress = p
	return target
}

// output returns events of a test that print these lines, with tabs for ⇥.
func output(test, text string) []event {
	var events []event
	for line := range strings.Lines(strings.ReplaceAll(text, "⇥", "\t")) {
		events = append(events, event{"output", test, line})
	}
	return events
}

// testifyOutput is what testify 1.12 and testing print.
var testifyOutput = slices.Concat(
	output("TestX/a_b", `    x_test.go:9: a log line
    x_test.go:10: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:10
        ⇥            ⇥⇥⇥⇥/tmp/rpc/helpers_test.go:3
        ⇥Error:      ⇥Not equal: 
        ⇥            ⇥expected: "a\nb"
        ⇥            ⇥actual  : "a\nX"
        ⇥            ⇥
        ⇥            ⇥Diff:
        ⇥            ⇥--- Expected
        ⇥            ⇥+++ Actual
        ⇥            ⇥@@ -1,2 +1,2 @@
        ⇥            ⇥ a
        ⇥            ⇥-b
        ⇥            ⇥+X
        ⇥Test:       ⇥TestX/a_b
        ⇥Messages:   ⇥what is
--- FAIL: TestX/a_b (0.00s)
`), []event{{Action: "fail", Test: "TestX/a_b"}},
	output("TestX/good", "    x_test.go:11: a log line of a subtest that passes\n"), []event{{Action: "pass", Test: "TestX/good"}},
	output("TestX", `    x_test.go:12: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:12
        ⇥Error:      ⇥Received unexpected error:
        ⇥            ⇥rpc: Dial is yours to write (step 03)
        ⇥Test:       ⇥TestX
    x_test.go:13: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:13
        ⇥Error:      ⇥Target error should be in err chain:
        ⇥            ⇥expected: "EOF"
        ⇥            ⇥in chain: "rpc: closed"
        ⇥Test:       ⇥TestX
    x_test.go:14: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:14
        ⇥Error:      ⇥An error is expected but got nil.
        ⇥Test:       ⇥TestX
what the code under test prints
    x_test.go:15: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:15
        ⇥Error:      ⇥"abc" does not contain "x"
        ⇥Test:       ⇥TestX
    x_test.go:16: first
          second
    testing.go:1712: race detected during execution of test
FAIL
`))

func TestFailures_OfTestify(t *testing.T) {
	want := []Failure{
		{Test: "a_b", Place: "rpc/x_test.go:9", What: []string{"a log line"}},
		{Test: "a_b", Place: "rpc/x_test.go:10", Expected: `"a\nb"`, Got: `"a\nX"`, More: []string{" a", "-b", "+X"}, Message: "what is", asserted: true},
		{Place: "rpc/x_test.go:12", Expected: "no error", Got: "rpc: Dial is yours to write (step 03)", asserted: true},
		{Place: "rpc/x_test.go:13", What: []string{"errors.Is does not find the expected error"}, Expected: `"EOF"`, Got: `"rpc: closed"`, asserted: true},
		{Place: "rpc/x_test.go:14", Expected: "an error", Got: "none", asserted: true},
		{Place: "rpc/x_test.go:15", What: []string{`"abc" does not contain "x"`}, asserted: true},
		{Place: "rpc/x_test.go:16", What: []string{"first", "  second"}},
	}
	assert.Equal(t, want, failures("rpc", testifyOutput))
	for i, e := range testifyOutput {
		testifyOutput[i].Output = strings.ReplaceAll(e.Output, "\n", "\r\n")
	}
	assert.Equal(t, want, failures("rpc", testifyOutput))
}

func TestFailures_OfAScript(t *testing.T) {
	events := output("TestScripts/call", `    testscript.go:609: # The client makes one call. (0.052s)
        > exec client
        # What the server refuses. (0.020s)
        > exec client -addr $ADDR ''
        [stderr]
        client: invalid request
        FAIL: ../testdata/script/call.txtar:10: unexpected command failure
        
--- FAIL: TestScripts/call (0.08s)
`)
	assert.Equal(t, []Failure{{
		Place: "testdata/script/call.txtar:10",
		What:  []string{"unexpected command failure"},
		More:  []string{"# What the server refuses. (0.020s)", "> exec client -addr $ADDR ''", "[stderr]", "client: invalid request"},
	}}, failures("cmd", events))
}

// Long lines come in parts, and a flood costs no more than its bound.
func TestEvents_AreWholeLines(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	got, err := newConverter(t.Context(), ".").events(t.Context(), "\x16=== RUN   TestA\n    a_test.go:1: "+long+"\n\x16--- FAIL: TestA (0.00s)\n\x16FAIL\n")
	require.NoError(t, err)
	assert.Contains(t, got, event{"output", "TestA", "    a_test.go:1: " + long + "\n"})
	assert.Contains(t, got, event{"fail", "TestA", ""})
	assert.Equal(t, "    a_test.go:1: "+long+"\n--- FAIL: TestA (0.00s)\nFAIL\n", text(got))
}

func TestGoroutines_ShowTheLearnersCode(t *testing.T) {
	const output = `panic: test timed out after 2s

goroutine 5 [running]:
testing.(*M).startAlarm.func1()
	/usr/local/go/src/testing/testing.go:2802 +0x605

goroutine 10 [chan receive (durable), synctest bubble 1]:
example.com/mine/rpc.(*Server).Wait(...)
	/home/me/mine/rpc/s.go:4
example.com/mine/rpc.TestDeadlock.func1(0xc00001cd88?)
	/home/me/mine/rpc/s_test.go:3 +0x39
created by example.com/mine/rpc.TestLeak.func1 in goroutine 5
	/home/me/mine/rpc/s_test.go:4 +0x9a

goroutine 11 [select, 2 minutes]:
net.(*pipe).read(0xc00001cd88)
	/usr/local/go/src/net/pipe.go:1 +0x39
bufio.(*Reader).ReadSlice(0xc00001cd88)
	/usr/local/go/src/bufio/bufio.go:1 +0x39
example.com/mine/rpc.(*Server).serve(...)
	/home/me/mine/rpc/s.go:9

goroutine 12 [select, 3 minutes]:
net.(*pipe).read(0xc00001cd99)
	/usr/local/go/src/net/pipe.go:1 +0x39
bufio.(*Reader).ReadSlice(0xc00001cd99)
	/usr/local/go/src/bufio/bufio.go:1 +0x39
example.com/mine/rpc.(*Server).serve(...)
	/home/me/mine/rpc/s.go:9

goroutine 13 [select (durable), synctest bubble 1]:
io.Copy(0xc00001cd99)
	/usr/local/go/src/io/io.go:1 +0x39
example.com/mine/rpc.hangUp(...)
	/home/me/mine/rpc/s.go:20
panic({0x6dff40?, 0x109ebd09c1c8?})
	/usr/local/go/src/runtime/panic.go:860 +0x13a
reflect.Value.call({0x6dff40?, 0x109ebd09c1c8?}, {0x1, 0x2})
	/usr/local/go/src/reflect/value.go:1 +0x39
reflect.Value.Call({0x6dff40?, 0x109ebd09c1c8?})
	/usr/local/go/src/reflect/value.go:2 +0x39
example.com/mine/rpc.(*method).call(...)
	/home/me/mine/rpc/method.go:47
`
	assert.Equal(t, []Goroutine{
		{State: "chan receive", Count: 1, Own: []string{
			"rpc/s.go:4 in (*Server).Wait",
			"rpc/s_test.go:3 in TestDeadlock.func1",
			"rpc/s_test.go:4 in TestLeak.func1, where it was started",
		}},
		{State: "select", Calls: "(*Reader).ReadSlice", Count: 2, Own: []string{"rpc/s.go:9 in (*Server).serve"}},
		{State: "deferred call at rpc/s.go:20 in hangUp: select", Panic: "a panic in reflect.Value.call", Count: 1, Own: []string{"rpc/method.go:47 in (*method).call"}},
	}, goroutines("/home/me/mine", output), "equal ones are counted")
	assert.Empty(t, goroutines("/home/you", output))
}

func TestStuck(t *testing.T) {
	ended := Goroutine{State: "running", Own: []string{"rpc/server_test.go:15 in TestX"}}
	client := Goroutine{State: "chan receive", Own: []string{"rpc/server_test.go:17 in TestX.func1"}}
	accepts := Goroutine{State: "select", Own: []string{"rpc/helpers_test.go:81 in (*pipeListener).Accept", "rpc/server.go:43 in (*Server).Serve"}}
	reads := Goroutine{State: "select", Calls: "(*Reader).ReadSlice", Own: []string{"rpc/line.go:9 in readLine"}}
	socket := Goroutine{State: "IO wait", Calls: "(*conn).Read", Own: []string{"rpc/line.go:9 in readLine"}}
	listens := Goroutine{State: "IO wait", Calls: "(*TCPListener).Accept", Own: []string{"rpc/server.go:43 in (*Server).Serve"}}
	panics := Goroutine{State: "deferred call: select", Panic: "a panic in reflect.Value.call", Own: []string{"rpc/method.go:47 in (*method).call"}}
	closes := Goroutine{State: "sync.WaitGroup.Wait", Own: []string{"rpc/server.go:90 in (*Server).Close", "rpc/server_test.go:20 in TestX.func2"}}
	locks := Goroutine{State: "sync.Mutex.Lock", Own: []string{"rpc/server.go:80 in (*Server).track"}}
	sends := Goroutine{State: "chan send", Own: []string{"rpc/client.go:80 in (*Client).readLoop"}}
	calls := Goroutine{State: "select", Own: []string{"rpc/client.go:30 in (*Client).Call"}}
	spins := Goroutine{State: "running", Own: []string{"rpc/server.go:3 in (*Server).Spin"}}
	for _, c := range []struct{ all, want []Goroutine }{
		{[]Goroutine{ended, client, accepts}, []Goroutine{accepts}},
		{[]Goroutine{ended, accepts, closes}, []Goroutine{closes, accepts}},
		{[]Goroutine{accepts, spins}, []Goroutine{spins, accepts}},
		{[]Goroutine{reads, socket, accepts, calls, locks, sends, closes}, []Goroutine{locks, sends, closes, calls, reads, socket, accepts}},
		{[]Goroutine{accepts, listens, reads, panics, locks}, []Goroutine{panics, locks, reads, accepts, listens}},
		{[]Goroutine{ended, client}, []Goroutine{client}},
		{[]Goroutine{ended}, []Goroutine{ended}},
		{nil, nil},
	} {
		assert.Equal(t, c.want, stuck(c.all))
	}
}

func TestAdvice_OfLocksLooksAtAllGoroutines(t *testing.T) {
	r := Result{Status: Hung, Stacks: []Goroutine{
		{State: "sync.WaitGroup.Wait", Own: []string{"rpc/a.go:1 in a"}}, {State: "chan send", Own: []string{"rpc/a.go:2 in b"}},
		{State: "chan send", Own: []string{"rpc/a.go:3 in c"}}, {State: "chan send", Own: []string{"rpc/a.go:4 in d"}},
		{State: "sync.RWMutex.RLock", Own: []string{"rpc/a.go:5 in e"}},
	}}
	assert.Contains(t, advice(r), "holds this lock")
}

func TestAdvice_SaysWhatAWaitGroupWaitsFor(t *testing.T) {
	closing := Goroutine{State: "sync.WaitGroup.Wait", Own: []string{"rpc/server.go:95 in (*Server).Close", "rpc/server_test.go:1 in TestA"}}
	reading := Goroutine{State: "select", Own: []string{"rpc/server_test.go:2 in lateConn.Read", "rpc/line.go:23 in readLine"}}
	inTest := Goroutine{State: "chan receive", Own: []string{"rpc/server_test.go:3 in TestA"}}
	const noDone, noClose = "Each Add needs a Done", "Wait waits for the goroutine at rpc/line.go:23 in readLine. What should end that one?"
	for name, c := range map[string]struct {
		r    Result
		want string
	}{
		"its goroutine has ended":   {Result{Status: Deadlocked, Stacks: []Goroutine{inTest, closing}}, noDone},
		"so in a program":           {Result{Status: Hung, Stacks: []Goroutine{closing}}, noDone},
		"its goroutine still reads": {Result{Status: Deadlocked, Stacks: []Goroutine{reading, closing}}, noClose},
	} {
		assert.Contains(t, advice(c.r), c.want, name)
	}
	assert.NotContains(t, advice(Result{Status: Deadlocked, Stacks: []Goroutine{reading}}), "Wait waits")
}

// Whatever way a test ends, the first hint is about that; the second shows where the code
// was. What the test found wrong, its own hints explain.
func TestHints_FitHowTheTestEnded(t *testing.T) {
	script := course.Test{Name: "TestScripts/echo", Package: "cmd", File: "testdata/script/echo.txtar"}
	in := func(state, calls string, own ...string) []Goroutine {
		return []Goroutine{{State: state, Calls: calls, Own: own, Count: 1}}
	}
	for name, c := range map[string]struct {
		r           Result
		first, then string
	}{
		"a wrong value": {failed("TestA", Failure{Expected: "1", Got: "2"}), "", ""},
		"a panic that is known": {Result{Status: Panicked, Panic: "assignment to entry in nil map", Stacks: in("running", "", "rpc/a.go:1 in a", "rpc/a.go:2 in b")},
			"The map on this line was never made.", "This is the way there, the last call first:\n\n    rpc/a.go:1 in a\n    rpc/a.go:2 in b"},
		"a panic of one's own": {Result{Status: Panicked, Panic: "todo", Stacks: in("running", "", "rpc/a.go:1 in a")},
			"It panics at rpc/a.go:1 in a. Which value on that line is not as you thought", ""},
		"a panic of the test": {Result{Status: Panicked, Panic: "todo", Stacks: in("running", "", "rpc/a_test.go:1 in TestA")},
			"The test itself panics, at rpc/a_test.go:1 in TestA.", ""},
		"a receive": {Result{Status: Deadlocked, Panic: "deadlock: all", Stacks: in("chan receive", "", "rpc/a.go:1 in a")},
			"Your code waits for a channel at rpc/a.go:1 in a. Which goroutine should send on it", "These goroutines were there at the end, and what each was doing:\n\n    chan receive\n    rpc/a.go:1 in a"},
		"a send":           {Result{Status: Hung, Stacks: in("chan send", "", "rpc/a.go:1 in a")}, "Your code wants to send on a channel at rpc/a.go:1 in a", "These goroutines"},
		"a select":         {Result{Status: Hung, Stacks: in("select", "", "rpc/a.go:1 in a")}, "Your code waits in a select at rpc/a.go:1 in a", "These goroutines"},
		"a read":           {Result{Status: Hung, Stacks: in("select", "(*pipe).Read", "rpc/a.go:1 in a")}, "Your code reads at rpc/a.go:1 in a, and nothing arrives.", "These goroutines"},
		"an accept":        {Result{Status: Hung, Stacks: in("IO wait", "(*TCPListener).Accept", "rpc/a.go:1 in a")}, "Your code waits for a connection at rpc/a.go:1 in a", "These goroutines"},
		"a condition":      {Result{Status: Hung, Stacks: in("sync.Cond.Wait", "", "rpc/a.go:1 in a")}, "Your code waits at rpc/a.go:1 in a (sync.Cond.Wait).", "These goroutines"},
		"a loop":           {Result{Status: Hung, Stacks: in("runnable", "", "rpc/a.go:1 in a")}, "Your code was still at work at rpc/a.go:1 in a when the time was over.", "These goroutines"},
		"much work":        {Result{Status: Hung, Stacks: in("preempted", "", "rpc/a.go:1 in a")}, "Is there a loop that does not end? If the machine is only busy, give each test more time", "These goroutines"},
		"the test waits":   {Result{Status: Hung, Stacks: in("chan receive", "", "rpc/a_test.go:1 in TestA")}, "No goroutine of your code is left. The test waits at rpc/a_test.go:1 in TestA", "These goroutines"},
		"nothing is known": {Result{Status: Hung}, "No goroutine of your code waits. Look for a loop", ""},
		"a leak":           {Result{Status: Deadlocked, Panic: "deadlock: blocked goroutines remain", Stacks: in("select", "(*pipe).Read", "rpc/a.go:1 in a")}, "The answers may be right, but a goroutine stays behind.", "These goroutines"},
		"a race": {Result{Status: Raced, Race: []string{"read at rpc/a.go:1 in a", "write at rpc/a.go:2 in b"}, calls: [][]string{{"rpc/a.go:3 in c"}, nil}},
			"Both lines use the same variable.", "The two sides, and who called them:\n\n    read at rpc/a.go:1 in a\n      called at rpc/a.go:3 in c\n    write at rpc/a.go:2 in b"},
		"a stub": {Result{Status: Failed, Stub: &Stub{"Server.Close", "rpc/server.go:3"}, Next: "Server.Close"},
			"Write Server.Close in rpc/server.go first", `The lesson comes to Server.Close under "Everything that is open": `},
		"a program that waits": {Result{Test: script, Status: Hung, Stacks: in("chan receive", "", "cmd/script_test.go:22 in TestMain")},
			"The script waits for a program that does not end.", "These goroutines"},
	} {
		root, err := course.Root(".")
		require.NoError(t, err)
		report := &Report{Target: Target{Root: root, Station: find(t, "01")}, Packages: []*Package{{Name: "rpc"}, {Name: "cmd"}}}
		hints := append(report.hints(c.r), "", "")
		assert.Contains(t, hints[0], c.first, name)
		assert.Equal(t, c.first == "", hints[0] == "", name)
		assert.Contains(t, hints[1], c.then, name)
		assert.Equal(t, c.then == "", hints[1] == "", name)
	}

	report := &Report{Target: Target{Station: find(t, "01")}, Packages: []*Package{{Name: "rpc", stubs: []Stub{{"Server.Close", "rpc/server.go:3"}}}, {Name: "cmd"}}}
	assert.Contains(t, report.hints(Result{Test: script, Status: Failed})[0], "they need Server.Close in rpc, which is yours to write")
}

func TestAdvice_ARaceOfTheTestsAlone(t *testing.T) {
	for side, own := range map[string]bool{
		"read at rpc/a_test.go:1 in write": false,
		"read in Write, outside your code": false,
		"read at rpc/a.go:1 in a":          true,
		"read in Write, outside your code, in the goroutine started at rpc/a.go:1 in a": true,
	} {
		text := advice(Result{Status: Raced, Race: []string{side, "write in tRunner.func1, outside your code"}})
		assert.Equal(t, own, text == "Both lines use the same variable. Which lock guards it, and which of the two does not take it?", side)
		assert.Equal(t, !own, strings.HasPrefix(text, "No line of your code is in this race"), side)
	}
}

// A test that is slow on a busy machine does not wait for anything.
func TestCause_SlowWorkIsNoWait(t *testing.T) {
	for state, want := range map[string]string{
		"preempted":       "takes too long: still at work at rpc/a.go:1 in a",
		"GC assist wait":  "takes too long: still at work at rpc/a.go:1 in a",
		"sync.Mutex.Lock": "hangs: sync.Mutex.Lock at rpc/a.go:1 in a",
	} {
		assert.Equal(t, want, cause(Result{Status: Hung, Stacks: []Goroutine{{State: state, Own: []string{"rpc/a.go:1 in a"}}}}))
	}
}

// What check has shown of a test, the next hint does not show again.
func TestWhy_LeavesOutWhatWasShown(t *testing.T) {
	result := Result{Test: test("TestA"), Status: Panicked, Panic: "index out of range", Stacks: []Goroutine{{State: "running", Own: []string{"rpc/a.go:1 in a", "rpc/a.go:9 in b"}}}}
	report := &Report{Target: Target{Station: find(t, "01")}, Results: []Result{result}}
	unseen := report.Why("")["TestA"].Hints
	require.Len(t, unseen, 2)
	assert.Contains(t, unseen[1], "This is the way there")
	assert.Equal(t, unseen[:1], report.Why("TestA")["TestA"].Hints)
}

// A program that the race detector ends says it by its exit status alone.
func TestCause_ARaceInAProgram(t *testing.T) {
	result := failed("TestScripts/signals", Failure{Place: "testdata/script/signals.txtar:4", What: []string{"exit status 66"}})
	assert.Equal(t, "data race in a program that the script runs (exit status 66)", cause(result))
	report := &Report{Target: Target{Station: find(t, "01")}, Results: []Result{result}}
	assert.Contains(t, report.Why("")["TestScripts/signals"].Hints[0], "go run -race ./cmd/server")
	assert.Equal(t, "exit status 66", cause(failed("TestA", result.Failures...)))
}

func TestAdvice_ServeIsBusy(t *testing.T) {
	assert.Contains(t, advice(failed("TestA", Failure{What: []string{"the server accepts no connection"}})), "with the keyword go")
}

// The runtime's frame for a close is in no trace.
func TestGoroutines_NameAPanicOfClose(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{"rpc/server.go": "package rpc\n\nfunc (s *Server) Close() {\n\tclose(s.done)\n\tconn.Close()\n}\n"})
	for line, want := range map[string]string{"4": "a panic (close of closed or nil channel)", "5": "a panic"} {
		trace := "goroutine 7 [sync.Mutex.Lock]:\ninternal/sync.runtime_SemacquireMutex(0x0)\n\t/go/src/sema.go:95 +0x25\n" +
			"panic({0x1?, 0x2?})\n\t/go/src/runtime/panic.go:860 +0x13a\n" +
			"example.com/mine/rpc.(*Server).Close(0x3)\n\t" + dir + "/rpc/server.go:" + line + " +0x10\n"
		all := goroutines(dir, trace)
		require.Len(t, all, 1)
		assert.Equal(t, want, all[0].Panic)
	}
	assert.Contains(t, panicAdvice("a panic (close of closed or nil channel)"), "closed twice")
}

func TestBounded_KeepsBothEnds(t *testing.T) {
	var b bounded
	for range 1000 {
		n, err := b.Write([]byte(strings.Repeat("x", 1023) + "\n"))
		assert.NoError(t, err)
		assert.Equal(t, 1024, n)
	}
	b.Write([]byte("the end"))
	text := b.String()
	assert.True(t, strings.HasPrefix(text, "xxx"))
	assert.True(t, strings.HasSuffix(text, "the end"))
	assert.Contains(t, text, "bytes left out")
	assert.Less(t, len(text), 3*boundedHalf)

	var short bounded
	short.Write([]byte("all"))
	assert.Equal(t, "all", short.String())
}

func TestRace_NamesWhatIsOutsideTheLearnersCode(t *testing.T) {
	const output = `===========}

WARNING: DATA RACE
Write at 0x00c0000b4010 by goroutine 9:
  bytes.(*Buffer).Write()
      /usr/local/go/src/bytes/buffer.go:180 +0x64

Previous read at 0x00c0000b4010 by goroutine 8:
  bytes.(*Buffer).WriteTo()
      /usr/local/go/src/bytes/buffer.go:270 +0x64
  example.com/mine/rpc.(*Client).write()
      /home/me/mine/rpc/client.go:9 +0x64

Goroutine 9 (running) created at:
  example.com/mine/rpc.(*Client).send()
      /home/me/mine/rpc/client.go:20 +0x64

Goroutine 8 (finished) created at:
  example.com/mine/rpc.(*Client).send()
      /home/me/mine/rpc/client.go:20 +0x64
===========}

`
	sides, _ := race("/home/me/mine", output)
	assert.Equal(t, []string{
		"write in (*Buffer).Write, outside your code, in the goroutine started at rpc/client.go:20 in (*Client).send",
		"read at rpc/client.go:9 in (*Client).write",
	}, sides)
	assert.Equal(t, "rpc/client.go:9", guilty(Result{Status: Raced, Race: sides}))

	sides, _ = race("/home/me/mine", "WARNING: DATA RACE\nWrite at 0x00c0000b4010 by goroutine 9:\n  [failed to restore the stack]\n\n==================")
	assert.Equal(t, []string{"write outside your code"}, sides)
}

// Where both sides are on one line, the mistake is in what calls it. What goes wrong
// afterwards, a panic too, comes of the race.
func TestRace_BeatsAPanicAndNamesTheCalls(t *testing.T) {
	const output = `===========}

WARNING: DATA RACE
Read at 0x00c000092148 by goroutine 15:
  bufio.(*Reader).ReadSlice()
      /usr/local/go/src/bufio/bufio.go:352 +0xa9
  example.com/mine/rpc.readLine()
      /home/me/mine/rpc/line.go:23 +0x5c
  example.com/mine/rpc.(*Client).Call()
      /home/me/mine/rpc/client.go:56 +0x285
  example.com/mine/rpc.call()
      /home/me/mine/rpc/helpers_test.go:51 +0x1c5

Previous write at 0x00c000092148 by goroutine 23:
  bufio.(*Reader).fill()
      /usr/local/go/src/bufio/bufio.go:104 +0x184
  example.com/mine/rpc.readLine()
      /home/me/mine/rpc/line.go:23 +0x5c
===========}

panic: runtime error: slice bounds out of range [361:193]

goroutine 15 [running]:
example.com/mine/rpc.readLine(0x1)
	/home/me/mine/rpc/line.go:23 +0x5c
`
	r := Result{Test: test("TestA"), New: true}
	r.explain("/home/me/mine", "rpc", []event{{Action: "output", Output: output}}, errors.New("exit status 2"))
	assert.Equal(t, Raced, r.Status)
	text := printed(&Report{Target: Target{Station: find(t, "03")}, Results: []Result{r}}, Printer{})
	assert.Contains(t, text, `Begin with TestA
  race      two goroutines use the same memory at once, and one of them writes:
            read at rpc/line.go:23 in readLine
              called at rpc/client.go:56 in (*Client).Call
            write at rpc/line.go:23 in readLine
  hint      Both goroutines are on this line, and use the same value. Which lock has to be held around the call?
`)
}

func TestFailures_OfAChannelThatIsNotEmpty(t *testing.T) {
	f := Failure{}
	f.readError([]string{"Should be empty, but was 0xc0000b4010"})
	assert.Equal(t, "expected nothing on the channel, got a value", f.message(inList))
	f = Failure{}
	f.readError([]string{`"0x1eb12f714af0" should have 1 item(s), but has 0`})
	assert.Equal(t, "expected 1 value on the channel, got 0", f.message(inList))
}

func TestFailures_OfAnErrorThatShouldNotMatch(t *testing.T) {
	f := Failure{}
	f.readError([]string{"Target error should not be in err chain:", `found: ""`, `in chain: "plain"`})
	assert.Equal(t, `expected no error that is "", got "plain"`, f.message(inList))
}

func TestFailures_OfAnErrorThatIsNotTheOneExpected(t *testing.T) {
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{`Expected error with "rpc: server closed" in chain but got nil.`}, `expected "rpc: server closed", got no error`},
		{[]string{"Target error should be in err chain:", `expected: "server closed"`, `in chain: "server closed"`},
			`same text, another error: return it itself, or wrap it by %w: expected "server closed", got "server closed"`},
		{[]string{"Target error should be in err chain:", `expected: "EOF"`, `in chain: "rpc: EOF"`, "\t\"EOF\""},
			`same text, another error: return it itself, or wrap it by %w: expected "EOF", got "rpc: EOF"`},
		{[]string{"Target error should be in err chain:", `expected: "EOF"`, `in chain: "rpc: EOF"`},
			`errors.Is does not find it in this text: wrap it by %w: expected "EOF", got "rpc: EOF"`},
		{[]string{"Target error should be in err chain:", `expected: "EOF"`, `in chain: "reset"`}, `errors.Is does not find the expected error: expected "EOF", got "reset"`},
	} {
		f := Failure{}
		f.readError(c.lines)
		assert.Equal(t, c.want, f.message(maxWidth))
	}
}

func TestLacks_LooksAtWhatTheCompilerMisses(t *testing.T) {
	mistakes := []string{
		"rpc/a_test.go:1:1: srv.RegisterService undefined (type *testServer has no field or method RegisterService)",
		"rpc/a_test.go:2:1: cannot use func(ctx context.Context) (value of type func(ctx context.Context)) as func() value in struct literal",
		"rpc/a_test.go:3:1: undefined: newResponse",
		"rpc/a_test.go:4:1: unknown field Handle in struct literal of type Server",
		"cmd/a_test.go:5:1: undefined: rpc.Code",
	}
	for name, want := range map[string]bool{"Server.RegisterService": true, "newResponse": true, "Server.Handle": true, "Code": true,
		"Server.method": false, "Server.ctx": false, "Response.Code": false, "Request.Handle": false} {
		assert.Equal(t, want, lacks(mistakes, name), name)
	}
}

func TestFold_CountsEqualFailures(t *testing.T) {
	same, other := Failure{Place: "rpc/a_test.go:5", Got: "1"}, Failure{Place: "rpc/a_test.go:5", Got: "2"}
	r := Result{Test: test("TestA"), Status: Failed, Failures: fold([]Failure{same, other, same, same})}
	problems := (&Report{}).ProblemsOf(r)
	assert.Equal(t, []Problem{{"rpc/a_test.go:5:1", "TestA: got 1 (3 times)"}, {"rpc/a_test.go:5:1", "TestA: got 2"}}, problems)
}
