package wire

import (
	"encoding/binary"
	"fmt"
)

// Reason is what an error or a go-away says.
type Reason struct {
	Code    Code
	Text    string            // at most MaxErrorText bytes, MaxReasonText in a go-away
	Details map[string]string // of an error: at most MaxDetails bytes
}

// AppendError appends an error frame. flags is 0 or FlagNeverRan.
func AppendError(dst []byte, flags uint8, id uint64, r *Reason) []byte {
	size, details := 3+len(r.Text), PairsSize(r.Details)
	if details > 0 {
		flags |= FlagPairs
		size += 2 + details
	}
	dst = AppendHeader(dst, KindError, flags, id, size)
	dst = appendReason(dst, r)
	if details > 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(details))
		dst = AppendPairs(dst, r.Details)
	}
	return dst
}

// AppendGoAway appends a go-away. Details are not part of it.
func AppendGoAway(dst []byte, lastID uint64, r *Reason) []byte {
	return appendReason(AppendHeader(dst, KindGoAway, 0, lastID, 3+len(r.Text)), r)
}

func appendReason(dst []byte, r *Reason) []byte {
	dst = append(dst, byte(r.Code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Text)))
	return append(dst, r.Text...)
}

// RawReason is the payload of an error or a go-away taken apart. Its slices point into
// the frame. What the peer says is not cleaned, and its code may be any.
type RawReason struct {
	Code  Code
	Text  []byte
	Pairs []byte // an error's details, for [ParsePairs]
}

// ParseReason takes the payload of an error or a go-away apart. With an error, what could
// be read is returned too.
func ParseReason(f *Frame) (RawReason, error) {
	in := fields{b: f.Payload}
	var r RawReason
	r.Code = Code(in.uint8("code"))
	r.Text = in.take(in.uint16("length of a text"), "text")
	if f.Flags&FlagPairs != 0 {
		r.Pairs = in.take(in.uint16("size of the details"), "details")
	}
	switch {
	case in.bad():
		return r, in.explain(malformedReason(f), HeaderSize+len(f.Payload))
	case len(in.b) > 0:
		e := malformedReason(f)
		e.Offset = HeaderSize + len(f.Payload) - len(in.b)
		e.Detail = fmt.Sprintf("%d bytes after the fields of a frame of kind %s", len(in.b), f.Kind)
		return r, e
	}
	return r, nil
}

func malformedReason(f *Frame) *Error {
	if f.Kind == KindGoAway {
		return malformed(0, "malformed go-away")
	}
	return malformed(0, "malformed error frame for call %d", f.ID)
}
