package conform

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/internal/seldom"
)

// How reasons begin.
const (
	noAnswer = "no answer within 1s"
	another  = "another answer"
	ended    = "the server ended the connection"
	notOpen  = "a reply to call 1, which is not in flight"
)

// A wrongOne is a server or a client that does one thing wrong, the rule that finds it,
// how its reason begins, and the rules that depend on that one.
type wrongOne struct {
	fault, rule, reason string
	depend              []string
}

var wrong = []wrongOne{
	{"takes one read for a frame", "bytes: one by one", another,
		[]string{"bytes: frames that end in the next write", "frame: the largest that is allowed", "error: the most details", "want: a larger window for one stream at a time"}},
	{"reads ahead of the hello", "hello and a call in one write", noAnswer, []string{"bytes: many frames in one write"}},
	{"does not check the length", "frame: length 4 GiB", noAnswer,
		[]string{"frame: length over the limit", "frame: a second hello"}},
	{"replies with the last ID", "replies in another order", "a reply to call 2, which is not in flight",
		[]string{"replies: exactly one each", "in flight: no more than announced", "connections: two at once"}},
	{"answers a cancelled call twice", "cancel: one reply", notOpen,
		[]string{"replies in another order", "cancel twice", "replies: exactly one each", "in flight: no more than announced", "connections: two at once",
			"credit: a stalled stream delays nothing", "credit: not for what nobody takes", "streams: a mistake that ends the connection", "streams: cancel, and one end"}},
	{"does not answer params that do not fit", "request: params do not fit", noAnswer, []string{"replies: exactly one each"}},
	{"closes in place of a go-away", "go-away: for what cannot be gone on from", ended, badFrames()},
	{"has another code for unknown methods", "request: unknown method", another,
		[]string{"errors", "error: fits the client's limit", "request: no method", "IDs: a refused call's is used", "method: the exact name", "replies: exactly one each",
			"error: the longest text", "error: the most details"}},
	{"grants compression that it does not know", "compression: gzip", another, []string{"compression: too much comes out", "streams: a compressed item"}},
	{"compression without a limit", "compression: too much comes out", another, nil},
	{"does not say that a call never ran", "refusal: the call never ran", "the answer does not say that the call never ran", refusals()},
	{"timeouts are little-endian", "the deadline passes on the server", "no answer within 2.5s", []string{"deadline: not before its time, and once", "streams: the deadline passes"}},
	{"forgets the ID of a refused call", "IDs: a refused call's is used", "a reply to call 5, which is not in flight", nil},
	{"takes metadata of any size", "metadata: above the limit", another, nil},
	{"tells a panic's text", "panic: tells nothing of itself", "the panic's text is in the answer", nil},
	{"takes any flag on a pong", "frame: a flag that its kind does not have", noAnswer, nil},
	{"takes fields on a cancel", "frame: fields after the ID", noAnswer, nil},
	{"passes over kinds from 128 on", "frame: a kind that there is not", noAnswer, nil},
	{"takes any number of pairs", "metadata: one pair too many", another, nil},
	{"takes a pair less", "metadata: as many pairs as allowed", another, nil},
	{"texts without a limit", "error: the longest text", "the text has 5014 bytes: at most 4096 are allowed", nil},
	{"details without a limit", "error: the most details", "details of 16385 bytes: at most 16384 are allowed", nil},
	{"grants reply metadata and sends none", "reply metadata: beside a result", another,
		[]string{"reply metadata: beside an error", "reply metadata: not agreed upon", "reply metadata: above the client's limit"}},
	{"sends reply metadata of two lines", "reply metadata: beside a result", `not a frame of a server: the value "1\n2" in reply metadata`,
		[]string{"reply metadata: beside an error", "reply metadata: not agreed upon", "reply metadata: above the client's limit"}},
	{"grants more room than a call may have", "params: offered", another, nil},
	{"mixes reply metadata with details", "reply metadata: beside an error", another, nil},
	{"sends reply metadata without a grant", "reply metadata: not agreed upon", "not a frame of a server: reserved flags 0x20 on a frame of kind response", nil},
	{"fails a call for its reply metadata", "reply metadata: above the client's limit", another, nil},
	{"takes the flag of reply metadata on a request", "reply metadata: on a request", notOpen, nil},
	{"ends a stream twice", streamRule, "end for stream 1 after its end", afterFirstStream()},
	{"takes any shape", "streams: what is no such stream is refused", "stream 3 ended with ok", nil},
	{"sends without credit", keptRule, "data on stream 1 above its credit", []string{"credit: a stalled stream delays nothing", "want: the server says what it waits for"}},
	{"never wants", keptRule, noAnswer, []string{"credit: a stalled stream delays nothing", "want: the server says what it waits for"}},
	{"gives no credit back", givenRule, noAnswer, []string{"want: a larger window for one stream at a time", "want: the server makes room for a large item"}},
	{"gives credit for the asking", "credit: not for what nobody takes", "the server gives credit for items that its handler has not taken", nil},
	{"makes no room for large items", roomRule, noAnswer, []string{"want: a larger window for one stream at a time"}},
	{"short fragments", "want: the server says what it waits for", "a fragment of 1000 bytes", nil},
	{"takes no cancel of a stream", cancelStreamRule, noAnswer, []string{"credit: a stalled stream delays nothing", "credit: not for what nobody takes", "streams: a mistake that ends the connection"}},
	{"streams without a bound", "streams: no more than granted", noAnswer, nil},
	{"a second end ends the connection", "streams: a mistake that ends a stream", "two ends: ", nil},
	{"does not count what comes", "streams: a mistake that ends the connection", "more data than credit: no answer within 1s", nil},
	{"takes any credit", "streams: a mistake that ends the connection", "credit whose sum is above 2 GiB: no answer within 1s", nil},
	{"leaves a byte of the client's limit", "reply: the largest that the client allows", another, nil},
}

// Each fails by the rule about what it does wrong, which comes first, and by no other.
func TestConform_FindsWhatIsWrongAndNothingElse(t *testing.T) {
	seldom.Test(t)
	t.Parallel()
	findsEach(t, allRules(t), wrong, func(fault string) *server {
		addr, _ := serveMini(t, fault)
		return &server{addr: addr}
	})
}

// findsEach tests all at the same time, since most of it is waiting.
func findsEach(t *testing.T, rules []Rule, wrong []wrongOne, with func(fault string) *server) {
	type result struct{ failed, depend map[string]string }
	found := make([]result, len(wrong))
	var all sync.WaitGroup
	for i, w := range wrong {
		s, impatient := with(w.fault), ""
		if strings.Contains(w.reason, "within ") {
			impatient = w.rule
		}
		all.Go(func() { found[i].failed, _, found[i].depend = verdicts(t, rules, s, impatient) })
	}
	all.Wait()
	for i, w := range wrong {
		t.Run(w.fault, func(t *testing.T) {
			if w.rule != "" && assert.Contains(t, found[i].failed, w.rule) {
				assert.True(t, strings.HasPrefix(found[i].failed[w.rule], w.reason), "%s", found[i].failed[w.rule])
				delete(found[i].failed, w.rule)
			}
			assert.Empty(t, found[i].failed, "rules that are kept")
			want := map[string]string{}
			for _, rule := range w.depend {
				want[rule] = w.rule
			}
			assert.Equal(t, want, found[i].depend)
		})
	}
}

// badFrames are all rules that end in a go-away.
func badFrames() []string {
	rules := []string{
		"IDs: a refused call's is used", "half-close: within a frame", "connections: a bad one ends alone",
		"frame: length over the limit", "compressed: not agreed upon", "reply metadata: on a request",
		"streams: a mistake that ends the connection", "streams: no more than granted", "streams: not agreed upon",
	}
	for _, r := range replays {
		if strings.HasPrefix(r.section, "frame: ") {
			rules = append(rules, r.section)
		}
	}
	for _, r := range edgeRules {
		if strings.HasPrefix(r.Name, "frame: ") {
			rules = append(rules, r.Name)
		}
	}
	return rules
}

// afterFirstStream are all rules that need a stream.
func afterFirstStream() []string {
	var rules []string
	for _, r := range streamRules {
		if r.Name != streamRule && slices.Contains(kindNeeds(r.Name), streamRule) {
			rules = append(rules, r.Name)
		}
	}
	return rules
}

// refusals are all rules in which a call is refused before it runs.
func refusals() []string {
	rules := []string{
		"errors", "error: fits the client's limit", "IDs: a refused call's is used", "in flight: no more than announced", "metadata: above the limit",
		"method: the exact name", "replies: exactly one each", "compression: gzip", "compression: too much comes out",
		"error: the longest text", "error: the most details", "metadata: one pair too many",
		"streams: a compressed item", "streams: what is no such stream is refused",
	}
	for _, r := range replays {
		if strings.HasPrefix(r.section, "request: ") {
			rules = append(rules, r.section)
		}
	}
	return rules
}

// A rule is tested after those on which it depends, and there are such rules.
func TestRules_ComeAfterThoseOnWhichTheyDepend(t *testing.T) {
	named := map[string]bool{}
	for _, r := range append(allRules(t), clientRules(t)...) {
		for _, on := range needsOf(r.Name) {
			assert.True(t, named[on], "%s depends on %s", r.Name, on)
		}
		named[r.Name] = true
	}
	for name := range needs {
		assert.True(t, named[name], "there is no rule %q", name)
	}
}
