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

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/conform/reference"
	"example.com/rpc-from-scratch/final/internal/seldom"
)

const root = "../.."

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

// verdicts tests a server, or a client, and returns what failed, why, what was
// skipped, and what depends on which failed rule. Only rules that are foretold to get no
// answer wait for a short time: the others have all the time that a busy computer may
// need.
func verdicts(t *testing.T, rules []Rule, s *server, foretold string) (failed map[string]string, skipped []string, depend map[string]string) {
	failed, depend = map[string]string{}, map[string]string{}
	broken := broken{}
	for _, r := range rules {
		patient := *s
		if patient.timeout = 30 * time.Second; foretold == r.Name {
			patient.timeout = time.Second
		}
		result := patient.result(r, broken)
		broken.note(result)
		switch {
		case result.DependsOn != "":
			depend[r.Name] = result.DependsOn
		case result.Verdict == Fail:
			failed[r.Name] = result.Failure.Reason
			var b bytes.Buffer
			(&Printer{W: &b}).Print(result)
			t.Log(b.String())
		case result.Verdict == Skipped:
			skipped = append(skipped, r.Name)
		}
	}
	return failed, skipped, depend
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
	failed, skipped, _ := verdicts(t, allRules(t), &server{addr: addr, restart: start}, "")
	assert.Empty(t, failed)
	assert.Equal(t, []string{"hello: it does not come", "frame: it does not end"}, skipped)
	require.NoError(t, end())
}

func TestConform_AnotherServerKeepsTheRules(t *testing.T) {
	seldom.Test(t)
	t.Parallel()
	addr, _ := serveMini(t, "")
	failed, skipped, _ := verdicts(t, allRules(t), &server{addr: addr, restart: func() (string, func() error, error) {
		addr, end := serveMini(t, "")
		return addr, end, nil
	}}, "")
	assert.Empty(t, failed)
	assert.Equal(t, []string{"hello: it does not come", "frame: it does not end", "protobuf: a call", "compression: gzip", "compression: too much comes out", "streams: a compressed item"}, skipped)
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
	clients, err := ClientRules(root)
	require.NoError(t, err)
	for _, r := range append(allRules(t), clients...) {
		assert.Contains(t, text, r.Says, r.Name)
		assert.False(t, names[r.Name], "%s: twice", r.Name)
		names[r.Name] = true
	}
}

// Every section is a rule, or has a reason not to be.
func TestRules_LeaveOutNoSection(t *testing.T) {
	without := map[string]string{
		"idle":                                 "nobody waits for ten minutes",
		"request: more calls than announced":   "in flight: no more than announced",
		"shutdown":                             "shutdown: what is in flight is answered",
		"client: calls that were not served":   "client: a go-away below its call",
		"client: reply metadata without sense": "a client may not want them",
		"shutdown, and a call too late":        "shutdown: a call too late",
	}
	// Of streams, a rule plays what is wrong to a client, one after the other.
	const ends, fails = "client: streams: bad: what a connection cannot go on from", "client: streams: bad: what its stream cannot go on from"
	const header = "a client may not want reply metadata"
	playedToClients := map[string]string{
		"client: bad: open from a server": ends, "client: bad: data for no stream": ends, "client: bad: data for a call": ends,
		"client: bad: data of streams that were not granted": "client: bad: unknown kind", "client: bad: a grant of no streams": "client: streams: not granted",
		"client: bad: a grant with too small a window": "client: streams: not granted", "client: bad: credit of 0": ends, "client: bad: credit that overflows": ends,
		"client: bad: credit for a stream that is not open": ends, "client: bad: want of 0": ends, "client: bad: end cut short": ends, "client: bad: end and more": ends,
		"client: bad: flag of another kind on an end": ends, "client: bad: a second end": ends, "client: bad: header that was not agreed upon": ends,
		"client: bad: trailer that was not agreed upon": ends, "client: bad: header of a stream that is not open": header, "client: bad: flags on a header": header,
		"client: bad: trailer cut short": header, "client: bad: a second header": header, "client: bad: a header after an item": header,
		"client: a header without sense": header, "client: an item that is not JSON": fails, "client: a short fragment": fails,
		"client: a stream that was not served": "client: a go-away below its call",
	}
	names := map[string]bool{header: true}
	clients, err := ClientRules(root)
	require.NoError(t, err)
	for _, r := range append(allRules(t), clients...) {
		names[r.Name] = true
	}
	for section, rule := range playedToClients {
		assert.True(t, names[rule], "%s: there is no rule %q", section, rule)
	}
	// Those of reply metadata are rules of their own, since a server may not grant them.
	for _, file := range []string{callsFile, oddFile, helloBadFile, badFile, goAwayFile, clientBadFile} {
		sections, err := readCapture(root, file)
		require.NoError(t, err)
		for name, s := range sections {
			offered := bytes.Contains(s.Packets[0].Data, []byte(frames.Streams)) // a server's rules are rules of their own, as for reply metadata
			streams := offered && file != clientBadFile && file != goAwayFile || playedToClients[name] != ""
			assert.True(t, names[name] || streams || without[name] != "", "%s: %s", file, name)
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
		"TestPlaces_OneHostOverTCP":                             "what an address may have is the server's",
		"TestPlaces_OneHostLeavesHandlersToOthers":              "what an address may have is the server's",
		"TestServer_TooManyPingsEndTheConnection":               "a server may take more pings",
		"TestParams_MemoryIsBoundedUnderAttack":                 "how much memory params take is the server's",
		"TestServer_AuthorizeRunsBeforeParamsAreDecoded":        "a server that knows its users",
		"TestServer_MessageSizesAreBoundedBothWays":             "reply: above the client's limit",
		"TestServer_HalfClosedTruncatedFrameIsToldWhy":          "half-close: within a frame",
		"TestGob_BrokenStreamEndsTheConnectionWithAReason":      "gob",
		"TestWire_ClientThatAsksAndDoesNotReadIsCutOff":         "kernels buffer more than 2 MiB, or less",
		"TestServer_BadStreamFrameIsAnsweredWithAGoAway":        "the window is the server's",
		"TestServer_BadStreamFrameFailsTheStream":               "it needs a handler that outlasts the client's half",
		"TestWithStreamMemory_RefusesStreamsThatHaveNoRoom":     "how much memory streams take is the server's",
		"TestClient_BadStreamFrameEndsTheConnection":            "the window is the client's",
	}
	for _, m := range regexp.MustCompile("\\| `(Test\\w+)` \\|").FindAllStringSubmatch(page(t), -1) {
		assert.NotEmpty(t, rules[m[1]], m[1])
	}
}

// The tests start servers in this process, where there is no standard error of theirs.
func TestResult_FailureOfAServerWithoutStderr(t *testing.T) {
	s := &server{restart: func() (string, func() error, error) { return "", nil, nil }}
	got := s.result(Rule{test: func(*server) error { return &Failure{Reason: "no"} }}, broken{})
	assert.Equal(t, &Failure{Reason: "no"}, got.Failure)
}
