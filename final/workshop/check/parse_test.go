package check

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

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

// testifyOutput is what testify 1.12 and testing print, with its tabs as ⇥.
var testifyOutput = strings.ReplaceAll(`--- FAIL: TestX (0.00s)
    --- FAIL: TestX/a_b (0.00s)
        x_test.go:9: a log line
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
    x_test.go:12: 
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
    x_test.go:15: 
        ⇥Error Trace:⇥/tmp/rpc/x_test.go:15
        ⇥Error:      ⇥"abc" does not contain "x"
        ⇥Test:       ⇥TestX
    x_test.go:16: first
        second
    testing.go:1712: race detected during execution of test
FAIL
`, "⇥", "\t")

func TestFailures_OfTestify(t *testing.T) {
	want := []Failure{
		{Test: "a_b", Place: "rpc/x_test.go:9", What: []string{"a log line"}},
		{Test: "a_b", Place: "rpc/x_test.go:10", Expected: `"a\nb"`, Came: `"a\nX"`, More: []string{" a", "-b", "+X"}, Message: "what is"},
		{Place: "rpc/x_test.go:12", Expected: "no error", Came: "rpc: Dial is yours to write (step 03)"},
		{Place: "rpc/x_test.go:13", What: []string{"Target error should be in err chain:"}, Expected: `"EOF"`, Came: `"rpc: closed"`},
		{Place: "rpc/x_test.go:14", Expected: "an error", Came: "none"},
		{Place: "rpc/x_test.go:15", What: []string{`"abc" does not contain "x"`}},
		{Place: "rpc/x_test.go:16", What: []string{"first", "second"}},
	}
	assert.Equal(t, want, failures("rpc", testifyOutput))
	assert.Equal(t, want, failures("rpc", strings.ReplaceAll(testifyOutput, "\n", "\r\n")))
}

func TestFailures_OfAScript(t *testing.T) {
	const output = `--- FAIL: TestScripts (0.00s)
    --- FAIL: TestScripts/call (0.08s)
        testscript.go:609: # The client makes one call. (0.052s)
            > exec client
            # What the server refuses. (0.020s)
            > exec client -addr $ADDR ''
            [stderr]
            client: invalid request
            FAIL: ../testdata/script/call.txtar:10: unexpected command failure
            
FAIL
`
	assert.Equal(t, []Failure{{
		Place: "testdata/script/call.txtar:10",
		What:  []string{"unexpected command failure"},
		More:  []string{"# What the server refuses. (0.020s)", "> exec client -addr $ADDR ''", "[stderr]", "client: invalid request"},
	}}, failures("cmd", output))
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
`
	assert.Equal(t, []Goroutine{{
		State: "chan receive (durable), synctest bubble 1",
		Own: []string{
			"rpc/s.go:4 in (*Server).Wait",
			"rpc/s_test.go:3 in TestDeadlock.func1",
			"rpc/s_test.go:4 in TestLeak.func1, where it was started",
		},
	}}, goroutines("/home/me/mine", output))
	assert.Empty(t, goroutines("/home/you", output))
}

func TestStuck(t *testing.T) {
	ended := Goroutine{"running", []string{"rpc/server_test.go:15 in TestX"}}
	client := Goroutine{"chan receive", []string{"rpc/server_test.go:17 in TestX.func1"}}
	accepts := Goroutine{"select", []string{"rpc/helpers_test.go:81 in (*pipeListener).Accept", "rpc/server.go:43 in (*Server).Serve"}}
	closes := Goroutine{"sync.WaitGroup.Wait", []string{"rpc/server.go:90 in (*Server).Close", "rpc/server_test.go:20 in TestX.func2"}}
	spins := Goroutine{"running", []string{"rpc/server.go:3 in (*Server).Spin"}}
	for _, c := range []struct{ all, want []Goroutine }{
		{[]Goroutine{ended, client, accepts}, []Goroutine{accepts}},
		{[]Goroutine{ended, accepts, closes}, []Goroutine{closes, accepts}},
		{[]Goroutine{accepts, spins}, []Goroutine{spins, accepts}},
		{[]Goroutine{ended, client}, []Goroutine{client}},
		{[]Goroutine{ended}, []Goroutine{ended}},
		{nil, nil},
	} {
		assert.Equal(t, c.want, stuck(c.all))
	}
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
