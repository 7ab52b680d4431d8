package conform

import (
	"fmt"
	"io"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// edgeRules are about the edge of what is allowed: the last of something that a side has to
// take, and the first that it must refuse. Kinds, flags and limits stand here as numbers, from
// PROTOCOL.md: a mistake in package wire would be one of both sides.
var edgeRules = []Rule{
	{Name: "frame: a flag that its kind does not have", Says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have.", test: eachWrongFlag},
	{Name: "frame: fields after the ID", Says: "cancel, ping, pong: nothing, their length is 10", test: eachWithFields},
	{Name: "frame: a kind that there is not", Says: "A receiver of version 1 ends the connection if it gets one of them", test: eachUnknownKind},
	{Name: "metadata: as many pairs as allowed", Says: "There are at most 128 pairs; a repeated key counts each time.", test: onConn(hello, mostPairs)},
	{Name: "metadata: one pair too many", Says: "There are at most 128 pairs; a repeated key counts each time.", test: onConn(hello, tooManyPairs)},
	{Name: "error: the longest text", Says: "one line of UTF-8, at most 4,096 bytes in an error and 512 in a go-away", test: onConn(hello, longText)},
	{Name: "error: the most details", Says: "[pairs](#pairs-and-texts) for programs, at most 16 KiB", test: onConn(hello, manyDetails)},
	{Name: "reply: the largest that the client allows", Says: "It must not be above the largest message that the reader announced in its hello", test: onConn(smallHello, largestReply)},
}

// edgeClientRules are those for clients. Each case starts the program, so only those flags
// are tried that another kind has.
var edgeClientRules = []Rule{
	{Name: "client: bad: a flag that its kind does not have", Says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have.", test: clientWrongFlags},
	{Name: "client: bad: fields on a ping", Says: "cancel, ping, pong: nothing, their length is 10", test: asServer(clientPingFields)},
	{Name: "client: the largest frame that it allows", Says: "It must not be above the largest message that the reader announced in its hello", test: asServer(clientLargest)},
	{Name: "client: bad: one byte more than it allows", Says: "It must not be above the largest message that the reader announced in its hello", test: asServer(clientOverLimit)},
}

// endsWith makes a rule of frames each of which ends its connection.
func endsWith(s *server, code wire.Code, bad [][]byte) error {
	for _, b := range bad {
		err := onConn(hello, func(c *client) error {
			c.send(b)
			return inOrder(func() error { return c.expect(goAway(0, code)) }, c.ended)
		})(s)
		if err != nil {
			return err
		}
	}
	return nil
}

// rawFrame is a frame without the names of kinds and flags.
func rawFrame(kind, flags byte, id byte, fields string) []byte {
	length := 10 + len(fields)
	b := []byte{byte(length >> 24), byte(length >> 16), byte(length >> 8), byte(length), kind, flags, 0, 0, 0, 0, 0, 0, 0, id}
	return append(b, fields...)
}

// rawRequest is what a request for item1 has after its ID.
const rawRequest = "\x00\x00\x00\x00\x00\x14" + checkStock + item1

func eachWrongFlag(s *server) error {
	var bad [][]byte
	for _, kind := range []struct {
		kind, has byte
		fields    string
	}{{1, 0x07, rawRequest}, {4, 0, ""}, {5, 0, ""}, {6, 0, ""}} {
		for flag := 1; flag < 0x100; flag <<= 1 {
			if kind.has&byte(flag) == 0 {
				bad = append(bad, rawFrame(kind.kind, byte(flag), 1, kind.fields))
			}
		}
	}
	return endsWith(s, 3, bad)
}

func eachWithFields(s *server) error {
	return endsWith(s, 3, [][]byte{rawFrame(4, 0, 1, "x"), rawFrame(5, 0, 1, "x"), rawFrame(6, 0, 1, "x")})
}

func eachUnknownKind(s *server) error {
	var bad [][]byte
	for _, kind := range []byte{0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x41, 0x81, 0xff} {
		bad = append(bad, rawFrame(kind, 0, 1, ""))
	}
	return endsWith(s, 12, bad)
}

// pairsOf returns n pairs, the last of which is the user.
func pairsOf(n int, key string) []frames.Pair {
	var pairs []frames.Pair
	for i := range n - 1 {
		pairs = append(pairs, frames.Pair{Key: strings.ReplaceAll(key, "N", fmt.Sprint(i))})
	}
	return append(pairs, frames.Pair{Key: "user", Value: "me"})
}

func mostPairs(c *client) error {
	for id, key := range []string{"keyN", "user"} {
		c.request(frames.Request{ID: uint64(id) + 1, Method: "Test.User", Metadata: pairsOf(128, key)})
		if err := c.expect(response(uint64(id)+1, `"me"`)); err != nil {
			return err
		}
	}
	return c.alive()
}

func tooManyPairs(c *client) error {
	for id, key := range []string{"keyN", "user"} {
		c.request(frames.Request{ID: uint64(id) + 1, Method: "Test.User", Metadata: pairsOf(129, key)})
		if err := c.expect(refused(uint64(id)+1, wire.ResourceExhausted)); err != nil {
			return err
		}
	}
	return c.alive()
}

// notFound asks for an item of so many bytes and returns what the error says.
func (c *client) notFound(id uint64, size int) (frames.Reason, []byte, error) {
	item := strings.Repeat("x", size)
	c.request(frames.Request{ID: id, Method: checkStock, Params: []byte(`{"Item":"` + item + `"}`)})
	got, err := c.read(c.timeout, nil)
	if err == io.EOF {
		err = c.failure("the server ended the connection", nil, nil)
	}
	if err != nil {
		return frames.Reason{}, nil, err
	}
	f, err := frames.ParseFrame(got)
	if err != nil {
		return frames.Reason{}, nil, err
	}
	r, err := f.Reason()
	if err != nil || f.Kind != wire.KindError || r.Code != wire.NotFound {
		return r, nil, c.failure("another answer", failed(id, wire.NotFound), got)
	}
	return r, got, nil
}

// longText asks for a text above the limit. How much of it is left is for the server to say.
func longText(c *client) error {
	r, got, err := c.notFound(1, 5000)
	switch {
	case err != nil:
		return err
	case len(r.Text) > 4096:
		return c.failure(fmt.Sprintf("the text has %d bytes: at most 4096 are allowed", len(r.Text)), nil, got)
	case !strings.HasPrefix(r.Text, "unknown item: ") || strings.Trim(r.Text[14:], "x") != "":
		return c.failure("not the beginning of the text", nil, got)
	}
	return c.alive()
}

// manyDetails asks for details at the limit, and above it. What becomes of those is for the
// server to say.
func manyDetails(c *client) error {
	const most = 16<<10 - 4 - len("item")
	r, got, err := c.notFound(1, most)
	switch {
	case err != nil:
		return err
	case len(r.Details) != 1 || len(r.Details[0].Value) != most:
		return c.failure("details of 16384 bytes are not there", nil, got)
	}
	r, got, err = c.notFound(2, most+1)
	if err != nil {
		return err
	}
	if n := len(frames.AppendPairs(nil, r.Details)); n > 16<<10 {
		return c.failure(fmt.Sprintf("details of %d bytes: at most 16384 are allowed", n), nil, got)
	}
	return c.alive()
}

// largestReply asks for a result that this client still reads, and for one of a byte more.
// How a server writes JSON is its own affair, so the first reply says how much there is around
// the text.
func largestReply(c *client) error {
	text := func(n int) []frames.Pair { return []frames.Pair{{Key: "user", Value: strings.Repeat("x", n)}} }
	want := func(id uint64, n int) []byte { return response(id, `"`+strings.Repeat("x", n)+`"`) }
	c.request(frames.Request{ID: 1, Method: "Test.User", Metadata: text(1)})
	got, err := c.read(c.timeout, want(1, 1))
	if err == io.EOF {
		err = c.failure("the server ended the connection", want(1, 1), nil)
	}
	if err != nil {
		return err
	}
	if err := c.compare(want(1, 1), got, false); err != nil {
		return err
	}
	most := c.largest - (len(got) - 4 - 1)
	c.request(frames.Request{ID: 2, Method: "Test.User", Metadata: text(most)})
	if err := c.expect(want(2, most)); err != nil {
		return err
	}
	c.request(frames.Request{ID: 3, Method: "Test.User", Metadata: text(most + 1)})
	return inOrder(func() error { return c.expect(failed(3, wire.ResourceExhausted)) }, c.alive)
}

func clientWrongFlags(s *server) error {
	const result, reason = `{"Count":100}`, "\x05\x00\x02no"
	for _, bad := range []struct {
		kind, flag byte
		fields     string
	}{
		{7, 0x08, reason}, {7, 0x01, reason + "\x00\x00"}, {5, 0x01, ""}, {6, 0x01, ""},
		{2, 0x01, result}, {2, 0x08, result}, {2, 0x10, result},
		{3, 0x02, reason}, {3, 0x04, reason}, {3, 0x10, reason},
	} {
		err := asServer(func(c *caller) error {
			if err := c.accept(); err != nil {
				return err
			}
			c.send(rawFrame(bad.kind, bad.flag, byte(c.id), bad.fields))
			return inOrder(c.gone, c.fails)
		})(s)
		if err != nil {
			return err
		}
	}
	return nil
}

func clientPingFields(c *caller) error {
	if err := c.accept(); err != nil {
		return err
	}
	c.send(rawFrame(5, 0, 1, "x"))
	return inOrder(c.gone, c.fails)
}

// largestOf skips clients that allow more than can be sent for a test.
func (c *caller) largestOf() (uint32, error) {
	if c.largest > 64<<20 {
		return 0, skip("the client announces %d bytes: too many to send", c.largest)
	}
	return c.largest, nil
}

func clientLargest(c *caller) error {
	if err := c.accept(); err != nil {
		return err
	}
	n, err := c.largestOf()
	if err != nil {
		return err
	}
	b := response(c.id, `{"Count":100}`)
	c.send(response(c.id, `{"Count":100}`+strings.Repeat(" ", int(n)-(len(b)-4))))
	return c.succeeds(`{"Count":100}`)
}

// clientOverLimit claims one byte more than is allowed, and sends none of them.
func clientOverLimit(c *caller) error {
	if err := c.accept(); err != nil {
		return err
	}
	n, err := c.largestOf()
	if err != nil {
		return err
	}
	n++
	c.send([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return inOrder(c.gone, c.fails)
}
