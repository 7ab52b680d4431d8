package frames

import "encoding/binary"

// A Request is what a request frame says.
type Request struct {
	ID        uint64
	Flags     Flags // FlagPairs is set by Frame, if there are pairs
	TimeoutMS uint32
	Method    string
	Metadata  []Pair
	Params    []byte
}

// Request takes the fields of a request frame apart. What could be read is
// returned with the error, too.
func (f Frame) Request() (Request, error) {
	in := fields{b: f.Fields, at: HeaderSize}
	r := Request{ID: f.ID, Flags: f.Flags}
	r.TimeoutMS = uint32(in.number(4, "timeout"))
	r.Method = in.text(2, "method")
	if f.Flags&FlagPairs != 0 {
		r.Metadata = in.sized("metadata")
	}
	r.Params = in.b
	return r, in.result()
}

// Frame returns the request as a frame.
func (r Request) Frame() Frame {
	f := Frame{Kind: KindRequest, Flags: r.Flags, ID: r.ID}
	f.Fields = binary.BigEndian.AppendUint32(nil, r.TimeoutMS)
	f.Fields = appendText(f.Fields, 2, r.Method)
	if len(r.Metadata) > 0 {
		f.Flags |= FlagPairs
	}
	if f.Flags&FlagPairs != 0 {
		f.Fields = appendSized(f.Fields, r.Metadata)
	}
	f.Fields = append(f.Fields, r.Params...)
	return f
}

// A Reason is what an error or a go-away says.
type Reason struct {
	Code    Code
	Text    string
	Details []Pair // of an error
}

// Reason takes the fields of an error or go-away frame apart.
func (f Frame) Reason() (Reason, error) {
	in := fields{b: f.Fields, at: HeaderSize}
	r := Reason{Code: Code(in.number(1, "code"))}
	r.Text = in.text(2, "text")
	if f.Flags&FlagPairs != 0 {
		r.Details = in.sized("details")
	}
	in.end("a frame of kind " + f.Kind.String())
	return r, in.result()
}

// Frame returns the reason as a frame of a kind that has one.
func (r Reason) Frame(k Kind, flags Flags, id uint64) Frame {
	f := Frame{Kind: k, Flags: flags, ID: id, Fields: []byte{byte(r.Code)}}
	f.Fields = appendText(f.Fields, 2, r.Text)
	if len(r.Details) > 0 {
		f.Flags |= FlagPairs
		f.Fields = appendSized(f.Fields, r.Details)
	}
	return f
}
