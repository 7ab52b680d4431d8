package conform

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// ourWindow is what the client says in its offer of streams: little, so that credit is
// short at once.
const ourWindow = 8192

// A streamView is a stream as one side sees it: what it may send, what the other side may,
// and what has come. It holds the other side to the protocol wherever a frame comes.
type streamView struct {
	id      uint64
	credit  int64 // what this side may send
	room    int64 // what the other side may send
	largest int   // bytes of an item that this side takes
	client  bool  // this side is the client

	items   [][]byte
	part    []byte
	within  bool // an item of several frames is arriving
	packed  bool // and it is compressed
	wants   []int64
	credits int  // frames that have come
	header  bool // has come, or may not come any more

	over bool          // the other side has ended its half
	end  frames.Reason // if that is the server
	ran  bool          // the end does not say that the handler was never started
}

// mind takes a frame of the other side. Its error says what is wrong with it.
func (s *streamView) mind(f frames.Frame) error {
	if s.over && f.Kind != wire.KindCredit {
		return fmt.Errorf("%s for stream %d after its end", f.Kind, s.id)
	}
	switch f.Kind {
	case wire.KindHeader:
		if s.header {
			return fmt.Errorf("a header of stream %d after its first item, or a second one", s.id)
		}
		s.header = true
		md, err := f.Header()
		if err != nil {
			return err
		}
		return checkReplyMetadata(md)
	case wire.KindData:
		s.header = true
		return s.data(f)
	case wire.KindCredit:
		n, err := f.Amount()
		s.credit += n
		s.credits++
		if err == nil && s.credit > math.MaxInt32 {
			err = fmt.Errorf("credit of %d bytes for stream %d makes %d, more than there may be", n, s.id, s.credit)
		}
		return err
	case wire.KindWant:
		n, err := f.Amount()
		most := int64(s.largest) + int64(s.largest)/8
		switch {
		case err != nil:
			return err
		case n > most:
			return fmt.Errorf("a want of %d bytes on stream %d: no item costs more than %d", n, s.id, most)
		}
		s.wants = append(s.wants, n)
	case wire.KindEnd:
		return s.ends(f)
	}
	return nil
}

func (s *streamView) data(f frames.Frame) error {
	more := f.Flags&wire.FlagMore != 0
	s.room -= frames.DataCost(len(f.Fields))
	s.part = append(s.part, f.Fields...)
	switch {
	case s.room < 0:
		return fmt.Errorf("data on stream %d above its credit, by %d bytes", s.id, -s.room)
	case more && len(f.Fields) < 1024:
		return fmt.Errorf("a fragment of %d bytes on stream %d that is not an item's last: at least 1024 are wanted", len(f.Fields), s.id)
	case s.within && f.Flags&wire.FlagCompressed != 0:
		return fmt.Errorf("a compressed fragment within an item of stream %d", s.id)
	case len(s.part) > s.largest:
		return fmt.Errorf("an item of %d bytes on stream %d: at most %d are read", len(s.part), s.id, s.largest)
	}
	if !s.within {
		s.packed = f.Flags&wire.FlagCompressed != 0
	}
	s.within = more
	if more {
		return nil
	}
	item := s.part
	s.part = nil
	if s.packed {
		var err error
		if item, err = frames.Expand(item, s.largest); err != nil {
			return fmt.Errorf("a compressed item on stream %d that is none: %w", s.id, err)
		}
	}
	s.items = append(s.items, item)
	return nil
}

func (s *streamView) ends(f frames.Frame) error {
	s.over = true
	switch {
	case s.within:
		return fmt.Errorf("the end of stream %d within an item", s.id)
	case !s.client && (f.Flags != 0 || len(f.Fields) > 0):
		return fmt.Errorf("a client's end of stream %d with flags or fields", s.id)
	case !s.client:
		return nil
	}
	var err error
	s.end, err = f.Reason()
	s.ran = f.Flags&wire.FlagNeverRan == 0
	if err == nil {
		err = checkReplyMetadata(s.end.Metadata)
	}
	return err
}

// offerStreams says hello with an offer of streams, and with others beside it.
func offerStreams(c *client) error { return c.offerStreams() }

func (c *client) offerStreams(beside ...frames.Pair) error {
	return c.offerAll(4<<20, append(beside, frames.Pair{Key: frames.Streams, Value: frames.StreamsOffer(ourWindow)})...)
}

// onStreams makes a rule of what happens on a connection with streams.
func onStreams(test func(*client) error, beside ...frames.Pair) func(*server) error {
	return onConn(func(c *client) error { return c.offerStreams(beside...) }, func(c *client) error {
		if c.agreed&wire.FlagMore == 0 {
			return skip("the server does not grant streams")
		}
		return test(c)
	})
}

// opened opens a stream.
func (c *client) opened(o frames.Open) *streamView {
	c.lastID++
	o.ID = c.lastID
	_, window := c.bounds.GrantsStreams()
	s := &streamView{id: o.ID, credit: window, room: ourWindow, largest: c.largest - wire.MinLength, client: true}
	c.streams[o.ID] = s
	c.send(o.Frame().Bytes())
	return s
}

// The streams of the rules.
func (c *client) openCount(params string) *streamView {
	return c.opened(frames.Open{Shape: wire.ServerStream, Request: frames.Request{Method: count, Params: []byte(params)}})
}

func (c *client) openSum() *streamView {
	return c.opened(frames.Open{Shape: wire.ClientStream, Request: frames.Request{Method: sum}})
}

func (c *client) openEcho() *streamView {
	return c.opened(frames.Open{Shape: wire.BidiStream, Request: frames.Request{Method: echo}})
}

func (c *client) openStall() *streamView {
	return c.opened(frames.Open{Shape: wire.BidiStream, Request: frames.Request{Method: never}})
}

// item sends an item, in one frame.
func (c *client) item(s *streamView, item string) {
	s.credit -= frames.DataCost(len(item))
	c.send(frames.Data(s.id, 0, []byte(item)).Bytes())
}

// endHalf ends this side's half.
func (c *client) endHalf(s *streamView) { c.send(frame(wire.KindEnd, s.id).Bytes()) }

// give gives credit.
func (c *client) give(s *streamView, n int64) {
	s.room += n
	c.send(frames.AmountFrame(wire.KindCredit, s.id, uint32(n)).Bytes())
}

// until reads until done says that what is wanted has come.
func (c *client) until(want string, done func() bool) error {
	for !done() {
		got, err := c.read(c.timeout, nil)
		switch {
		case err == io.EOF:
			err = c.failure("the server ended the connection", nil, nil)
		case err == nil && wire.Kind(got[4]) == wire.KindGoAway:
			err = c.failure("another answer", nil, got)
		}
		var f *Failure
		if errors.As(err, &f) {
			f.Want = want
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// untilItems waits for items, which have to be these.
func (c *client) untilItems(s *streamView, want ...string) error {
	for i, item := range want {
		err := c.until(fmt.Sprintf("item %s of stream %d", item, s.id), func() bool { return len(s.items) > i || s.over })
		if err != nil {
			return err
		}
		if i >= len(s.items) {
			return c.failure(fmt.Sprintf("stream %d ended with %s, %q, before item %s", s.id, s.end.Code, s.end.Text, item), nil, nil)
		}
		if got := s.items[i]; !sameJSON(got, []byte(item)) {
			return c.failure(fmt.Sprintf("item %d of stream %d is %.80q, not %.80s", i+1, s.id, got, item), nil, nil)
		}
	}
	return nil
}

// untilEnd waits for the end, and wants it to have that code, after so many items.
func (c *client) untilEnd(s *streamView, code wire.Code, items int) error {
	if err := c.until(fmt.Sprintf("the end of stream %d, with %s", s.id, code), func() bool { return s.over }); err != nil {
		return err
	}
	switch {
	case s.end.Code != code:
		return c.failure(fmt.Sprintf("stream %d ended with %s, %q, not with %s", s.id, s.end.Code, s.end.Text, code), nil, nil)
	case len(s.items) != items:
		return c.failure(fmt.Sprintf("%d items on stream %d before its end, not %d", len(s.items), s.id, items), nil, nil)
	}
	return nil
}

// untilRefused wants an end that says that the handler was never started.
func (c *client) untilRefused(s *streamView, code wire.Code) error {
	if err := c.untilEnd(s, code, 0); err != nil {
		return err
	}
	if s.ran {
		return c.failure(fmt.Sprintf("the end of stream %d does not say that it never ran", s.id), nil, nil)
	}
	return nil
}

// settled checks that nothing but credit comes for a while, and that the connection goes on.
func (c *client) settled() error {
	c.send(frame(wire.KindPing, pingID).Bytes())
	pong := frame(wire.KindPong, pingID).Bytes()
	for {
		got, err := c.read(c.timeout, pong)
		switch {
		case err == io.EOF:
			return c.failure("the server ended the connection", pong, nil)
		case err != nil:
			return err
		case bytes.Equal(got, pong):
			return nil
		case wire.Kind(got[4]) != wire.KindCredit:
			return c.compare(pong, got, false)
		}
	}
}
