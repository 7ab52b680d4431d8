package wire

import (
	"encoding/binary"
	"fmt"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// Frame is one message after the hellos.
type Frame struct {
	Kind    Kind
	Flags   uint8
	ID      uint64           // the call's, the ping's, or of a go-away's last call that is served
	Payload []byte           // the kind's fields
	Large   *bytepool.Buffer // what Payload lies in, if the [Reader] gave it a buffer of its own; else nil
}

// AppendHeader begins a frame of size bytes after the header.
func AppendHeader(dst []byte, k Kind, flags uint8, id uint64, size int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(MinLength+size))
	dst = append(dst, byte(k), flags)
	return binary.BigEndian.AppendUint64(dst, id)
}

// ParseFrame takes one whole frame apart, its length first. The payload points into b.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < LengthSize {
		return Frame{}, malformed(len(b), "a frame of %d bytes, less than its length needs", len(b))
	}
	length := uint64(binary.BigEndian.Uint32(b))
	switch have := uint64(len(b) - LengthSize); {
	case length < MinLength:
		return Frame{}, tooShort(length)
	case length != have:
		return Frame{}, malformed(len(b), "frame of length %d with %d bytes", length, have)
	}
	return parseHeader(b, b[HeaderSize:]), nil
}

func tooShort(length uint64) *Error {
	return malformed(0, "frame of length %d, less than %d", length, MinLength)
}

func parseHeader(head, payload []byte) Frame {
	return Frame{Kind: Kind(head[4]), Flags: head[5], ID: binary.BigEndian.Uint64(head[6:]), Payload: payload}
}

// Check refuses kinds and flags that the version does not know, or to which the
// hellos have not agreed, and fields where there are none. agreed is those of
// [Extensions] to which they have. Who may send the kind, and what its fields hold, is
// not looked at.
func (f *Frame) Check(agreed uint8) error {
	if !f.Kind.Known() && !(f.Kind.OfStreams() && agreed&FlagMore != 0) {
		e := malformed(4, "unknown frame kind %d", uint8(f.Kind))
		e.Code = Unimplemented
		return e
	}
	reserved := f.Flags &^ allowedFlags[f.Kind]
	reserved |= f.Flags & Extensions &^ agreed
	if reserved != 0 {
		e := malformed(5, "reserved flags %#02x in a frame of kind %d", reserved, uint8(f.Kind))
		e.Detail = fmt.Sprintf("reserved flags %#02x on a frame of kind %s", reserved, f.Kind)
		return e
	}
	if f.Kind.bare() && len(f.Payload) > 0 {
		e := malformed(HeaderSize, "%d bytes in a frame of kind %d, which has none", len(f.Payload), uint8(f.Kind))
		e.Detail = fmt.Sprintf("%d bytes after the ID of a %s, which has no fields", len(f.Payload), f.Kind)
		return e
	}
	return nil
}
