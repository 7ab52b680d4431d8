package conform

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// Of a stream the program under test gets its shape, too. Of a client or bidi stream its
// params are a list of items.
var streamClientRules = []Rule{
	{Name: "client: streams: one request, many items", Says: "After it, the server sends nothing for this ID.", test: asStreams(clientCount)},
	{Name: "client: streams: many items, one reply", Says: "ends with the client's end, which comes after its last item and has neither flags nor fields", test: asStreams(clientSum)},
	{Name: "client: streams: both ways", Says: "| 3 | bidi stream | items | items, at any time |", test: asStreams(clientEcho)},
	{Name: "client: streams: an error after the items", Says: "All items that the handler has sent come before it", test: asStreams(clientStreamError)},
	{Name: "client: streams: not granted", Says: "An open then fails at the client with unimplemented, and nothing is sent.", test: asStreams(clientNoStreams)},
	{Name: "client: streams: it ends its half after the server's end", Says: "If the client's half is still open when the server's end arrives, the client ends it then", test: asStreams(clientEndsHalf)},
	{Name: "client: credit: it sends no more", Says: "A sender may send an item only if it has credit for all its frames.", test: asStreams(clientKeepsCredit)},
	{Name: "client: credit: it gives it back", Says: "The receiver gives credit back when its consumer has taken items", test: asStreams(clientGivesCredit)},
	{Name: "client: want: it says what it waits for", Says: "A sender that has not enough credit for its next item says once what all frames of that item cost.", test: asStreams(clientWants)},
	{Name: "client: want: it makes room for a large item", Says: "If the item costs more than the window, the receiver lends the credit that is missing", test: asStreams(clientMakesRoom)},
	{Name: "client: streams: bad: what a connection cannot go on from", Says: "A mistake of the server ends the connection, too: the client closes it.", test: eachEndsClient},
	{Name: "client: streams: bad: what its stream cannot go on from", Says: "All of them but the last have flag 40 and at least 1,024 bytes of it.", test: eachFailsStream},
}

// The grant of a played server.
const (
	theirStreams = 4
	theirWindow  = 4096
)

// A streamCaller is a client under test that opens a stream.
type streamCaller struct {
	*caller
	view *streamView
}

// asStreams makes a rule of what a server says to a client that opens streams. One that
// offers none is not tested.
func asStreams(say func(*server) error) func(*server) error {
	return func(s *server) error {
		offers := false
		err := asServer(func(c *caller) error {
			if err := c.hello(); err != nil {
				return err
			}
			offers = c.said.OffersStreams() > 0
			return nil
		})(s)
		switch {
		case err != nil:
			return err
		case !offers:
			return skip("the client does not offer streams")
		}
		return say(s)
	}
}

// opens starts the program, grants it streams, and takes its open.
func (s *server) opens(method, shape, params string) (*streamCaller, error) {
	c, err := s.startCaller(method, params, shape)
	if err != nil {
		return nil, err
	}
	o := &streamCaller{caller: c}
	if err := c.hello(); err != nil {
		c.close()
		return nil, err
	}
	c.send(frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20, Text: frames.StreamsGrant(theirStreams, theirWindow)}.Bytes())
	if err := o.takeOpen(method, shape); err != nil {
		c.close()
		return nil, err
	}
	return o, nil
}

var shapes = map[string]wire.Shape{"server": wire.ServerStream, "client": wire.ClientStream, "bidi": wire.BidiStream}

func (c *streamCaller) takeOpen(method, shape string) error {
	got, err := c.read(false, "an open")
	if err != nil {
		return err
	}
	f, err := frames.ParseFrame(got)
	if err == nil {
		err = f.CheckAgreed(true, wire.FlagMore)
	}
	var open frames.Open
	if err == nil {
		open, err = f.Open()
	}
	switch {
	case err != nil:
	case f.Kind != wire.KindOpen:
		err = fmt.Errorf("a %s", f.Kind)
	case open.ID == 0:
		err = errors.New("ID 0")
	case open.Method != method || open.Shape != shapes[shape]:
		err = fmt.Errorf("method %q, shape %d: it was told to open %s, a %s stream", open.Method, open.Shape, method, shape)
	}
	if err != nil {
		return c.failure("not the open: "+err.Error(), nil, got)
	}
	window := c.said.OffersStreams()
	c.id = open.ID
	c.view = &streamView{id: open.ID, credit: window, room: theirWindow, largest: 4<<20 - wire.MinLength}
	return nil
}

// until reads the client's frames until done says that what is wanted has come.
func (c *streamCaller) until(want string, done func() bool) error {
	for !done() {
		got, err := c.read(false, want)
		if err != nil {
			return err
		}
		f, err := frames.ParseFrame(got)
		if err == nil {
			err = f.CheckAgreed(true, wire.FlagMore)
		}
		switch {
		case err != nil:
		case f.Kind == wire.KindPing:
			c.send(frame(wire.KindPong, f.ID).Bytes())
		case f.ID != c.view.id:
			err = fmt.Errorf("%s for stream %d, which is not open", f.Kind, f.ID)
		default:
			err = c.view.mind(f)
		}
		if err != nil {
			return c.failure(err.Error(), nil, got)
		}
	}
	return nil
}

func (c *streamCaller) untilEnd() error {
	return c.until("the end of the client's half", func() bool { return c.view.over })
}

func (c *streamCaller) untilItems(n int) error {
	return c.until(fmt.Sprintf("%d items", n), func() bool { return len(c.view.items) >= n })
}

func (c *streamCaller) item(item string) { c.data(0, item) }

func (c *streamCaller) data(flags uint8, item string) {
	c.view.credit -= frames.DataCost(len(item))
	c.send(frames.Data(c.view.id, flags, []byte(item)).Bytes())
}

func (c *streamCaller) give(n int64) {
	c.view.room += n
	c.send(frames.AmountFrame(wire.KindCredit, c.view.id, uint32(n)).Bytes())
}

// ends ends the stream, as a server does.
func (c *streamCaller) ends(r frames.Reason) {
	c.send(r.Frame(wire.KindEnd, 0, c.view.id).Bytes())
}

// prints checks that the program prints items, a line each, and that its status says how
// the stream has ended.
func (c *streamCaller) prints(good bool, items ...string) error {
	if err := c.exits(); err != nil {
		return err
	}
	lines := slices.Collect(strings.Lines(c.stdout.String()))
	same := len(lines) == len(items)
	for i := 0; same && i < len(items); i++ {
		same = sameJSON([]byte(lines[i]), []byte(items[i]))
	}
	switch {
	case good && c.err != nil:
		return c.failure("the stream failed: "+c.err.Error(), nil, nil)
	case !good && c.err == nil:
		return c.failure("the stream did not fail", nil, nil)
	case !same:
		return c.failure(fmt.Sprintf("it printed %.200q, not %d items, a line each", c.stdout.String(), len(items)), nil, nil)
	}
	return nil
}

// with opens a stream and tests it.
func (s *server) with(method, shape, params string, test func(*streamCaller) error) error {
	c, err := s.opens(method, shape, params)
	if err != nil {
		return err
	}
	defer c.close()
	return test(c)
}

func clientCount(s *server) error {
	return s.with(count, "server", `{"N":3}`, func(c *streamCaller) error {
		for _, item := range numbers(3) {
			c.item(item)
		}
		c.ends(frames.Reason{})
		return c.prints(true, numbers(3)...)
	})
}

func list(items []string) string { return "[" + strings.Join(items, ",") + "]" }

func clientSum(s *server) error {
	return s.with(sum, "client", list(numbers(3)), func(c *streamCaller) error {
		if err := inOrder(c.untilEnd, func() error { return c.sentAll(numbers(3)) }); err != nil {
			return err
		}
		c.item(`{"N":6}`)
		c.ends(frames.Reason{})
		return c.prints(true, `{"N":6}`)
	})
}

// sentAll checks what the client has sent.
func (c *streamCaller) sentAll(items []string) error {
	if n := len(c.view.items); n != len(items) {
		return c.failure(fmt.Sprintf("the client sent %d items, not %d", n, len(items)), nil, nil)
	}
	for i, item := range items {
		if got := c.view.items[i]; !sameJSON(got, []byte(item)) {
			return c.failure(fmt.Sprintf("item %d of the client is %.80q, not %.80s", i+1, got, item), nil, nil)
		}
	}
	return nil
}

func clientEcho(s *server) error {
	return s.with(echo, "bidi", list(numbers(3)), func(c *streamCaller) error {
		for i, item := range numbers(3) {
			if err := c.untilItems(i + 1); err != nil {
				return err
			}
			c.item(item)
		}
		if err := inOrder(c.untilEnd, func() error { return c.sentAll(numbers(3)) }); err != nil {
			return err
		}
		c.ends(frames.Reason{})
		return c.prints(true, numbers(3)...)
	})
}

func clientStreamError(s *server) error {
	return s.with(count, "server", `{"N":2}`, func(c *streamCaller) error {
		c.item(`{"N":1}`)
		c.ends(frames.Reason{Code: wire.NotFound, Text: "no more", Details: []frames.Pair{{Key: "n", Value: "1"}}})
		return c.prints(false, `{"N":1}`)
	})
}

// clientNoStreams grants none: nothing of a stream may come.
func clientNoStreams(s *server) error {
	c, err := s.startCaller(count, `{"N":1}`, "server")
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.hello(); err != nil {
		return err
	}
	c.send(acceptance)
	got, err := c.read(false, "the end of the connection")
	if err == nil {
		return c.failure("something came where nothing should", nil, got)
	}
	if len(got) > 0 || !strings.Contains(err.Error(), "closed the connection") {
		return err
	}
	return c.fails()
}

func clientEndsHalf(s *server) error {
	return s.with(echo, "bidi", list(numbers(1000)), func(c *streamCaller) error {
		c.ends(frames.Reason{Code: wire.Aborted, Text: "enough"})
		left := func() bool { return c.view.over }
		if err := c.untilOrCancel(left); err != nil {
			return err
		}
		return c.prints(false)
	})
}

// untilOrCancel waits until the client's half has ended: by an end, by a cancel, or with the
// connection, for the program opens one stream only.
func (c *streamCaller) untilOrCancel(done func() bool) error {
	err := c.until("the end of the client's half, or a cancel", done)
	var f *Failure
	if errors.As(err, &f) && (len(f.Received) > 4 && wire.Kind(f.Received[4]) == wire.KindCancel || strings.Contains(f.Reason, "closed the connection")) {
		return nil
	}
	return err
}

func clientKeepsCredit(s *server) error {
	const n = 300
	return s.with(sum, "client", list(numbers(n)), func(c *streamCaller) error {
		for !c.view.over {
			wants := len(c.view.wants)
			err := c.until("a want of a client that has no credit left, or its end", func() bool { return c.view.over || len(c.view.wants) > wants })
			if err != nil {
				return err
			}
			if !c.view.over {
				if err := c.quiet(); err != nil {
					return err
				}
				c.give(theirWindow)
			}
		}
		if err := c.sentAll(numbers(n)); err != nil {
			return err
		}
		c.item(`{"N":1}`)
		c.ends(frames.Reason{})
		return c.prints(true, `{"N":1}`)
	})
}

func clientGivesCredit(s *server) error {
	return s.with(count, "server", `{"N":1}`, func(c *streamCaller) error {
		n := int(20*c.view.credit/frames.DataCost(9)) + 1
		if n > 100_000 {
			return skip("the client's window has %d bytes", c.view.credit)
		}
		for _, item := range numbers(n) {
			if err := c.haveCredit(frames.DataCost(len(item))); err != nil {
				return err
			}
			c.item(item)
		}
		c.ends(frames.Reason{})
		return c.prints(true, numbers(n)...)
	})
}

func (c *streamCaller) haveCredit(cost int64) error {
	if c.view.credit >= cost {
		return nil
	}
	c.send(frames.AmountFrame(wire.KindWant, c.view.id, uint32(cost)).Bytes())
	return c.until("credit", func() bool { return c.view.credit >= cost })
}

func clientWants(s *server) error {
	item := large(1)
	return s.with(sum, "client", "["+item+"]", func(c *streamCaller) error {
		if err := c.until("a want for a large item", func() bool { return len(c.view.wants) > 0 }); err != nil {
			return err
		}
		if want := c.view.wants[0]; want < 40_000 || want > 48_000 {
			return c.failure(fmt.Sprintf("a want of %d bytes for an item of %d", want, len(item)), nil, nil)
		}
		c.give(c.view.wants[0] - c.view.room)
		if err := inOrder(c.untilEnd, func() error { return c.sentAll([]string{item}) }); err != nil {
			return err
		}
		c.item(`{"N":1}`)
		c.ends(frames.Reason{})
		return c.prints(true, `{"N":1}`)
	})
}

func clientMakesRoom(s *server) error {
	return s.with(count, "server", `{"N":3}`, func(c *streamCaller) error {
		var want []string
		for i := range 3 {
			item := fmt.Sprintf(`{"N":%d,"Data":"%s"}`, i, strings.Repeat("x", 200_000))
			want = append(want, item)
			cost, rest := int64(0), item
			var parts []string
			for len(rest) > 0 {
				n := min(32<<10, len(rest))
				parts, rest = append(parts, rest[:n]), rest[n:]
				cost += frames.DataCost(n)
			}
			if err := c.haveCredit(cost); err != nil {
				return err
			}
			for _, part := range parts[:len(parts)-1] {
				c.data(wire.FlagMore, part)
			}
			c.data(0, parts[len(parts)-1])
		}
		c.ends(frames.Reason{})
		return c.prints(true, want...)
	})
}

// eachEndsClient sends what ends the connection of a client.
func eachEndsClient(s *server) error {
	const flood, twice = "data above its credit", "a frame after the end"
	for _, bad := range []struct {
		name string
		send func(c *streamCaller)
	}{
		{"an open", func(c *streamCaller) {
			c.send(frames.Open{Shape: wire.ServerStream, Request: frames.Request{ID: 9, Method: count}}.Frame().Bytes())
		}},
		{"data for a stream that is not open", func(c *streamCaller) { c.send(frames.Data(c.id+1, 0, []byte(`{}`)).Bytes()) }},
		{"an end for a stream that is not open", func(c *streamCaller) { c.send(frames.Reason{}.Frame(wire.KindEnd, 0, c.id+1).Bytes()) }},
		{"credit of 0", func(c *streamCaller) { c.send(frames.AmountFrame(wire.KindCredit, c.id, 0).Bytes()) }},
		{"credit whose sum is above 2 GiB", func(c *streamCaller) { c.send(frames.AmountFrame(wire.KindCredit, c.id, 1<<31-1).Bytes()) }},
		{"credit for a stream that is not open", func(c *streamCaller) { c.send(frames.AmountFrame(wire.KindCredit, c.id+1, 100).Bytes()) }},
		{"a want of 0", func(c *streamCaller) { c.send(frames.AmountFrame(wire.KindWant, c.id, 0).Bytes()) }},
		{"a header that was not agreed upon", func(c *streamCaller) { c.send(frames.Frame{Kind: wire.KindHeader, ID: c.id}.Bytes()) }},
		{"a trailer that was not agreed upon", func(c *streamCaller) {
			c.send(frames.Reason{}.Frame(wire.KindEnd, wire.FlagReplyMetadata, c.id).Bytes())
		}},
		{"a flag that an end does not have", func(c *streamCaller) { c.send(frames.Reason{}.Frame(wire.KindEnd, wire.FlagMore, c.id).Bytes()) }},
		{"an end cut short", func(c *streamCaller) {
			c.send(frames.Frame{Kind: wire.KindEnd, ID: c.id, Fields: []byte{0, 0}}.Bytes())
		}},
		{"more after an end", func(c *streamCaller) {
			c.send(frames.Frame{Kind: wire.KindEnd, ID: c.id, Fields: []byte{0, 0, 0, 1}}.Bytes())
		}},
		{"a flag that data do not have", func(c *streamCaller) { c.send(frames.Data(c.id, wire.FlagPairs, []byte(`{}`)).Bytes()) }},
		{"compressed data that were not granted", func(c *streamCaller) { c.send(frames.Data(c.id, wire.FlagCompressed, []byte(`{}`)).Bytes()) }},
		{flood, func(c *streamCaller) { c.send(frames.Data(c.id, 0, make([]byte, c.view.credit)).Bytes()) }},
		{twice, func(c *streamCaller) {
			end := frames.Reason{}.Frame(wire.KindEnd, 0, c.id).Bytes()
			c.send(append(end, frames.Data(c.id, 0, []byte(`{}`)).Bytes()...))
		}},
	} {
		err := asStreams(func(s *server) error {
			return s.with(echo, "bidi", `[]`, func(c *streamCaller) error {
				bad.send(c)
				if bad.name == twice { // the program may have ended before
					return c.gone()
				}
				return inOrder(c.gone, c.fails)
			})
		})(s)
		if err != nil {
			return within(bad.name, err)
		}
	}
	return nil
}

// eachFailsStream sends what fails a stream at the client, which cancels it.
func eachFailsStream(s *server) error {
	for _, bad := range []struct {
		name string
		send func(c *streamCaller)
	}{
		{"an item that is not JSON", func(c *streamCaller) { c.item("{") }},
		{"a short fragment", func(c *streamCaller) { c.data(wire.FlagMore, "{") }},
	} {
		err := asStreams(func(s *server) error {
			return s.with(count, "server", `{"N":1}`, func(c *streamCaller) error {
				bad.send(c)
				if err := c.untilOrCancel(func() bool { return false }); err != nil {
					return err
				}
				c.ends(frames.Reason{Code: wire.Canceled})
				return c.fails()
			})
		})(s)
		if err != nil {
			return within(bad.name, err)
		}
	}
	return nil
}
