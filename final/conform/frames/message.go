package frames

import (
	"encoding/binary"
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

// A Reason is what an error or a go-away says.
type Reason struct {
	Code    wire.Code
	Text    string
	Details []Pair // of an error
}

// Reason takes the fields of an error or go-away frame apart. What could be read is
// returned with the error, too.
func (f Frame) Reason() (Reason, error) {
	in, err := wire.ParseReason(f.wire())
	r := Reason{Code: in.Code, Text: string(in.Text)}
	if err != nil {
		return r, found(err)
	}
	r.Details, err = parsePairs(in.Pairs, wire.HeaderSize+len(f.Fields)-len(in.Pairs))
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
	return f
}
