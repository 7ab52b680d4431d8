package wire

import (
	"encoding/binary"
	"math"
	"time"
)

// RequestHead is all of a request but its params.
type RequestHead struct {
	Timeout  time.Duration     // how long the caller waits; 0: no limit, else at least a millisecond
	Method   string            // less than 64 KiB
	Metadata map[string]string // less than 64 KiB together
}

// Size returns how many bytes the head takes after the frame's header.
func (h *RequestHead) Size() int { return 6 + len(h.Method) + blockSize(h.Metadata) }

// Append begins a request frame, which body bytes of params complete. It rounds the
// timeout down to milliseconds.
func (h *RequestHead) Append(dst []byte, flags uint8, id uint64, body int) []byte {
	if len(h.Metadata) > 0 {
		flags |= FlagPairs
	}
	dst = AppendHeader(dst, KindRequest, flags, id, h.Size()+body)
	dst = binary.BigEndian.AppendUint32(dst, milliseconds(h.Timeout))
	return h.appendMethod(dst)
}

// milliseconds returns a timeout as the wire has it.
func milliseconds(timeout time.Duration) uint32 {
	return uint32(min(timeout.Milliseconds(), math.MaxUint32))
}

// appendMethod appends the fields that a request and an open share.
func (h *RequestHead) appendMethod(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Method)))
	dst = append(dst, h.Method...)
	return appendBlock(dst, h.Metadata)
}

// Request is a request frame taken apart. Its slices point into the frame.
type Request struct {
	Timeout time.Duration
	Method  []byte
	Pairs   []byte // metadata, for [ParsePairs]
	Body    []byte // params
}

// ParseRequest takes the payload of a request apart. With an error, what could be read
// is returned too.
func ParseRequest(f *Frame) (Request, error) {
	in := fields{b: f.Payload}
	var r Request
	r.Timeout = time.Duration(in.uint32("timeout")) * time.Millisecond
	r.takeMethod(&in, f.Flags)
	if in.bad() {
		return r, in.explain(malformed(0, "truncated request %d", f.ID), HeaderSize+len(f.Payload))
	}
	return r, nil
}

// takeMethod takes the fields that a request and an open share, and what follows them.
func (r *Request) takeMethod(in *fields, flags uint8) {
	r.Method = in.take(in.uint16("length of a method"), "method")
	if flags&FlagPairs != 0 {
		r.Pairs = in.take(in.uint16("size of the metadata"), "metadata")
	}
	r.Body = in.b
}
