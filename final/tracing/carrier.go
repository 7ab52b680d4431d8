package tracing

import (
	"maps"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// maxValue bounds each value that is added to a call's metadata, in bytes. The
// large ones are baggage and tracestate; a server reads 8 KiB in all unless it is
// set otherwise, and the rest of the metadata needs room, too.
const maxValue = 2 << 10

// carrier is metadata as a propagator sees it. What it cannot carry it leaves
// out: no call fails because of its trace.
type carrier struct {
	metadata rpc.Metadata // nil until something is set
}

// Get implements propagation.TextMapCarrier. Keys are lower case in metadata,
// and in HTTP's headers, for which propagators are written, case means nothing.
func (c *carrier) Get(key string) string { return c.metadata[strings.ToLower(key)] }

// Set implements propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	key = strings.ToLower(key)
	if !isKey(key) || !isValue(value) {
		return
	}
	if c.metadata == nil {
		c.metadata = make(rpc.Metadata, 2)
	}
	c.metadata[key] = value
}

// Keys implements propagation.TextMapCarrier.
func (c *carrier) Keys() []string { return slices.Collect(maps.Keys(c.metadata)) }

// isKey reports whether rpc takes key for metadata.
func isKey(key string) bool {
	other := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	return key != "" && len(key) <= 128 && !strings.ContainsFunc(key, other)
}

// isValue reports whether value is what may stand in an HTTP header, which rpc
// takes, too, and not too long.
func isValue(value string) bool {
	return len(value) <= maxValue && !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' })
}
