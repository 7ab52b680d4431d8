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
func (h *RequestHead) Size() int {
	size := 6 + len(h.Method)
	if len(h.Metadata) > 0 {
		size += 2 + PairsSize(h.Metadata)
	}
	return size
}

// Append begins a request frame, which body bytes of params complete. It rounds the
// timeout down to milliseconds.
func (h *RequestHead) Append(dst []byte, flags uint8, id uint64, body int) []byte {
	if len(h.Metadata) > 0 {
		flags |= FlagPairs
	}
	dst = AppendHeader(dst, KindRequest, flags, id, h.Size()+body)
	ms := min(h.Timeout.Milliseconds(), math.MaxUint32)
	dst = binary.BigEndian.AppendUint32(dst, uint32(ms))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.Method)))
	dst = append(dst, h.Method...)
	if len(h.Metadata) > 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(PairsSize(h.Metadata)))
		dst = AppendPairs(dst, h.Metadata)
	}
	return dst
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
	r.Method = in.take(in.uint16("length of a method"), "method")
	if f.Flags&FlagPairs != 0 {
		r.Pairs = in.take(in.uint16("size of the metadata"), "metadata")
	}
	if in.bad() {
		return r, in.explain(malformed(0, "truncated request %d", f.ID), HeaderSize+len(f.Payload))
	}
	r.Body = in.b
	return r, nil
}
