package wire

import (
	"encoding/binary"
	"fmt"
)

// Reason is what an error, a go-away or the end of a stream says.
type Reason struct {
	Code    Code
	Text    string            // at most MaxErrorText bytes, MaxReasonText in a go-away
	Details map[string]string // of an error: at most MaxDetails bytes

	Metadata map[string]string // of the reply, or a stream's trailer: at most MaxReplyMetadata bytes
}

// AppendError appends an error frame. flags is 0 or FlagNeverRan.
func AppendError(dst []byte, flags uint8, id uint64, r *Reason) []byte {
	return appendOutcome(dst, KindError, flags, id, r)
}

// AppendEnd appends the server's end of a stream, good or not. flags is 0 or FlagNeverRan.
// The client's has no fields: see [AppendHeader].
func AppendEnd(dst []byte, flags uint8, id uint64, r *Reason) []byte {
	return appendOutcome(dst, KindEnd, flags, id, r)
}

func appendOutcome(dst []byte, k Kind, flags uint8, id uint64, r *Reason) []byte {
	if len(r.Details) > 0 {
		flags |= FlagPairs
	}
	if len(r.Metadata) > 0 {
		flags |= FlagReplyMetadata
	}
	dst = AppendHeader(dst, k, flags, id, 3+len(r.Text)+blockSize(r.Details)+blockSize(r.Metadata))
	dst = appendReason(dst, r)
	dst = appendBlock(dst, r.Details)
	return appendBlock(dst, r.Metadata)
}

// AppendGoAway appends a go-away. It has no room for details and metadata, so those are left out.
func AppendGoAway(dst []byte, lastID uint64, r *Reason) []byte {
	return appendReason(AppendHeader(dst, KindGoAway, 0, lastID, 3+len(r.Text)), r)
}

func appendReason(dst []byte, r *Reason) []byte {
	dst = append(dst, byte(r.Code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(r.Text)))
	return append(dst, r.Text...)
}

// RawReason is the payload of an error, a go-away or an end taken apart. Its slices point into
// the frame. It is as the peer sent it: the text is not cleaned, and the code may be one that
// version 1 does not have.
type RawReason struct {
	Code  Code
	Text  []byte
	Pairs []byte // an error's details, for [ParsePairs]

	Metadata []byte // of the reply, for [ParsePairs]; nil without FlagReplyMetadata
}

// ParseReason takes the payload of an error, a go-away or a server's end of a stream apart.
// With an error, what could be read is returned too.
func ParseReason(f *Frame) (RawReason, error) {
	in := fields{b: f.Payload}
	var r RawReason
	r.Code = Code(in.uint8("code"))
	r.Text = in.take(in.uint16("length of a text"), "text")
	if f.Flags&FlagPairs != 0 {
		r.Pairs = in.take(in.uint16("size of the details"), "details")
	}
	if f.Flags&FlagReplyMetadata != 0 {
		r.Metadata = in.take(in.uint16("size of the metadata"), "metadata")
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
	switch f.Kind {
	case KindGoAway:
		return malformed(0, "malformed go-away")
	case KindEnd:
		return malformed(0, "malformed end of stream %d", f.ID)
	}
	return malformed(0, "malformed error frame for call %d", f.ID)
}
