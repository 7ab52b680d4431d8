package conform

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

// How reasons begin.
const (
	noAnswer = "no answer within 1s"
	another  = "another answer"
	ended    = "the server ended the connection"
	notOpen  = "a reply to call 1, which is not in flight"
	missing  = "no answer within 1s; answers that are missing: "
)

// wrong are servers that do one thing wrong each, and the rules that find it,
// with how their reasons begin.
var wrong = []struct {
	fault string
	want  map[string]string
}{
	{"takes one read for a frame", map[string]string{
		"bytes: one by one":                        another,
		"bytes: frames that end in the next write": "",
		"frame: the largest that is allowed":       "",
	}},
	{"reads ahead of the hello", map[string]string{
		"hello and a call in one write":   noAnswer,
		"bytes: many frames in one write": missing + "100",
	}},
	{"does not check the length", map[string]string{
		"frame: length 4 GiB":          noAnswer,
		"frame: length over the limit": noAnswer,
		"frame: a second hello":        noAnswer,
	}},
	{"replies with the last ID", map[string]string{
		"replies in another order":          "a reply to call 2, which is not in flight",
		"replies: exactly one each":         "a reply to call",
		"in flight: no more than announced": "a reply to call 41, which is not in flight",
		"connections: two at once":          "a reply to call 2, which is not in flight",
	}},
	{"answers a cancelled call twice", map[string]string{
		"replies in another order":          notOpen,
		"cancel twice":                      notOpen,
		"cancel: one reply":                 notOpen,
		"replies: exactly one each":         "a reply to call 5, which is not in flight",
		"in flight: no more than announced": "a reply to call 40, which is not in flight",
		"connections: two at once":          notOpen,
	}},
	{"does not answer params that do not fit", map[string]string{
		"request: params do not fit": noAnswer,
		"replies: exactly one each":  missing + "20",
	}},
	{"closes in place of a go-away", badFrames(ended)},
	{"has another code for unknown methods", map[string]string{
		"errors":                        another,
		"request: unknown method":       another,
		"request: no method":            another,
		"IDs: a refused call's is used": another,
		"method: the exact name":        another,
		"replies: exactly one each":     another,
	}},
	{"grants compression that it does not know", map[string]string{
		"compression: gzip":               another,
		"compression: too much comes out": another,
	}},
	{"compression without a limit", map[string]string{"compression: too much comes out": another}},
	{"does not say that a call never ran", refusals(another)},
	{"timeouts are little-endian", map[string]string{
		"the deadline passes on the server":       "no answer within 2.5s",
		"deadline: not before its time, and once": "no answer within 1.3s",
	}},
	{"forgets the ID of a refused call", map[string]string{"IDs: a refused call's is used": "a reply to call 5, which is not in flight"}},
	{"takes metadata of any size", map[string]string{"metadata: above the limit": another}},
	{"tells a panic's text", map[string]string{"panic: tells nothing of itself": "the panic's text is in the answer"}},
}

// Each fails by the rules about what it does wrong, and by no other. They are
// tested at the same time, since most of it is waiting.
func TestConform_FindsWhatIsWrongAndNothingElse(t *testing.T) {
	t.Parallel()
	rules := allRules(t)
	found := make([]map[string]string, len(wrong))
	var all sync.WaitGroup
	for i, w := range wrong {
		addr, _ := serveMini(t, w.fault)
		all.Go(func() { found[i], _ = verdicts(t, rules, &server{addr: addr}, w.want) })
	}
	all.Wait()
	for i, w := range wrong {
		t.Run(w.fault, func(t *testing.T) {
			for rule, reason := range w.want {
				if assert.Contains(t, found[i], rule) {
					assert.True(t, strings.HasPrefix(found[i][rule], reason), "%s: %s", rule, found[i][rule])
				}
				delete(found[i], rule)
			}
			assert.Empty(t, found[i], "rules that are kept")
		})
	}
}

// badFrames are all rules that end in a go-away.
func badFrames(reason string) map[string]string {
	rules := map[string]string{
		"IDs: a refused call's is used":     reason,
		"half-close: within a frame":        reason,
		"connections: a bad one ends alone": reason,
		"frame: length over the limit":      reason,
		"compressed: not agreed upon":       reason,
	}
	for _, r := range replays {
		if strings.HasPrefix(r.section, "frame: ") && r.slow == 0 {
			rules[r.section] = reason
		}
	}
	return rules
}

// refusals are all rules in which a call is refused before it runs.
func refusals(reason string) map[string]string {
	rules := map[string]string{
		"errors":                            reason,
		"IDs: a refused call's is used":     reason,
		"in flight: no more than announced": reason,
		"metadata: above the limit":         reason,
		"method: the exact name":            reason,
		"replies: exactly one each":         reason,
	}
	for _, r := range replays {
		if strings.HasPrefix(r.section, "request: ") {
			rules[r.section] = reason
		}
	}
	return rules
}
