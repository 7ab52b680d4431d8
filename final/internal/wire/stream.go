package wire

import (
	"encoding/binary"
	"time"
)

// Shape says which side of a stream sends more than one message.
type Shape uint8

// The shapes of version 1.
const (
	ServerStream Shape = 1 + iota // the client's half has ended with the open
	ClientStream
	BidiStream
)

// Known reports whether version 1 has the shape.
func (s Shape) Known() bool { return s >= ServerStream && s <= BidiStream }

// OpenHead is all of an open but its params: a request's head, and the shape.
type OpenHead struct {
	RequestHead
	Shape Shape
}

// Size returns how many bytes the head takes after the frame's header.
func (h *OpenHead) Size() int { return h.RequestHead.Size() + 1 }

// Append begins an open, which body bytes of params complete. It rounds the timeout down
// to milliseconds.
func (h *OpenHead) Append(dst []byte, flags uint8, id uint64, body int) []byte {
	if len(h.Metadata) > 0 {
		flags |= FlagPairs
	}
	dst = AppendHeader(dst, KindOpen, flags, id, h.Size()+body)
	dst = binary.BigEndian.AppendUint32(dst, milliseconds(h.Timeout))
	return h.appendMethod(append(dst, byte(h.Shape)))
}

// Open is an open taken apart. Its slices point into the frame.
type Open struct {
	Request
	Shape Shape
}

// ParseOpen takes the payload of an open apart. A shape that version 1 does not have is
// an error, and so are params where the client sends items. With an error, what could be
// read is returned too.
func ParseOpen(f *Frame) (Open, error) {
	in := fields{b: f.Payload}
	var o Open
	o.Timeout = time.Duration(in.uint32("timeout")) * time.Millisecond
	o.Shape = Shape(in.uint8("shape"))
	o.takeMethod(&in, f.Flags)
	switch {
	case in.bad():
		return o, in.explain(malformed(0, "truncated open %d", f.ID), HeaderSize+len(f.Payload))
	case !o.Shape.Known():
		return o, malformed(HeaderSize+4, "open %d has shape %d", f.ID, o.Shape)
	case o.Shape != ServerStream && len(o.Body) > 0:
		return o, malformed(HeaderSize+len(f.Payload)-len(o.Body), "open %d has %d bytes of params, and shape %d, which has none", f.ID, len(o.Body), o.Shape)
	case o.Shape != ServerStream && f.Flags&FlagCompressed != 0:
		return o, malformed(5, "open %d has compressed params, and shape %d, which has none", f.ID, o.Shape)
	}
	return o, nil
}

// AppendBytes appends a credit or a want of n bytes.
func AppendBytes(dst []byte, k Kind, id uint64, n uint32) []byte {
	return binary.BigEndian.AppendUint32(AppendHeader(dst, k, 0, id, 4), n)
}

// ParseBytes takes the payload of a credit or a want apart: at least one byte, and at most
// MaxCredit.
func ParseBytes(f *Frame) (int64, error) {
	in := fields{b: f.Payload}
	n := in.uint32("bytes")
	switch {
	case in.bad():
		return 0, in.explain(malformed(0, "truncated %s for stream %d", f.Kind, f.ID), HeaderSize+len(f.Payload))
	case len(in.b) > 0:
		return 0, malformed(HeaderSize+4, "%d bytes after the fields of a %s for stream %d", len(in.b), f.Kind, f.ID)
	case n == 0 || n > MaxCredit:
		return 0, malformed(HeaderSize, "%s of %d bytes for stream %d", f.Kind, n, f.ID)
	}
	return int64(n), nil
}

// DataCost returns what a data frame with so many bytes of an item costs: the bytes that
// it takes on the wire, and some for what a receiver needs beside them. An item without
// bytes is not free.
func DataCost(n int) int64 { return int64(n) + HeaderSize + DataOverhead }
