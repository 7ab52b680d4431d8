package wire

import (
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// finalStreams is what both directions of a connection have to know of its streams.
type finalStreams struct {
	windows map[bool]int64 // what the client (true) and the server give a stream at its open
	open    map[uint64]*finalStream
}

// finalStream is one stream: what each side may still send.
type finalStream struct {
	credit map[bool]int64 // of the client (true) and the server
	within map[bool]bool  // that side is within an item
	ended  map[bool]bool
}

// most is how many streams are followed at once. Of others no credit is told.
const mostStreams = 4096

// begin takes what the hellos agree upon.
func (s *finalStreams) begin(c frames.ClientHello, h frames.ServerHello) {
	_, window := h.GrantsStreams()
	s.windows = map[bool]int64{true: c.OffersStreams(), false: window}
	s.open = map[uint64]*finalStream{}
}

// add notes that a stream was opened.
func (s *finalStreams) add(id uint64, shape wire.Shape) {
	if s.open == nil || len(s.open) >= mostStreams {
		return
	}
	s.open[id] = &finalStream{
		credit: map[bool]int64{true: s.windows[false], false: s.windows[true]},
		within: map[bool]bool{},
		ended:  map[bool]bool{true: shape == wire.ServerStream},
	}
}

// end notes that a side has ended its half.
func (s *finalStreams) end(id uint64, fromClient bool) {
	if one := s.open[id]; one != nil {
		one.ended[fromClient] = true
		if one.ended[!fromClient] {
			delete(s.open, id)
		}
	}
}

// cancel notes that the client has ended its half: a cancel does that, too.
func (s *finalStreams) cancel(id uint64) { s.end(id, true) }

// left says what credit a side has left.
func (s *finalStream) left(fromClient bool) string {
	side := "server"
	if fromClient {
		side = "client"
	}
	return fmt.Sprintf(", the %s may send %d more", side, s.credit[fromClient])
}

// ShapeName returns the name of a stream's shape.
func ShapeName(s wire.Shape) string {
	switch s {
	case wire.ServerStream:
		return "server stream"
	case wire.ClientStream:
		return "client stream"
	case wire.BidiStream:
		return "bidi stream"
	}
	return fmt.Sprintf("shape %d", s)
}

// explainStream explains a frame of a stream.
func (d *final) explainStream(text string, f frames.Frame, missing int64) (string, error) {
	switch f.Kind {
	case wire.KindOpen:
		return d.explainOpen(text, f, missing)
	case wire.KindData:
		return d.explainData(text, f, missing)
	case wire.KindCredit, wire.KindWant:
		return d.explainAmount(text, f)
	case wire.KindHeader:
		all, err := f.Header()
		return text + flags(f.Flags) + pairs("header", all), err
	}
	d.talk.streams.end(f.ID, d.fromClient)
	if d.fromClient {
		return text + flags(f.Flags), nil
	}
	r, err := f.Reason()
	if text += fmt.Sprintf(" %s", r.Code); r.Text != "" {
		text += fmt.Sprintf(" %q", r.Text)
	}
	return text + flags(f.Flags) + pairs("details", r.Details) + pairs("trailer", r.Metadata), err
}

func (d *final) explainOpen(text string, f frames.Frame, missing int64) (string, error) {
	o, err := f.Open()
	text += " " + clean(o.Method) + ", " + ShapeName(o.Shape)
	if o.TimeoutMS > 0 {
		text += ", timeout " + (time.Duration(o.TimeoutMS) * time.Millisecond).String()
	}
	text += flags(f.Flags) + pairs("metadata", o.Metadata)
	if err != nil {
		return text, err
	}
	d.talk.streams.add(f.ID, o.Shape)
	if o.Shape != wire.ServerStream {
		return text, nil
	}
	return d.withBody(text, "params", f, o.Params, missing)
}

// explainData says what an item is, or a part of one, and what credit is left.
func (d *final) explainData(text string, f frames.Frame, missing int64) (string, error) {
	text += flags(f.Flags)
	size := int64(len(f.Fields)) + missing
	part, left := f.Flags&wire.FlagMore != 0, ""
	if s := d.talk.streams.open[f.ID]; s != nil {
		part, s.within[d.fromClient] = part || s.within[d.fromClient], part
		s.credit[d.fromClient] -= wire.DataCost(int(size))
		left = s.left(d.fromClient)
	}
	if part {
		return fmt.Sprintf("%s, a part of an item, of %d bytes%s", text, size, left), nil
	}
	text, err := d.withItem(text, f, missing)
	return text + left, err
}

// withItem adds an item. With gob, it is a stream of its own.
func (d *final) withItem(text string, f frames.Frame, missing int64) (string, error) {
	if d.talk.codec == "gob" {
		f.Flags |= wire.FlagSelfContained
	}
	return d.withBody(text, "item", f, f.Fields, missing)
}

// explainAmount explains a credit, which lets the other side send more, or a want.
func (d *final) explainAmount(text string, f frames.Frame) (string, error) {
	n, err := f.Amount()
	if err != nil {
		return text + flags(f.Flags), err
	}
	text = fmt.Sprintf("%s of %d bytes", text, n)
	s := d.talk.streams.open[f.ID]
	switch {
	case s == nil:
		return text, nil
	case f.Kind == wire.KindWant:
		return text + s.left(d.fromClient), nil
	}
	s.credit[!d.fromClient] += n
	return text + s.left(!d.fromClient), nil
}
