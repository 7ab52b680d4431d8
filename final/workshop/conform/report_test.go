package conform

import (
	"bytes"
	"context"
	"net"
	"os"
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
			Print(&out, judge(r, s))
		}
	}
	assert.Equal(t, strings.TrimPrefix(`
FAIL    request: unknown method
        rule      the handler was never started: the call may be made again without doing anything twice
        failed    another answer
        sent      0000  00 00 00 2e 01 00 00 00 00 00 00 00 00 01 00 00 00 00 00 0e 49 6e 76 65 … 26 bytes more
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

// A server that takes connections and says nothing is not waited for by every rule.
func TestRun_GivesUpOnASilentServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the system takes the connections
	require.NoError(t, err)
	defer ln.Close()
	var sum Summary
	var last Result
	rules := allRules(t)
	require.NoError(t, Run(t.Context(), rules, Options{Addr: ln.Addr().String(), Timeout: 20 * time.Millisecond}, func(r Result) {
		sum.Add(r)
		last = r
		if r.Verdict == Fail {
			assert.Equal(t, "no answer within 20ms", r.Failure.Reason)
		}
	}))
	assert.Equal(t, Summary{Failed: hopeless, Skipped: len(rules) - hopeless}, sum)
	assert.Equal(t, "5 rules before it got no answer at all", last.Why)
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
