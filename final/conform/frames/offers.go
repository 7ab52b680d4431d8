package frames

import (
	"slices"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// The keys of a client's offers and of a server's grants, and what there is.
const (
	Compression = "rpc.compression"
	Gzip        = "gzip"

	ReplyMetadata = "rpc.reply-metadata"
	Pairs         = "1"

	Streams = "rpc.streams"
)

// Params is the key of the offer to count params, and Bytes what a client counts in. No
// frame has a flag for it: it is none of the extensions below.
const (
	Params = "rpc.params"
	Bytes  = "bytes"
)

// extensions are what the hellos may agree upon: the flag that frames may have once the
// value is among those that the client offers, and the server grants it.
var extensions = []struct {
	key, value string
	flag       uint8
	gob        bool // gob connections may have it
}{
	{key: Compression, value: Gzip, flag: wire.FlagCompressed},
	{key: ReplyMetadata, value: Pairs, flag: wire.FlagReplyMetadata, gob: true},
}

// Offers reports whether the client offers that value, of an extension that has the key.
func (h ClientHello) Offers(key, value string) bool {
	return slices.Contains(strings.Split(h.offer(key), ","), value)
}

func (h ClientHello) offer(key string) (value string) {
	for _, p := range h.Metadata { // of a key that comes twice the last value counts
		if p.Key == key {
			value = p.Value
		}
	}
	return value
}

// OffersStreams returns the window of streams that the client announces; 0 is no offer.
func (h ClientHello) OffersStreams() (window int64) { return number(h.offer(Streams), wire.MinWindow) }

// GrantsStreams returns how many streams there may be at once, and the server's window;
// zeros are no grant.
func (h ServerHello) GrantsStreams() (streams, window int64) {
	if h.Code != wire.OK {
		return 0, 0
	}
	for word := range strings.FieldsSeq(h.Text) {
		value, found := strings.CutPrefix(word, Streams+"=")
		most, size, two := strings.Cut(value, ",")
		if n, w := number(most, 1), number(size, wire.MinWindow); found && two && n > 0 && w > 0 {
			return n, w
		}
	}
	return 0, 0
}

// number returns what a hello says in decimal digits; 0 if that is none of the numbers
// from least to MaxCredit.
func number(s string, least int64) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < least || n > wire.MaxCredit || strconv.FormatInt(n, 10) != s {
		return 0
	}
	return n
}

// Grants reports whether the server grants that.
func (h ServerHello) Grants(key, value string) bool {
	return h.Code == wire.OK && slices.Contains(strings.Fields(h.Text), key+"="+value)
}

// Word returns what the server grants by a key, "" for nothing.
func (h ServerHello) Word(key string) string {
	for word := range strings.FieldsSeq(h.Text) {
		if value, ok := strings.CutPrefix(word, key+"="); ok && h.Code == wire.OK {
			return value
		}
	}
	return ""
}

// Agreed returns the flags that frames may have beyond version 1's own, after
// these two hellos.
func Agreed(c ClientHello, s ServerHello) (flags uint8) {
	for _, e := range extensions {
		if (e.gob || c.Codec != "gob") && c.Offers(e.key, e.value) && s.Grants(e.key, e.value) {
			flags |= e.flag
		}
	}
	if streams, _ := s.GrantsStreams(); streams > 0 && c.OffersStreams() > 0 {
		flags |= wire.FlagMore
	}
	return flags
}
