package conform

import (
	"bytes"
	"context"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/conform/reference"
)

const root = "../../.."

func allRules(t *testing.T) []Rule {
	t.Helper()
	rules, err := Rules(root)
	require.NoError(t, err)
	return rules
}

// serveMini runs a mini server until the test ends.
func serveMini(t *testing.T, fault string) (addr string, end func() error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	go (&mini{fault: fault, ctx: ctx}).serve(ln)
	t.Cleanup(func() {
		cancel()
		ln.Close()
	})
	return ln.Addr().String(), func() error { cancel(); return nil }
}

// verdicts tests a server and returns what failed, why, and what was skipped.
func verdicts(t *testing.T, s *server) (failed map[string]string, skipped []string) {
	failed = map[string]string{}
	err := s.test(t.Context(), allRules(t), nil, func(r Result) {
		switch r.Verdict {
		case Fail:
			failed[r.Rule.Name] = r.Failure.Reason
			var b bytes.Buffer
			Print(&b, r)
			t.Log(b.String())
		case Skipped:
			skipped = append(skipped, r.Rule.Name)
		}
	})
	assert.NoError(t, err)
	return failed, skipped
}

func TestConform_FinalKeepsTheRules(t *testing.T) {
	t.Parallel()
	start := func() (string, func() error, error) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		t.Cleanup(cancel)
		served := make(chan error, 1)
		go func() { served <- reference.Serve(ctx, ln) }()
		return ln.Addr().String(), func() error { cancel(); return <-served }, nil
	}
	addr, end, _ := start()
	failed, skipped := verdicts(t, &server{addr: addr, timeout: 10 * time.Second, restart: start})
	assert.Empty(t, failed)
	assert.Equal(t, []string{"hello: it does not come", "frame: it does not end"}, skipped)
	require.NoError(t, end())
}

func TestConform_AnotherServerKeepsTheRules(t *testing.T) {
	t.Parallel()
	addr, _ := serveMini(t, "")
	failed, skipped := verdicts(t, &server{addr: addr, timeout: 10 * time.Second, restart: func() (string, func() error, error) {
		addr, end := serveMini(t, "")
		return addr, end, nil
	}})
	assert.Empty(t, failed)
	assert.Equal(t, []string{"hello: it does not come", "frame: it does not end", "protobuf: a call"}, skipped)
}

// page is PROTOCOL.md, its lines joined.
func page(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "final", "PROTOCOL.md"))
	require.NoError(t, err)
	return strings.Join(strings.Fields(string(text)), " ")
}

func TestRules_AreWhatThePageSays(t *testing.T) {
	text := page(t)
	names := map[string]bool{}
	for _, r := range allRules(t) {
		assert.Contains(t, text, r.Says, r.Name)
		assert.False(t, names[r.Name], "%s: twice", r.Name)
		names[r.Name] = true
	}
}

// Every section that shows a server's side is a rule, or has a reason not to be.
func TestRules_LeaveOutNoSection(t *testing.T) {
	without := map[string]string{
		"idle":                               "nobody waits for ten minutes",
		"request: more calls than announced": "in flight: no more than announced",
		"shutdown":                           "shutdown: what is in flight is answered",
		"shutdown, and a call too late":      "shutdown: a call too late",
	}
	names := map[string]bool{}
	for _, r := range allRules(t) {
		names[r.Name] = true
	}
	for _, file := range []string{callsFile, oddFile, helloBadFile, badFile, "final-go-away.txt"} {
		sections, err := readCapture(root, file)
		require.NoError(t, err)
		for name := range sections {
			if !strings.HasPrefix(name, "client: ") {
				assert.True(t, names[name] || without[name] != "", "%s: %s", file, name)
			}
		}
	}
}

// The rows of PROTOCOL.md's bad input that no section shows, but a test of
// final's own, are rules, too, or need a server that is set in a special way.
func TestRules_HaveTheBadInputThatOnlyTestsShow(t *testing.T) {
	rules := map[string]string{
		"TestWire_OneConnectionTooManyIsRefused":                "a server of few connections",
		"TestServer_BadRequestIsAnsweredAndTheConnectionGoesOn": "the depth of JSON is the server's",
		"TestServer_MetadataIsBounded":                          "metadata: above the limit",
		"TestServer_BoundsHandlersOfAllConnections":             "a server of few calls",
		"TestServer_AuthorizeRunsBeforeParamsAreDecoded":        "a server that knows its users",
		"TestServer_MessageSizesAreBoundedBothWays":             "reply: above the client's limit",
		"TestServer_HalfClosedTruncatedFrameIsToldWhy":          "half-close: within a frame",
		"TestGob_BrokenStreamEndsTheConnectionWithAReason":      "gob",
		"TestWire_ClientThatAsksAndDoesNotReadIsCutOff":         "kernels buffer more than 2 MiB, or less",
	}
	for _, m := range regexp.MustCompile("\\| `(Test\\w+)` \\|").FindAllStringSubmatch(page(t), -1) {
		assert.NotEmpty(t, rules[m[1]], m[1])
	}
}
