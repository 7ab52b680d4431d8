package gateway

import (
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// metaPrefix begins the headers that are metadata, in the spelling of net/http.
const metaPrefix = "Rpc-Meta-"

// passedOn are headers of HTTP that are metadata by their own names, too.
var passedOn = []string{"Authorization", "Baggage", "Traceparent", "Tracestate"}

// The keys of a trace, and how many bytes of each are taken. The W3C asks for
// 8192 bytes of baggage and 512 of state; a traceparent has 55.
const (
	traceparent   = "traceparent"
	tracestate    = "tracestate"
	baggage       = "baggage"
	maxParent     = 512
	maxTracestate = 2 << 10
	maxBaggage    = 8 << 10
)

// metadataOf collects a call's metadata, at most limit bytes without its trace.
// A header that occurs twice is refused: a proxy that looks at it must not see
// another value than the handler. rpc.Server checks the rest.
func metadataOf(h http.Header, limit int) (md rpc.Metadata, status int, err error) {
	given := headersByKey(h)
	md = traceOf(given)
	size := 0
	for key, values := range given {
		if len(values) > 1 {
			return nil, http.StatusBadRequest, rpc.Errorf(rpc.InvalidArgument, "metadata %s is given more than once", key)
		}
		if size += len(key) + len(values[0]) + 4; size > limit {
			return nil, http.StatusRequestHeaderFieldsTooLarge, rpc.Errorf(rpc.ResourceExhausted, "metadata of more than %d bytes", limit)
		}
		md[key] = values[0]
	}
	// No call fails because of its trace, and a state is worth nothing without its parent.
	for _, key := range []string{baggage, tracestate, traceparent} {
		if len(md) > wire.MaxPairs {
			delete(md, key)
		}
	}
	if len(md) == 0 {
		return nil, 0, nil
	}
	return md, 0, nil
}

// exposeHeaders says which headers a page of another origin may read.
const exposeHeaders = "Access-Control-Expose-Headers"

// addMetadata adds what a handler has set by rpc.SetHeader. The prefix keeps a handler
// from setting a header that means something to a browser or a proxy; keys and values
// are checked already, and are those of a header. A page that may call may also read them.
func addMetadata(h http.Header, md rpc.Metadata) {
	for key, value := range md {
		h.Set(metaPrefix+key, value)
		if h.Get(exposeHeaders) != "" {
			h.Add(exposeHeaders, metaPrefix+key)
		}
	}
}

// headersByKey returns the values of the headers that are metadata by their keys,
// those of a header's own name first.
func headersByKey(h http.Header) map[string][]string {
	given := map[string][]string{}
	for _, name := range passedOn {
		if values := h[name]; len(values) > 0 {
			given[strings.ToLower(name)] = values
		}
	}
	for name, values := range h {
		if key, ours := strings.CutPrefix(name, metaPrefix); ours {
			key = strings.ToLower(key)
			given[key] = append(slices.Clip(given[key]), values...)
		}
	}
	return given
}

// traceOf takes the trace out of what is given. No call fails because of it: lists
// are joined, which HTTP allows with headers that come twice, and what cannot
// travel is left out. Of two parents neither can be right; a state belongs to one.
func traceOf(given map[string][]string) rpc.Metadata {
	md := rpc.Metadata{}
	if bag := joined(given[baggage], maxBaggage); bag != "" {
		md[baggage] = bag
	}
	if parent := given[traceparent]; len(parent) == 1 && parent[0] != "" && len(parent[0]) <= maxParent && isText(parent[0]) {
		md[traceparent] = parent[0]
		if state := joined(given[tracestate], maxTracestate); state != "" {
			md[tracestate] = state
		}
	}
	delete(given, baggage)
	delete(given, traceparent)
	delete(given, tracestate)
	return md
}

// joined makes one list of several, without members that are empty or that
// metadata cannot carry, and of at most limit bytes.
func joined(lists []string, limit int) string {
	var b strings.Builder
	for _, list := range lists {
		for member := range strings.SplitSeq(list, ",") {
			member = strings.ReplaceAll(strings.Trim(member, " \t"), "\t", " ")
			if member == "" || !isText(member) {
				continue
			}
			if b.Len() > 0 {
				member = "," + member
			}
			if b.Len()+len(member) <= limit {
				b.WriteString(member)
			}
		}
	}
	return b.String()
}

// isText reports whether metadata can carry s: one line of UTF-8.
func isText(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
