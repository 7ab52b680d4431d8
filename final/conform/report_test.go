package conform

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPrint_PointsAtTheFirstDifference(t *testing.T) {
	addr, _ := serveMini(t, "has another code for unknown methods")
	var out bytes.Buffer
	s := &server{addr: addr, timeout: 5 * time.Second}
	for _, r := range allRules(t) {
		if r.Name == "request: unknown method" {
			(&Printer{W: &out}).Print(judge(r, s))
		}
	}
	assert.Equal(t, strings.TrimPrefix(`
FAIL    request: unknown method
        rule      the handler was never started: the call may be made again without doing anything twice
        failed    another answer
        sent      0000  00 00 00 2e 01 00 00 00 00 00 00 00 00 01 00 00 00 00 00 0e 49 6e 76 65 … 26 more
        expected  error 1 unimplemented, flags 08, "refused"
        received  error 1 not_found, flags 08, "refused"
        expected  0000  00 00 00 14 03 08 00 00 00 00 00 00 00 01 0c 00 07 72 65 66 75 73 65 64
        received  0000  00 00 00 14 03 08 00 00 00 00 00 00 00 01 05 00 07 72 65 66 75 73 65 64
                                                                  ^ byte 14
`, "\n"), out.String())

	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	assert.Contains(t, string(readme), "    "+strings.ReplaceAll(strings.TrimSpace(out.String()), "\n", "\n    "))
}

func TestPrintJSON_HasTheBytes(t *testing.T) {
	var out bytes.Buffer
	r := Result{Rule: Rule{Name: "a", Says: "b"}, Verdict: Fail, Failure: &Failure{Reason: "c", Sent: []byte{1}, Received: []byte{0xff, 0}}}
	require.NoError(t, PrintJSON(&out, r))
	assert.JSONEq(t, `{"rule":"a","says":"b","verdict":"FAIL","why":"c","sent":"01","received":"ff00"}`, out.String())
}

// Of a server that takes connections and says nothing, one rule is reported as broken,
// the first: all others depend on it.
func TestRun_ReportsASilentServerOnce(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the system takes the connections
	require.NoError(t, err)
	defer ln.Close()
	o := Options{Addr: ln.Addr().String(), Timeout: 20 * time.Millisecond}
	var sum Summary
	var results []Result
	report := func(r Result) {
		sum.Add(r)
		results = append(results, r)
	}
	rules := allRules(t)
	require.NoError(t, Run(t.Context(), rules, o, report))
	assert.Equal(t, "no answer within 20ms", results[0].Failure.Reason)
	assert.Equal(t, Summary{Failed: 1, Skipped: len(rules) - 1, Depend: len(rules) - 1}, sum)
	last := results[len(results)-1]
	assert.Equal(t, "not checked: depends on hello: a good one is accepted", last.Why)
	var out bytes.Buffer
	require.NoError(t, PrintJSON(&out, last))
	assert.Contains(t, out.String(), `"depends_on":"hello: a good one is accepted"`)

	o.Only = regexp.MustCompile("^cancel twice$") // without the rules on which it depends
	assert.ErrorContains(t, Run(t.Context(), rules, o, report), "the server does not say hello: no answer within 20ms")
}

// Of a server that ends, only the rule that ended it is reported, and no rule after it.
func TestRun_StopsWhenTheServerDoes(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go (&mini{ctx: ctx}).serve(ln)
	quits := Rule{Name: "it quits", test: func(*server) error { ln.Close(); return &Failure{Reason: "it did"} }}
	for _, first := range []Rule{quits, {Name: "it quits", test: func(*server) error { ln.Close(); return nil }}} {
		var names []string
		rules := append([]Rule{first}, allRules(t)...)
		o := Options{Addr: ln.Addr().String(), Timeout: time.Second, Only: regexp.MustCompile("^(it quits|cancel.*)$")}
		s := &server{addr: o.Addr, timeout: o.Timeout}
		err = s.each(t.Context(), rules, o.Only, func(r Result) { names = append(names, r.Rule.Name) })
		assert.ErrorContains(t, err, `the server does not answer any more after the rule "it quits", so the rest is not checked: cannot connect`)
		assert.Equal(t, []string{"it quits"}, names)
	}
}

// A program's standard error is shown below the rule that failed, its last lines alone.
func TestPrint_ShowsWhatTheProgramWrote(t *testing.T) {
	said := &tail{}
	for i := range 1000 {
		fmt.Fprintf(said, "line %d\x1b[2J\n", i)
	}
	lines := said.since(0)
	require.Len(t, lines, stderrLines+1)
	assert.Equal(t, "…", lines[0])
	assert.Equal(t, `line 999\u001b[2J`, lines[stderrLines])
	assert.Empty(t, said.since(said.written()))
	var out bytes.Buffer
	r := Result{Rule: Rule{Name: "a"}, Verdict: Fail, Failure: &Failure{Reason: "b", Stderr: []string{"panic: c", ""}}}
	(&Printer{W: &out}).Print(r)
	assert.Equal(t, "FAIL    a\n        failed    b\n        stderr    | panic: c\n        stderr    | \n", out.String())
	out.Reset()
	require.NoError(t, PrintJSON(&out, r))
	assert.Contains(t, out.String(), `"stderr":["panic: c",""]`)
}

func TestRun_NeedsAServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	never := func(Result) { t.Error("a verdict") }
	err = Run(t.Context(), allRules(t), Options{Addr: ln.Addr().String(), Timeout: time.Second}, never)
	assert.ErrorContains(t, err, "no server can be reached: ")
	err = Run(t.Context(), allRules(t), Options{Command: []string{"no-such-program"}}, never)
	assert.ErrorContains(t, err, "no-such-program")

	addr, _ := serveMini(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, Run(ctx, allRules(t), Options{Addr: addr, Timeout: time.Second}, never), context.Canceled)
}
