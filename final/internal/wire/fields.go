package wire

import (
	"encoding/binary"
	"fmt"
)

// fields takes a message apart. Once something is missing, all further fields are
// empty, and want says how many bytes of what were missing. Its methods are small, so
// that they are inlined: a request is taken apart for every call.
type fields struct {
	b    []byte // not taken yet
	want int    // bytes that were missing, in all of what; 0: none
	left int    // and how many were left
	what string
}

// take takes n bytes. An empty field is not nil.
func (f *fields) take(n int, what string) []byte {
	if n > len(f.b) {
		if f.want == 0 {
			f.want, f.left, f.what = n, len(f.b), what
		}
		f.b = nil
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) bad() bool { return f.want > 0 }

func (f *fields) uint8(what string) uint8 {
	if b := f.take(1, what); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) uint16(what string) int {
	if b := f.take(2, what); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (f *fields) uint32(what string) uint32 {
	if b := f.take(4, what); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// explain adds to e where in the message, of size bytes, something was missing.
func (f *fields) explain(e *Error, size int) *Error {
	e.Offset = size - f.left
	e.Detail = fmt.Sprintf("%s of %d bytes, but only %d are left", f.what, f.want, f.left)
	return e
}
