package frames

import (
	"encoding/binary"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A Request is what a request frame says.
type Request struct {
	ID        uint64
	Flags     uint8 // FlagPairs is set by Frame, if there are pairs
	TimeoutMS uint32
	Method    string
	Metadata  []Pair
	Params    []byte
}

// Request takes the fields of a request frame apart. What could be read is
// returned with the error, too.
func (f Frame) Request() (Request, error) {
	in, err := wire.ParseRequest(f.wire())
	r := Request{ID: f.ID, Flags: f.Flags, TimeoutMS: uint32(in.Timeout / time.Millisecond), Method: string(in.Method), Params: in.Body}
	if err != nil {
		return r, found(err)
	}
	r.Metadata, err = parsePairs(in.Pairs, wire.HeaderSize+len(f.Fields)-len(in.Body)-len(in.Pairs))
	return r, within(err)
}

// Frame returns the request as a frame.
func (r Request) Frame() Frame {
	f := Frame{Kind: wire.KindRequest, Flags: r.Flags, ID: r.ID}
	f.Fields = binary.BigEndian.AppendUint32(nil, r.TimeoutMS)
	f.Fields = appendText(f.Fields, 2, r.Method)
	if len(r.Metadata) > 0 {
		f.Flags |= wire.FlagPairs
	}
	if f.Flags&wire.FlagPairs != 0 {
		f.Fields = appendSized(f.Fields, r.Metadata)
	}
	f.Fields = append(f.Fields, r.Params...)
	return f
}

// An Open is what an open frame says: a request's fields, and the shape of the stream.
type Open struct {
	Request
	Shape wire.Shape
}

// Open takes the fields of an open frame apart. What could be read is returned with the
// error, too.
func (f Frame) Open() (Open, error) {
	in, err := wire.ParseOpen(f.wire())
	o := Open{Shape: in.Shape, Request: Request{ID: f.ID, Flags: f.Flags, TimeoutMS: uint32(in.Timeout / time.Millisecond), Method: string(in.Method), Params: in.Body}}
	if err != nil {
		return o, found(err)
	}
	o.Metadata, err = parsePairs(in.Pairs, wire.HeaderSize+len(f.Fields)-len(in.Body)-len(in.Pairs))
	return o, within(err)
}

// Frame returns the open as a frame.
func (o Open) Frame() Frame {
	f := o.Request.Frame()
	f.Kind = wire.KindOpen
	f.Fields = slices.Insert(f.Fields, 4, byte(o.Shape)) // after the timeout
	return f
}

// Amount takes the fields of a credit or a want apart.
func (f Frame) Amount() (int64, error) {
	n, err := wire.ParseBytes(f.wire())
	return n, found(err)
}

// AmountFrame returns a credit or a want.
func AmountFrame(k wire.Kind, id uint64, n uint32) Frame {
	return Frame{Kind: k, ID: id, Fields: binary.BigEndian.AppendUint32(nil, n)}
}

// Header takes the fields of a header frame apart: pairs to its end.
func (f Frame) Header() ([]Pair, error) {
	pairs, err := parsePairs(f.Fields, wire.HeaderSize)
	return pairs, within(err)
}

// A Reason is what an error, a go-away or the end of a server says.
type Reason struct {
	Code    wire.Code
	Text    string
	Details []Pair // of an error or an end

	Metadata []Pair // of a reply that is an error; the trailer of a stream
}

// Reason takes the fields of an error, a go-away or a server's end apart. What could be read is
// returned with the error, too.
func (f Frame) Reason() (Reason, error) {
	in, err := wire.ParseReason(f.wire())
	r := Reason{Code: in.Code, Text: string(in.Text)}
	if err != nil {
		return r, found(err)
	}
	after := 0
	if f.Flags&wire.FlagReplyMetadata != 0 {
		after = 2 + len(in.Metadata)
	}
	end := wire.HeaderSize + len(f.Fields)
	if r.Details, err = parsePairs(in.Pairs, end-after-len(in.Pairs)); err != nil {
		return r, within(err)
	}
	r.Metadata, err = parsePairs(in.Metadata, end-len(in.Metadata))
	return r, within(err)
}

// Frame returns the reason as a frame of a kind that has one.
func (r Reason) Frame(k wire.Kind, flags uint8, id uint64) Frame {
	f := Frame{Kind: k, Flags: flags, ID: id, Fields: []byte{byte(r.Code)}}
	f.Fields = appendText(f.Fields, 2, r.Text)
	if len(r.Details) > 0 {
		f.Flags |= wire.FlagPairs
		f.Fields = appendSized(f.Fields, r.Details)
	}
	if len(r.Metadata) > 0 {
		f.Flags |= wire.FlagReplyMetadata
		f.Fields = appendSized(f.Fields, r.Metadata)
	}
	return f
}

// A Response is what a response frame says.
type Response struct {
	ID       uint64
	Flags    uint8 // FlagReplyMetadata is set by Frame, if there are pairs
	Metadata []Pair
	Result   []byte
}

// Response takes the fields of a response frame apart. What could be read is returned
// with the error, too.
func (f Frame) Response() (Response, error) {
	in, err := wire.ParseResponse(f.wire())
	r := Response{ID: f.ID, Flags: f.Flags, Result: in.Body}
	if err != nil {
		return r, found(err)
	}
	r.Metadata, err = parsePairs(in.Metadata, wire.HeaderSize+len(f.Fields)-len(in.Body)-len(in.Metadata))
	return r, within(err)
}

// Frame returns the response as a frame.
func (r Response) Frame() Frame {
	f := Frame{Kind: wire.KindResponse, Flags: r.Flags, ID: r.ID}
	if len(r.Metadata) > 0 {
		f.Flags |= wire.FlagReplyMetadata
		f.Fields = appendSized(f.Fields, r.Metadata)
	}
	f.Fields = append(f.Fields, r.Result...)
	return f
}
