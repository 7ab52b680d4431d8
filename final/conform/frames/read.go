package frames

import (
	"encoding/binary"
	"fmt"
	"io"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Size returns how long a message is, its first bytes included, once they have
// come; 0 before. A frame's length is returned as it claims to be.
func Size(b []byte, hello bool) int {
	switch {
	case hello && len(b) >= wire.HelloSize:
		return wire.HelloSize + int(binary.BigEndian.Uint16(b[5:]))
	case !hello && len(b) >= wire.LengthSize:
		return wire.LengthSize + int(binary.BigEndian.Uint32(b))
	}
	return 0
}

// Read reads one hello or frame, at most limit bytes and never a byte that comes
// after it. The part of it that has arrived is returned with the error, too. io.EOF means
// that nothing came.
func Read(r io.Reader, hello bool, limit int) ([]byte, error) {
	head := make([]byte, wire.LengthSize)
	if hello {
		head = make([]byte, wire.HelloSize)
	}
	if n, err := io.ReadFull(r, head); err != nil {
		return head[:n], err
	}
	if hello && !wire.IsMagic(head) {
		return head, &Error{Reason: "not a hello of this protocol"}
	}
	size := Size(head, hello)
	if size > limit {
		return head, &Error{Reason: fmt.Sprintf("a message of %d bytes: at most %d are allowed", size, limit)}
	}
	b := make([]byte, size)
	n, err := io.ReadFull(r, b[copy(b, head):])
	if err == io.EOF { // within the message, that is
		err = io.ErrUnexpectedEOF
	}
	return b[:len(head)+n], err
}
