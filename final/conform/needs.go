package conform

import "strings"

// The rules on which others depend.
const (
	helloRule    = "hello: a good one is accepted"
	callRule     = "a call"
	pingRule     = "ping from the client"
	goAwayRule   = "go-away: for what cannot be gone on from"
	neverRanRule = "refusal: the call never ran"
	unknownRule  = "request: unknown method"
	cancelRule   = "cancel: one reply"
	orderRule    = "replies in another order"

	streamRule       = "streams: one request, many items"
	replyRule        = "streams: many items, one reply"
	echoRule         = "streams: both ways, one by one"
	cancelStreamRule = "streams: cancel, and one end"
	keptRule         = "credit: the server sends no more"
	givenRule        = "credit: the server gives it back"
	roomRule         = "want: the server makes room for a large item"

	clientCallRule   = "client: a call"
	clientStreamRule = "client: streams: one request, many items"
	clientReplyRule  = "client: streams: many items, one reply"
	clientKeptRule   = "client: credit: it sends no more"
	clientGivenRule  = "client: credit: it gives it back"
)

// needs are rules on which single rules depend, beside those of their kind.
var needs = map[string][]string{
	"errors":                                     {unknownRule},
	orderRule:                                    {cancelRule},
	"cancel twice":                               {cancelRule},
	"metadata with a key twice":                  {"a call with metadata"},
	"request: no method":                         {unknownRule},
	"frame: a second hello":                      {"frame: length 4 GiB"},
	"frame: length over the limit":               {"frame: length 4 GiB"},
	"frame: the largest that is allowed":         {"bytes: one by one"},
	"bytes: frames that end in the next write":   {"bytes: one by one"},
	"bytes: many frames in one write":            {"hello and a call in one write"},
	"replies: exactly one each":                  {unknownRule, "request: params do not fit", cancelRule, orderRule},
	"deadline: not before its time, and once":    {"the deadline passes on the server"},
	"IDs: a refused call's is used":              {unknownRule, "frame: a lower ID"},
	"method: the exact name":                     {unknownRule},
	"metadata: above the limit":                  {neverRanRule},
	"error: fits the client's limit":             {"errors"},
	"in flight: no more than announced":          {neverRanRule, cancelRule, orderRule},
	"half-close: within a frame":                 {goAwayRule},
	"connections: two at once":                   {cancelRule, orderRule},
	"connections: a bad one ends alone":          {"frame: length 0"},
	"compression: gzip":                          {neverRanRule},
	"compression: too much comes out":            {"compression: gzip"},
	"reply metadata: beside an error":            {"reply metadata: beside a result"},
	"reply metadata: not agreed upon":            {"reply metadata: beside a result"},
	"reply metadata: above the client's limit":   {"reply metadata: beside a result"},
	"reply metadata: on a request":               {goAwayRule},
	"client: the most reply metadata":            {"client: reply metadata beside its result", "client: bytes one by one"},
	"shutdown: a call too late":                  {"shutdown: what is in flight is answered"},
	"metadata: as many pairs as allowed":         {"a call with metadata", "metadata with a key twice"},
	"metadata: one pair too many":                {neverRanRule},
	"error: the longest text":                    {"errors"},
	"error: the most details":                    {"errors", "bytes: one by one"},
	"reply: the largest that the client allows":  {"a call with metadata"},
	"client: a ping right behind the hello":      {"client: a ping from the server"},
	"client: the largest frame that it allows":   {"client: bytes one by one"},
	"streams: no items":                          {replyRule, echoRule},
	"streams: a compressed item":                 {echoRule, "compression: gzip"},
	"streams: an item that does not decode":      {echoRule},
	"streams: what is no such stream is refused": {neverRanRule},
	"streams: the deadline passes":               {"deadline: not before its time, and once"},
	cancelStreamRule:                             {cancelRule},
	givenRule:                                    {replyRule},
	"credit: not for what nobody takes":          {cancelStreamRule},
	"credit: a stalled stream delays nothing":    {keptRule, echoRule, cancelStreamRule},
	"want: the server says what it waits for":    {keptRule},
	roomRule: {givenRule},
	"want: a larger window for one stream at a time": {roomRule, "bytes: one by one"},
	"streams: no more than granted":                  {goAwayRule},
	"streams: a mistake that ends the connection":    {goAwayRule, cancelStreamRule},
	"streams: not agreed upon":                       {goAwayRule},
	clientReplyRule:                                  {clientStreamRule},
	"client: streams: both ways":                     {clientReplyRule},
	clientKeptRule:                                   {clientReplyRule},
	"client: want: it says what it waits for":        {clientKeptRule},
	"client: want: it makes room for a large item":   {clientGivenRule, "client: bytes one by one"},
	"client: an error with an unknown code":          {"client: an error"},
	"client: an error with code 0":                   {"client: an error"},
	"client: bad: error to nobody":                   {"client: bad: response to nobody"},
}

// needsOf returns the rules on which a rule depends.
func needsOf(name string) []string {
	return append(kindNeeds(name), needs[name]...)
}

// kindNeeds returns the rules on which all of a rule's kind depend.
func kindNeeds(name string) []string {
	is := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	switch {
	case name == helloRule, name == clientCallRule:
		return nil
	case name == clientStreamRule:
		return []string{clientCallRule}
	case is("client: streams: "), is("client: credit: "), is("client: want: "):
		return []string{clientStreamRule}
	case is("client: "):
		return []string{clientCallRule}
	case name == callRule, name == pingRule, name == goAwayRule, is("hello: "):
		return []string{helloRule}
	case name == neverRanRule:
		return []string{callRule}
	case is("request: "):
		return []string{callRule, pingRule, neverRanRule}
	case name == "frame: the largest that is allowed", name == "frame: the client closes within it":
		return []string{callRule, pingRule}
	case is("frame: "), is("compressed: "):
		return []string{goAwayRule}
	case is("streams: ") && name != "streams: offered" && name != streamRule && name != "streams: not agreed upon", is("credit: "), is("want: "):
		return []string{streamRule}
	}
	return []string{callRule, pingRule}
}

// inOrderOfNeeds returns the rules in their order, but each after those on which it
// depends.
func inOrderOfNeeds(rules []Rule) []Rule {
	byName := map[string]Rule{}
	for _, r := range rules {
		byName[r.Name] = r
	}
	var ordered []Rule
	done := map[string]bool{}
	var add func(r Rule)
	add = func(r Rule) {
		if r.Name == "" || done[r.Name] {
			return
		}
		done[r.Name] = true
		for _, name := range needsOf(r.Name) {
			add(byName[name])
		}
		ordered = append(ordered, r)
	}
	for _, r := range rules {
		add(r)
	}
	return ordered
}

// broken are the rules that are known to be broken, or to depend on one that is: by
// name, the one that is broken itself.
type broken map[string]string

// cause returns the broken rule on which a rule depends, "" if there is none.
func (b broken) cause(name string) string {
	for _, on := range needsOf(name) {
		if b[on] != "" {
			return b[on]
		}
	}
	return ""
}

// note adds what a result says.
func (b broken) note(r Result) {
	switch {
	case r.DependsOn != "":
		b[r.Rule.Name] = r.DependsOn
	case r.Verdict == Fail:
		b[r.Rule.Name] = r.Rule.Name
	}
}
