package book

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
	workshopwire "example.com/rpc-from-scratch/final/workshop/wire"
)

// A field is a part of a message.
type field struct {
	name, value string
	bytes       []byte
}

// A connection takes the packets of a capture's section apart, if they are messages of
// final's wire.
type connection struct {
	sides  [2]side // the server's, the client's
	client frames.ClientHello
	agreed uint8 // flags that the hellos have agreed upon
}

// A side is what one direction has sent.
type side struct {
	helloed bool
	begun   []byte // of a message that the next packet goes on with
	lost    bool   // it said no hello: where its messages end is unknown

	within map[uint64]bool // streams on which an item goes on
}

// fields returns the fields of the messages in a packet, which together are its bytes;
// nil if it is not whole messages, or one of them is malformed.
func (c *connection) fields(p frames.Packet) []field {
	s := &c.sides[0]
	if p.FromClient {
		s = &c.sides[1]
	}
	whole := len(s.begun) == 0
	rest := slices.Concat(s.begun, p.Data)
	var all []field
	for len(rest) > 0 {
		if !s.helloed && !wire.IsMagic(rest) {
			s.lost = true
		}
		size := frames.Size(rest, !s.helloed)
		if s.lost || size == 0 || size > len(rest) {
			break
		}
		rows, err := c.message(rest[:size], !s.helloed, p.FromClient)
		whole = whole && err == nil
		s.helloed = true
		all = append(all, rows...)
		rest = rest[size:]
	}
	s.begun = rest
	if !whole || len(rest) > 0 {
		return nil
	}
	return all
}

func (c *connection) message(b []byte, hello, fromClient bool) ([]field, error) {
	f := &fields{rest: b}
	if hello {
		return f.done(c.hello(f, b, fromClient))
	}
	return f.done(c.frame(f, b, fromClient))
}

func (c *connection) hello(f *fields, b []byte, fromClient bool) error {
	h, err := frames.ParseHello(b)
	if err == nil && h.Version != wire.Version {
		err = fmt.Errorf("version %d", h.Version)
	}
	if err != nil {
		return err
	}
	f.add("magic", len(wire.Magic), readable([]byte(wire.Magic)))
	f.add("version", 1, fmt.Sprint(h.Version))
	f.add("length", 2, fmt.Sprint(len(h.Body)))
	if fromClient {
		h, err := h.Client()
		c.client = h
		f.text("codec", 1, h.Codec)
		f.add("largest message that the client reads", 4, fmt.Sprint(h.MaxMessage))
		f.pairs(h.Metadata)
		return err
	}
	s, err := h.Server()
	c.agreed = frames.Agreed(c.client, s)
	f.add("code", 1, s.Code.String())
	f.add("calls in flight", 4, fmt.Sprint(s.InFlight))
	f.add("largest message that the server reads", 4, fmt.Sprint(s.MaxMessage))
	f.add("text", len(s.Text), readable([]byte(s.Text)))
	return err
}

func (c *connection) frame(f *fields, b []byte, fromClient bool) error {
	m, err := frames.ParseFrame(b)
	if err == nil {
		err = m.CheckAgreed(fromClient, c.agreed)
	}
	if err != nil {
		return err
	}
	f.add("length", wire.LengthSize, fmt.Sprint(binary.BigEndian.Uint32(b)))
	f.add("kind", 1, m.Kind.String())
	f.add("flags", 1, flagNames(m.Flags))
	f.add("ID", 8, fmt.Sprint(m.ID))
	switch m.Kind {
	case wire.KindRequest:
		r, err := m.Request()
		f.add("timeout", 4, fmt.Sprint(r.TimeoutMS, " ms"))
		f.text("method", 2, r.Method)
		f.flagged(m, wire.FlagPairs, "metadata", r.Metadata)
		f.add("params", len(r.Params), c.body(m, r.Params))
		return err
	case wire.KindResponse:
		r, err := m.Response()
		f.flagged(m, wire.FlagReplyMetadata, "metadata", r.Metadata)
		f.add("result", len(r.Result), c.body(m, r.Result))
		return err
	case wire.KindOpen:
		o, err := m.Open()
		f.add("timeout", 4, fmt.Sprint(o.TimeoutMS, " ms"))
		f.add("shape", 1, workshopwire.ShapeName(o.Shape))
		f.text("method", 2, o.Method)
		f.flagged(m, wire.FlagPairs, "metadata", o.Metadata)
		f.add("params", len(o.Params), c.body(m, o.Params))
		return err
	case wire.KindData:
		f.add("item", len(m.Fields), c.item(m, fromClient))
		return nil
	case wire.KindCredit, wire.KindWant:
		n, err := m.Amount()
		f.add("bytes", 4, fmt.Sprint(n))
		return err
	case wire.KindHeader:
		pairs, err := m.Header()
		f.pairs(pairs)
		return err
	case wire.KindEnd:
		if fromClient {
			return nil
		}
		return f.reason(m)
	case wire.KindError, wire.KindGoAway:
		return f.reason(m)
	}
	return nil
}

// reason adds the fields of an error, a go-away or the end of a server.
func (f *fields) reason(m frames.Frame) error {
	r, err := m.Reason()
	f.add("code", 1, r.Code.String())
	f.text("text", 2, r.Text)
	f.flagged(m, wire.FlagPairs, "details", r.Details)
	f.flagged(m, wire.FlagReplyMetadata, "metadata", r.Metadata)
	return err
}

// item returns what is said of an item: only a whole one can be read.
func (c *connection) item(m frames.Frame, fromClient bool) string {
	s := &c.sides[0]
	if fromClient {
		s = &c.sides[1]
	}
	part := m.Flags&wire.FlagMore != 0 || s.within[m.ID]
	if s.within == nil {
		s.within = map[uint64]bool{}
	}
	s.within[m.ID] = m.Flags&wire.FlagMore != 0
	if part {
		return "a part of an item, " + count(len(m.Fields), "byte")
	}
	return c.body(m, m.Fields)
}

// body returns what is said of params, a result or an item.
func (c *connection) body(m frames.Frame, b []byte) string {
	how := ""
	if m.Flags&wire.FlagCompressed != 0 {
		plain, err := frames.Expand(b, 1<<20)
		if err != nil {
			return err.Error()
		}
		b, how = plain, "compressed: "
	}
	if c.client.Codec == "json" {
		return how + readable(b)
	}
	return how + count(len(b), "byte") + " in " + c.client.Codec
}

func flagNames(flags uint8) string {
	if flags == 0 {
		return "none"
	}
	return strings.Join(workshopwire.FlagNames(flags), ", ")
}

// readable returns text as it is, and other bytes as Go writes them in a string.
func readable(b []byte) string {
	s := string(b)
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// fields gives the bytes of a message to its fields, in order.
type fields struct {
	rest []byte
	all  []field
	bad  bool // there were not enough of them
}

// add gives a field its bytes. One without any is not listed.
func (f *fields) add(name string, size int, value string) {
	if f.bad = f.bad || size > len(f.rest); f.bad || size == 0 {
		return
	}
	f.all = append(f.all, field{name, value, f.rest[:size]})
	f.rest = f.rest[size:]
}

// text adds a length of so many bytes, and what has that length.
func (f *fields) text(name string, size int, value string) {
	f.add("length of the "+name, size, fmt.Sprint(len(value)))
	f.add(name, len(value), readable([]byte(value)))
}

func (f *fields) pairs(pairs []frames.Pair) {
	for _, p := range pairs {
		f.text("key", 2, p.Key)
		f.text("value", 2, p.Value)
	}
}

// flagged adds pairs and their size, which a frame has if it has the flag.
func (f *fields) flagged(m frames.Frame, flag uint8, name string, pairs []frames.Pair) {
	if m.Flags&flag != 0 {
		f.add("size of the "+name, 2, fmt.Sprint(len(frames.AppendPairs(nil, pairs))))
		f.pairs(pairs)
	}
}

// done returns the fields, if all bytes are theirs.
func (f *fields) done(err error) ([]field, error) {
	if err == nil && (f.bad || len(f.rest) > 0) {
		err = fmt.Errorf("%d bytes are in no field", len(f.rest))
	}
	return f.all, err
}
