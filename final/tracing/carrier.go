package tracing

import (
	"maps"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// Bounds of what is added to a call's metadata, in bytes. A server reads 8 KiB in
// all unless it is set otherwise, and an interceptor after this one may add a token.
// Package rpc allows 128 pairs.
const (
	mostPairs   = 124
	maxValue    = 2 << 10 // the large ones are baggage and tracestate
	maxMetadata = 7 << 10 // with what the call carries already
	small       = 256     // pairs up to here have as much room more: a traceparent is set after its state
)

// carrier is metadata as a propagator sees it. What it cannot carry it leaves
// out: no call fails because of its trace.
type carrier struct {
	metadata rpc.Metadata // nil until something is set
	carried  rpc.Metadata // what the call carries already
	room     int          // for what is added
}

// newCarrier returns the carrier of a call that carries metadata of its program.
func newCarrier(carried rpc.Metadata) *carrier {
	c := &carrier{carried: carried, room: maxMetadata}
	for key, value := range carried {
		c.room -= sizeOf(key, value)
	}
	return c
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
	room := c.room
	if old, found := c.metadata[key]; found {
		room += sizeOf(key, old)
	} else if old, found := c.carried[key]; found {
		room += sizeOf(key, old)
	}
	size := sizeOf(key, value)
	room -= size
	if c.isFull(key) {
		return
	}
	if room < 0 && (size > small || room < -small) {
		return
	}
	c.room = room
	if c.metadata == nil {
		c.metadata = make(rpc.Metadata, 2)
	}
	c.metadata[key] = value
}

// isFull reports whether a pair more would be one too many. A place is kept for the
// traceparent, since what comes with it says nothing alone.
func (c *carrier) isFull(key string) bool {
	const parent = "traceparent"
	pairs := len(c.carried)
	for added := range c.metadata {
		if _, replaced := c.carried[added]; !replaced {
			pairs++
		}
	}
	if c.has(key) {
		return false
	}
	if key != parent && !c.has(parent) {
		pairs++
	}
	return pairs >= mostPairs
}

// has reports whether the call carries a pair with key already.
func (c *carrier) has(key string) bool {
	_, added := c.metadata[key]
	_, carried := c.carried[key]
	return added || carried
}

// sizeOf is what a pair takes on the wire.
func sizeOf(key, value string) int { return len(key) + len(value) + 4 }

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
