package rpc

import (
	"maps"
	"math"
	"strings"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// reservedKeys is what the protocol's own keys in a hello begin with.
const reservedKeys = "rpc."

// helloRoom is what a server reads of a client's hello beside the user's metadata: the codec's
// name, the largest message and the offers. It was 64 bytes before there was metadata of
// replies. What a client offers unasked, with a codec of ours, still fits into that if the
// user's pairs are many (see mostBesideParams); beside compression it does not.
const helloRoom = 128

// An extension is what version 1 has not had from its beginning. The client offers it
// by a pair in its hello's metadata, under a key that users cannot set. A server that
// grants it says key=value in the text of its accepting hello. Peers that do not know
// it see a pair, or a word, that they do not look at.
type extension struct {
	key  string
	flag uint8 // that frames may have once it is granted

	// unasked is set if no option of the client's asks for it. Then the offer gives way to
	// the user's pairs if there is no room beside them.
	unasked bool

	// offer returns the offer's value; "" offers nothing.
	offer func(o *clientOptions) string
	// grant decides about an offer, once the codec is known. It notes what the server
	// needs to know of it, and returns the grant's value; "" grants nothing.
	grant func(c *serverConn, codec Codec, offered string) string
	// granted takes the value of a grant, or returns false: then there is none.
	granted func(c *clientConn, value string) bool
}

// extensions are all that this package knows.
var extensions = [...]extension{
	{compressionKey, wire.FlagCompressed, false, offerCompression, grantCompression, compressionGranted},
	{replyMetadataKey, wire.FlagReplyMetadata, true, offerReplyMetadata, grantReplyMetadata, replyMetadataGranted},
	{streamsKey, wire.FlagMore, true, offerStreams, grantStreams, streamsGranted},
	{paramsKey, 0, true, offerParams, grantParams, paramsGranted},
}

// helloMetadata is what the client's hello says: the user's pairs, and the offers.
func (o *clientOptions) helloMetadata() (Metadata, error) {
	for key := range o.metadata {
		if strings.HasPrefix(key, reservedKeys) {
			return nil, unrun(Errorf(InvalidArgument, "metadata %s: in a hello, keys that begin with %s are the protocol's own", key, reservedKeys))
		}
	}
	offering := maps.Clone(o.metadata)
	for _, e := range extensions {
		if value := e.offer(o); value != "" && (!e.unasked || o.hasRoom(offering, e.key, value)) {
			if offering == nil {
				offering = Metadata{}
			}
			offering[e.key] = value
		}
	}
	return offering, nil
}

// hasRoom reports whether the client's hello may have one pair more beside these.
func (o *clientOptions) hasRoom(md Metadata, key, value string) bool {
	h := wire.ClientHello{Codec: o.codecName}
	return len(md) < wire.MaxPairs && h.Size()+wire.PairsSize(md)+4+len(key)+len(value) <= math.MaxUint16
}

// takeOffers takes the protocol's own pairs out of a hello's metadata and returns them.
func takeOffers(md Metadata) (offers Metadata) {
	for key, value := range md {
		if !strings.HasPrefix(key, reservedKeys) {
			continue
		}
		if offers == nil {
			offers = Metadata{}
		}
		offers[key] = value
		delete(md, key)
	}
	return offers
}

// grant decides about a client's offers, and returns the text of the hello.
func (c *serverConn) grant(offers Metadata, codec Codec) string {
	var words []string
	for _, e := range extensions {
		if value := e.grant(c, codec, offers[e.key]); value != "" {
			c.agreed |= e.flag
			words = append(words, e.key+"="+value)
		}
	}
	return strings.Join(words, " ")
}

// takeGrants takes what the server's text grants of what was offered, in whatever order.
func (c *clientConn) takeGrants(text string) {
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, "=")
		for _, e := range extensions {
			if e.key == key && e.offer(c.options) != "" && e.granted(c, value) {
				c.agreed |= e.flag
			}
		}
	}
}
