package conform

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

const header = "Test.Header" // answers as checkStock does, and sends the call's metadata back

var ann = []frames.Pair{{Key: "user", Value: "ann"}, {Key: "app", Value: "shop"}}

var replyMetadataRules = []Rule{
	{Name: "reply metadata: offered", Says: "Without pairs it leaves both out.", test: onConn(offerReplyMetadata, offered)},
	{Name: "reply metadata: beside a result", Says: "Before a result they come first; in an error they come last.", test: onConn(offerReplyMetadata, granted(besideResult))},
	{Name: "reply metadata: beside an error", Says: "They travel with an error, too", test: onConn(offerReplyMetadata, granted(besideError))},
	{Name: "reply metadata: not agreed upon", Says: "Only if the hellos have agreed upon it", test: notOffered},
	{Name: "reply metadata: above the client's limit", Says: "Metadata that would not fit are left out", test: onConn(smallOffer, granted(tooLargeBeside))},
	{Name: "reply metadata: on a request", Says: "flag 20 belongs to replies", test: onConn(offerReplyMetadata, granted(onRequest))},
}

func offerReplyMetadata(c *client) error { return c.offer(frames.ReplyMetadata, frames.Pairs, 4<<20) }
func smallOffer(c *client) error         { return c.offer(frames.ReplyMetadata, frames.Pairs, 1024) }

// granted makes a test one that a server without reply metadata need not pass.
func granted(test func(*client) error) func(*client) error {
	return func(c *client) error {
		if c.agreed&wire.FlagReplyMetadata == 0 {
			return skip("the server does not grant reply metadata")
		}
		return test(c)
	}
}

// header calls Test.Header.
func (c *client) header(id uint64, params string, md []frames.Pair) {
	c.request(frames.Request{ID: id, Method: header, Metadata: md, Params: []byte(params)})
}

func besideResult(c *client) error {
	want := frames.Response{ID: 1, Metadata: ann, Result: []byte(`{"Count":100}`)}.Frame().Bytes()
	c.header(1, item1, ann)
	if err := c.expect(want); err != nil {
		return err
	}
	c.header(2, item1, nil)
	return inOrder(func() error { return c.expect(response(2, `{"Count":100}`)) }, c.alive)
}

// besideError compares all bytes: with one pair each, nothing is left to the server, and a
// message that is taken apart first could be so by a mistake of both sides.
func besideError(c *client) error {
	r := frames.Reason{Code: wire.NotFound, Text: "unknown item: item9", Details: []frames.Pair{{Key: "item", Value: "item9"}}, Metadata: ann[:1]}
	want := r.Frame(wire.KindError, 0, 1).Bytes()
	c.header(1, `{"Item":"item9"}`, ann[:1])
	got, err := c.read(c.timeout, want)
	switch {
	case err == io.EOF:
		return c.failure("the server ended the connection", want, nil)
	case err != nil:
		return err
	case string(got) != string(want):
		return c.failure("another answer", want, got)
	}
	return c.alive()
}

// notOffered looks first whether the server knows reply metadata.
func notOffered(s *server) error {
	if err := onConn(offerReplyMetadata, granted(nothing))(s); err != nil {
		return err
	}
	return onConn(hello, func(c *client) error {
		c.header(1, item1, ann)
		return inOrder(func() error { return c.expect(response(1, `{"Count":100}`)) }, c.alive)
	})(s)
}

// tooLargeBeside wants the result alone: it would fit, and the metadata beside it would not.
func tooLargeBeside(c *client) error {
	c.header(1, item1, []frames.Pair{{Key: "user", Value: strings.Repeat("x", 1000)}})
	return inOrder(func() error { return c.expect(response(1, `{"Count":100}`)) }, c.alive)
}

func onRequest(c *client) error {
	c.send(rawFrame(1, 0x20, 1, rawRequest))
	return inOrder(func() error { return c.expect(goAway(0, wire.InvalidArgument)) }, c.ended)
}

// checkReplyMetadata returns what is wrong with the metadata of a reply. The limits stand
// here as numbers, from PROTOCOL.md.
func checkReplyMetadata(pairs []frames.Pair) error {
	if n := len(frames.AppendPairs(nil, pairs)); n > 8<<10 {
		return fmt.Errorf("reply metadata of %d bytes: at most %d are allowed", n, 8<<10)
	}
	if n := len(pairs); n > 128 {
		return fmt.Errorf("reply metadata of %d pairs: at most %d are allowed", n, 128)
	}
	for _, p := range pairs {
		if len(p.Key) < 1 || len(p.Key) > 128 || strings.Trim(p.Key, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return fmt.Errorf("the key %q in reply metadata", p.Key)
		}
		if !utf8.ValidString(p.Value) || strings.IndexFunc(p.Value, unicode.IsControl) >= 0 {
			return fmt.Errorf("the value %q in reply metadata", p.Value)
		}
	}
	return nil
}

var replyMetadataClientRules = []Rule{
	{Name: "client: reply metadata beside its result", Says: "Before a result they come first; in an error they come last.", test: asServer(clientHeader(ann))},
	{Name: "client: the most reply metadata", Says: "8 KiB, 128 pairs", test: asServer(clientHeader(mostOfReply()))},
	{Name: "client: reply metadata beside an error", Says: "They travel with an error, too", test: asServer(clientErrorHeader)},
}

// mostOfReply returns as many pairs, with as many bytes, as may be beside a reply.
func mostOfReply() []frames.Pair {
	pairs := make([]frames.Pair, 128)
	for i := range pairs {
		pairs[i] = frames.Pair{Key: fmt.Sprintf("k%03d", i), Value: strings.Repeat("x", 64-8)}
	}
	return pairs
}

// acceptGranting is accept, with the grant of reply metadata, if the client offers to read
// them.
func (c *caller) acceptGranting() error {
	if err := c.hello(); err != nil {
		return err
	}
	if !c.said.Offers(frames.ReplyMetadata, frames.Pairs) {
		return skip("the client does not offer to read reply metadata")
	}
	c.send(frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20, Text: frames.ReplyMetadata + "=" + frames.Pairs}.Bytes())
	return c.request()
}

func clientHeader(md []frames.Pair) func(*caller) error {
	return func(c *caller) error {
		if err := c.acceptGranting(); err != nil {
			return err
		}
		c.send(frames.Response{ID: c.id, Metadata: md, Result: []byte(`{"Count":100}`)}.Frame().Bytes())
		return c.succeeds(`{"Count":100}`)
	}
}

// clientErrorHeader sends an error that has all fields that there are.
func clientErrorHeader(c *caller) error {
	if err := c.acceptGranting(); err != nil {
		return err
	}
	r := frames.Reason{Code: wire.NotFound, Text: "no", Details: []frames.Pair{{Key: "item", Value: "item9"}}, Metadata: ann}
	c.send(r.Frame(wire.KindError, 0, c.id).Bytes())
	return c.fails()
}
