package conform

import (
	"errors"
	"fmt"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// The methods that are streams.
const (
	count = "Test.Count" // a server stream: N items, from 1 on, with the same data
	sum   = "Test.Sum"   // a client stream: the sum of its items' N
	echo  = "Test.Echo"  // a bidi stream: each item as it was
	never = "Test.Never" // a bidi stream that neither receives nor sends, until it is cancelled
)

var streamRules = []Rule{
	{Name: "streams: offered", Says: "Streams are off unless the hellos agree upon them.", test: onConn(offerStreams, offered)},
	{Name: "streams: one request, many items", Says: "All items that the handler has sent come before it", test: onStreams(streamCount)},
	{Name: "streams: many items, one reply", Says: "The good end of a client stream has exactly one item before it.", test: onStreams(streamSum)},
	{Name: "streams: both ways, one by one", Says: "| 3 | bidi stream | items | items, at any time |", test: onStreams(streamEcho)},
	{Name: "streams: no items", Says: "Code 0 is a good end.", test: onStreams(streamEmpty)},
	{Name: "streams: an error after the items", Says: "All items that the handler has sent come before it", test: onStreams(streamError)},
	{Name: "streams: a compressed item", Says: "An item is compressed as a whole and then cut", test: onStreams(streamCompressed, frames.Pair{Key: frames.Compression, Value: frames.Gzip})},
	{Name: "streams: what is no such stream is refused", Says: "Both have unimplemented and flag 08.", test: onStreams(streamRefused)},
	{Name: "streams: an item that does not decode", Says: "The handler's receiving fails with it", test: onStreams(streamUndecoded)},
	{Name: "streams: the deadline passes", Says: "When the time is up, the server ends the stream with deadline_exceeded, whatever the handler returns.", test: onStreams(streamDeadline)},
	{Name: "streams: cancel, and one end", Says: "Each open gets exactly one end, also if it was cancelled", test: onStreams(streamCancel)},
	{Name: "streams: cancel after the end", Says: "A cancel for a stream that is over is ignored.", test: onStreams(streamCancelLate)},
	{Name: "credit: the server sends no more", Says: "A sender may send an item only if it has credit for all its frames.", test: onStreams(creditKept)},
	{Name: "credit: the server gives it back", Says: "The receiver gives credit back when its consumer has taken items", test: onStreams(creditGiven)},
	{Name: "credit: not for what nobody takes", Says: "when its consumer has taken items, not when they arrive", test: onStreams(creditStalled)},
	{Name: "credit: a stalled stream delays nothing", Says: "It never stops reading because a consumer is slow.", test: onStreams(creditDelaysNothing)},
	{Name: "want: the server says what it waits for", Says: "A sender that has not enough credit for its next item says once what all frames of that item cost.", test: onStreams(wantSaid)},
	{Name: "want: the server makes room for a large item", Says: "If the item costs more than the window, the receiver lends the credit that is missing", test: onStreams(wantGranted)},
	{Name: "want: a larger window for one stream at a time", Says: "It must be able to do that for one stream at a time, whatever windows the others have filled.", test: onStreams(wantInTurn)},
	{Name: "streams: no more than granted", Says: "They have the bound of the grant, and an open beyond it ends the connection.", test: onStreams(tooManyStreams)},
	{Name: "streams: a mistake that ends a stream", Says: "| `stream: data after the end` | while the other half is open |", test: eachEndsStream},
	{Name: "streams: a mistake that ends the connection", Says: "data that cost more than the credit of the stream", test: eachEndsStreams},
	{Name: "streams: not agreed upon", Says: "neither side may send kinds 8 to 13", test: onConn(hello, streamsUnknown)},
}

func numbers(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`{"N":%d}`, i+1))
	}
	return all
}

func streamCount(c *client) error {
	s := c.openCount(`{"N":3}`)
	return inOrder(
		func() error { return c.untilItems(s, numbers(3)...) },
		func() error { return c.untilEnd(s, wire.OK, 3) },
		c.settled)
}

func streamSum(c *client) error {
	s := c.openSum()
	for _, item := range numbers(4) {
		c.item(s, item)
	}
	if err := c.settled(); err != nil { // no reply before the end
		return err
	}
	c.endHalf(s)
	return inOrder(
		func() error { return c.untilItems(s, `{"N":10}`) },
		func() error { return c.untilEnd(s, wire.OK, 1) },
		c.settled)
}

func streamEcho(c *client) error {
	s := c.openEcho()
	items := numbers(5)
	for i, item := range items {
		c.item(s, item)
		if err := c.untilItems(s, items[:i+1]...); err != nil {
			return err
		}
	}
	c.endHalf(s)
	return inOrder(func() error { return c.untilEnd(s, wire.OK, 5) }, c.settled)
}

func streamEmpty(c *client) error {
	counted, echoed, summed := c.openCount(`{"N":0}`), c.openEcho(), c.openSum()
	c.endHalf(echoed)
	c.endHalf(summed)
	return inOrder(
		func() error { return c.untilEnd(counted, wire.OK, 0) },
		func() error { return c.untilEnd(echoed, wire.OK, 0) },
		func() error { return c.untilItems(summed, `{"N":0}`) },
		func() error { return c.untilEnd(summed, wire.OK, 1) },
		c.settled)
}

func streamError(c *client) error {
	s := c.openCount(`{"N":2,"Fail":true}`)
	err := inOrder(
		func() error { return c.untilItems(s, numbers(2)...) },
		func() error { return c.untilEnd(s, wire.NotFound, 2) })
	switch {
	case err != nil:
		return err
	case s.end.Text != "no more" || len(s.end.Details) != 1 || s.end.Details[0] != (frames.Pair{Key: "n", Value: "2"}):
		return c.failure(fmt.Sprintf("the end says %q, %v, not \"no more\" with n=2", s.end.Text, s.end.Details), nil, nil)
	case !s.ran:
		return c.failure("the end says that the stream never ran", nil, nil)
	}
	return c.settled()
}

func streamCompressed(c *client) error {
	if c.agreed&wire.FlagCompressed == 0 {
		return skip("the server does not grant compression")
	}
	s := c.openEcho()
	packed := gzipped(`{"N":1}`, 0)
	s.credit -= frames.DataCost(len(packed))
	c.send(frames.Data(s.id, wire.FlagCompressed, []byte(packed)).Bytes())
	c.endHalf(s)
	return inOrder(
		func() error { return c.untilItems(s, `{"N":1}`) },
		func() error { return c.untilEnd(s, wire.OK, 1) },
		c.settled)
}

func streamRefused(c *client) error {
	none := c.opened(frames.Open{Shape: wire.ServerStream, Request: frames.Request{Method: "Test.Nope"}})
	call := c.opened(frames.Open{Shape: wire.ServerStream, Request: frames.Request{Method: checkStock, Params: []byte(item1)}})
	shape := c.opened(frames.Open{Shape: wire.ServerStream, Request: frames.Request{Method: echo}})
	other := c.opened(frames.Open{Shape: wire.BidiStream, Request: frames.Request{Method: count}})
	for _, s := range []*streamView{none, call, shape, other} {
		if err := c.untilRefused(s, wire.Unimplemented); err != nil {
			return err
		}
	}
	c.endHalf(other)
	c.lastID++
	c.request(frames.Request{ID: c.lastID, Method: count, Params: []byte(`{"N":1}`)})
	return inOrder(func() error { return c.expect(refused(c.lastID, wire.Unimplemented)) }, c.settled)
}

func streamUndecoded(c *client) error {
	s := c.openEcho()
	c.item(s, `{"N":1}`)
	c.item(s, `{"N":"no number"}`)
	err := inOrder(
		func() error { return c.untilItems(s, `{"N":1}`) },
		func() error { return c.untilEnd(s, wire.InvalidArgument, 1) })
	if err != nil {
		return err
	}
	c.endHalf(s)
	return c.settled()
}

func streamDeadline(c *client) error {
	s := c.opened(frames.Open{Shape: wire.BidiStream, Request: frames.Request{Method: never, TimeoutMS: 100}})
	if err := c.untilEnd(s, wire.DeadlineExceeded, 0); err != nil {
		return err
	}
	c.endHalf(s)
	return c.settled()
}

func streamCancel(c *client) error {
	s := c.openStall()
	if err := c.settled(); err != nil {
		return err
	}
	c.cancel(s.id)
	c.cancel(s.id)
	return inOrder(func() error { return c.untilEnd(s, wire.Canceled, 0) }, c.quiet, c.settled)
}

func streamCancelLate(c *client) error {
	s := c.openCount(`{"N":1}`)
	if err := c.untilEnd(s, wire.OK, 1); err != nil {
		return err
	}
	c.cancel(s.id)
	c.send(frames.AmountFrame(wire.KindCredit, s.id, 100).Bytes())
	return inOrder(c.quiet, c.settled)
}

// creditKept lets the server send what the window allows, and gives credit only then. What
// goes beyond it is found as it comes.
func creditKept(c *client) error {
	const n = 500
	s := c.openCount(fmt.Sprintf(`{"N":%d}`, n))
	stopped := func() bool { return len(s.wants) > 0 }
	for given := 0; given < 2; given++ {
		if err := c.until("a want of a server that has no credit left", stopped); err != nil {
			return err
		}
		if err := c.settled(); err != nil {
			return err
		}
		s.wants = nil
		c.give(s, 3*s.room+1000)
	}
	stopped = func() bool { return s.over || len(s.wants) > 0 }
	for !s.over {
		if err := c.until("more items", stopped); err != nil {
			return err
		}
		s.wants = nil
		if !s.over {
			c.give(s, ourWindow)
		}
	}
	return inOrder(
		func() error { return c.untilItems(s, numbers(n)...) },
		func() error { return c.untilEnd(s, wire.OK, n) },
		c.settled)
}

// creditGiven sends far more than the server's window.
func creditGiven(c *client) error {
	s := c.openSum()
	total, n := 0, 0
	for sent := int64(0); sent < 20*max(s.credit, ourWindow) && n < 100_000; n++ {
		item := fmt.Sprintf(`{"N":%d}`, n)
		cost := frames.DataCost(len(item))
		if err := c.haveCredit(s, cost); err != nil {
			return err
		}
		c.item(s, item)
		sent += cost
		total += n
	}
	c.endHalf(s)
	return inOrder(
		func() error { return c.untilItems(s, fmt.Sprintf(`{"N":%d}`, total)) },
		func() error { return c.untilEnd(s, wire.OK, 1) },
		c.settled)
}

// haveCredit waits for credit, and says that it waits.
func (c *client) haveCredit(s *streamView, cost int64) error {
	if s.credit >= cost {
		return nil
	}
	c.send(frames.AmountFrame(wire.KindWant, s.id, uint32(cost)).Bytes())
	return c.until(fmt.Sprintf("credit for stream %d", s.id), func() bool { return s.credit >= cost })
}

// fillHalf sends items until the credit is used up.
func (c *client) fillHalf(s *streamView) {
	for s.credit >= frames.DataCost(7) {
		c.item(s, `{"N":1}`)
	}
}

func creditStalled(c *client) error {
	s := c.openStall()
	c.fillHalf(s)
	c.send(frames.AmountFrame(wire.KindWant, s.id, uint32(frames.DataCost(7))).Bytes())
	if err := c.settled(); err != nil {
		return err
	}
	if s.credits > 0 {
		return c.failure("the server gives credit for items that its handler has not taken", nil, nil)
	}
	c.cancel(s.id)
	return inOrder(func() error { return c.untilEnd(s, wire.Canceled, 0) }, c.settled)
}

func creditDelaysNothing(c *client) error {
	to, from := c.openStall(), c.openCount(`{"N":1000}`)
	c.fillHalf(to)
	if err := c.until("a want of a server that has no credit left", func() bool { return len(from.wants) > 0 }); err != nil {
		return err
	}
	s := c.openEcho()
	c.item(s, `{"N":7}`)
	c.lastID++
	err := inOrder(
		func() error { return c.untilItems(s, `{"N":7}`) },
		func() error { return c.check(c.lastID) })
	if err != nil {
		return err
	}
	c.endHalf(s)
	c.cancel(to.id)
	c.cancel(from.id)
	return inOrder(
		func() error { return c.untilEnd(s, wire.OK, 1) },
		func() error { return c.untilEnd(to, wire.Canceled, 0) },
		func() error {
			return c.until("the end of a stream that was cancelled", func() bool { return from.over })
		},
		c.settled)
}

// large is an item that no window of ours has room for.
func large(n int) string { return fmt.Sprintf(`{"N":%d,"Data":"%s"}`, n, strings.Repeat("x", 40_000)) }

func wantSaid(c *client) error {
	s := c.openCount(`{"N":2,"Data":"` + strings.Repeat("x", 40_000) + `"}`)
	for i := range 2 {
		if err := c.until("a want for a large item", func() bool { return len(s.wants) > i }); err != nil {
			return err
		}
		if want := s.wants[i]; want <= s.room || want < 40_000 || want > 48_000 {
			return c.failure(fmt.Sprintf("a want of %d bytes, for an item of about 40000, and credit of %d", want, s.room), nil, nil)
		}
		c.give(s, s.wants[i]-s.room)
		if err := c.untilItems(s, []string{large(1), large(2)}[:i+1]...); err != nil {
			return err
		}
	}
	return inOrder(func() error { return c.untilEnd(s, wire.OK, 2) }, c.settled)
}

// sendLarge sends a large item in fragments, once there is credit for all of them.
func (c *client) sendLarge(s *streamView, item string) error {
	const size = 16 << 10
	var all []byte
	cost := int64(0)
	for rest := []byte(item); len(rest) > 0; {
		flags, n := uint8(0), min(size, len(rest))
		if n < len(rest) {
			flags = wire.FlagMore
		}
		all = frames.Data(s.id, flags, rest[:n]).Append(all)
		cost += frames.DataCost(n)
		rest = rest[n:]
	}
	if err := c.haveCredit(s, cost); err != nil {
		return err
	}
	s.credit -= cost
	c.send(all)
	return nil
}

func wantGranted(c *client) error {
	s := c.openSum()
	item := `{"N":3,"Data":"` + strings.Repeat("x", 100_000) + `"}`
	for range 3 {
		if err := c.sendLarge(s, item); err != nil {
			return err
		}
	}
	c.endHalf(s)
	return inOrder(
		func() error { return c.untilItems(s, `{"N":9}`) },
		func() error { return c.untilEnd(s, wire.OK, 1) },
		c.settled)
}

// wantInTurn has several streams want more than a window at the same time.
func wantInTurn(c *client) error {
	item := `{"N":3,"Data":"` + strings.Repeat("x", int(c.bounds.MaxMessage)*3/4) + `"}`
	for range 3 {
		s := c.openSum()
		if err := c.sendLarge(s, item); err != nil {
			return err
		}
		c.endHalf(s)
		if err := c.untilEnd(s, wire.OK, 1); err != nil {
			return err
		}
	}
	return c.settled()
}

func tooManyStreams(c *client) error {
	most, _ := c.bounds.GrantsStreams()
	if most > 20_000 {
		return skip("the server grants %d streams", most)
	}
	for range most {
		c.openStall()
	}
	if err := c.settled(); err != nil {
		return err
	}
	s := c.openStall()
	return inOrder(func() error { return c.expect(goAway(s.id-1, wire.ResourceExhausted)) }, c.ended)
}

// eachEndsStream sends what fails a stream, which ends with the code, and what does not end
// its connection.
func eachEndsStream(s *server) error {
	short := func(id uint64) []byte { return frames.Data(id, wire.FlagMore, []byte(`{"N"`)).Bytes() }
	long := func(id uint64, flags uint8) []byte {
		return frames.Data(id, flags, []byte(`{"N":1}`+strings.Repeat(" ", 1100))).Bytes()
	}
	half := func(id uint64) []byte { return frame(wire.KindEnd, id).Bytes() }
	item := func(id uint64) []byte { return frames.Data(id, 0, []byte(`{"N":1}`)).Bytes() }
	for _, bad := range []struct {
		name   string
		frames func(id uint64) [][]byte
	}{
		{"data after its end", func(id uint64) [][]byte { return [][]byte{half(id), item(id)} }},
		{"two ends", func(id uint64) [][]byte { return [][]byte{half(id), half(id)} }},
		{"a want after its end", func(id uint64) [][]byte {
			return [][]byte{half(id), frames.AmountFrame(wire.KindWant, id, 100).Bytes()}
		}},
		{"a short fragment", func(id uint64) [][]byte { return [][]byte{short(id), half(id)} }},
		{"an end within an item", func(id uint64) [][]byte { return [][]byte{long(id, wire.FlagMore), half(id)} }},
		{"compressed in the middle", func(id uint64) [][]byte {
			return [][]byte{long(id, wire.FlagMore), long(id, wire.FlagCompressed), half(id)}
		}},
	} {
		err := onStreams(func(c *client) error {
			if bad.name == "compressed in the middle" && c.agreed&wire.FlagCompressed == 0 {
				return nil
			}
			s := c.openStall()
			for _, b := range bad.frames(s.id) {
				c.send(b)
			}
			return inOrder(func() error { return c.untilEnd(s, wire.InvalidArgument, 0) }, c.settled)
		}, frames.Pair{Key: frames.Compression, Value: frames.Gzip})(s)
		if err != nil {
			return within(bad.name, err)
		}
	}
	return nil
}

// eachEndsStreams sends what a connection cannot go on from.
func eachEndsStreams(s *server) error {
	bytes := func(k wire.Kind, id uint64, n uint32) []byte { return frames.AmountFrame(k, id, n).Bytes() }
	open := func(shape wire.Shape, method, params string) []byte {
		return frames.Open{Shape: shape, Request: frames.Request{ID: 2, Method: method, Params: []byte(params)}}.Frame().Bytes()
	}
	const flood = "more data than credit"
	for _, bad := range []struct {
		name string
		code wire.Code
		b    []byte
	}{
		{"a kind that is reserved", wire.Unimplemented, frame(14, 1).Bytes()},
		{"a header from a client", wire.InvalidArgument, frame(wire.KindHeader, 1).Bytes()},
		{"a shape that is none", wire.InvalidArgument, open(4, echo, "")},
		{"params of a bidi stream", wire.InvalidArgument, open(wire.BidiStream, echo, "{}")},
		{"an ID that is in use", wire.InvalidArgument, frames.Open{Shape: wire.BidiStream, Request: frames.Request{ID: 1, Method: echo}}.Frame().Bytes()},
		{"an open cut short", wire.InvalidArgument, frames.Frame{Kind: wire.KindOpen, ID: 2, Fields: []byte{0, 0, 0, 0, 1, 0}}.Bytes()},
		{"fields on an end", wire.InvalidArgument, frames.Frame{Kind: wire.KindEnd, ID: 1, Fields: []byte{0}}.Bytes()},
		{"flags on an end", wire.InvalidArgument, frames.Frame{Kind: wire.KindEnd, Flags: wire.FlagNeverRan, ID: 1}.Bytes()},
		{"flags on a credit", wire.InvalidArgument, frames.Frame{Kind: wire.KindCredit, Flags: wire.FlagMore, ID: 1, Fields: []byte{0, 0, 0, 1}}.Bytes()},
		{"data of a stream that never was", wire.InvalidArgument, frames.Data(9, 0, []byte(`{}`)).Bytes()},
		{"credit to one that never was", wire.InvalidArgument, bytes(wire.KindCredit, 9, 1)},
		{"the end of one that never was", wire.InvalidArgument, frame(wire.KindEnd, 9).Bytes()},
		{"credit of 0", wire.InvalidArgument, bytes(wire.KindCredit, 1, 0)},
		{"credit of 2 GiB", wire.InvalidArgument, bytes(wire.KindCredit, 1, 1<<31)},
		{"credit whose sum is above 2 GiB", wire.InvalidArgument, bytes(wire.KindCredit, 1, 1<<31-1)},
		{"a credit cut short", wire.InvalidArgument, frames.Frame{Kind: wire.KindCredit, ID: 1, Fields: []byte{0, 0, 1}}.Bytes()},
		{flood, wire.ResourceExhausted, nil},
		{"data after both sides have ended", wire.InvalidArgument, nil},
	} {
		err := onStreams(func(c *client) error {
			s := c.openStall()
			b := bad.b
			switch {
			case bad.name == flood:
				b = frames.Data(s.id, 0, make([]byte, s.credit)).Bytes()
			case b == nil:
				c.cancel(s.id)
				if err := c.untilEnd(s, wire.Canceled, 0); err != nil {
					return err
				}
				b = frames.Data(s.id, 0, []byte(`{}`)).Bytes()
			}
			c.send(b)
			return inOrder(func() error { return c.expect(goAway(1, bad.code)) }, c.ended)
		})(s)
		if err != nil {
			return within(bad.name, err)
		}
	}
	return nil
}

// within says in which of a rule's cases it failed.
func within(name string, err error) error {
	var f *Failure
	if errors.As(err, &f) {
		f.Reason = name + ": " + f.Reason
	}
	return err
}

func streamsUnknown(c *client) error {
	c.send(frames.Open{Shape: wire.ServerStream, Request: frames.Request{ID: 1, Method: count, Params: []byte(`{"N":1}`)}}.Frame().Bytes())
	return inOrder(func() error { return c.expect(goAway(0, wire.Unimplemented)) }, c.ended)
}
