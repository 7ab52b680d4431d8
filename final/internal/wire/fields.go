package wire

import (
	"encoding/binary"
	"fmt"
)

// fields takes a message apart. Once a field is cut off, it and all after it are empty,
// and the parser asks bad once, at its end. The methods are small, so that they are
// inlined: a request is taken apart for every call.
type fields struct {
	b []byte // not taken yet

	// The first field that was cut off: its name, its size, and how many bytes were there.
	what string
	want int // 0: none was
	left int
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

// bad reports whether a field was cut off.
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

// explain adds to e which field was cut off, and where in the message of size bytes.
func (f *fields) explain(e *Error, size int) *Error {
	e.Offset = size - f.left
	e.Detail = fmt.Sprintf("%s of %d bytes, but only %d are left", f.what, f.want, f.left)
	return e
}
