package frames

import (
	"encoding/binary"
	"fmt"
)

// An Error is what a message has that the protocol does not allow.
type Error struct {
	Offset int // of the byte, from the message's first on
	Reason string

	// InPairs: the message's fields fit it, but not the pairs within theirs.
	// For a request that is the difference between an error and a go-away.
	InPairs bool
}

func (e *Error) Error() string { return e.Reason }

func bad(offset int, format string, args ...any) *Error {
	return &Error{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// fields takes what follows a message's header apart. After something was
// missing, err is set and everything else is empty.
type fields struct {
	b   []byte
	at  int // offset of b in the message
	err *Error
}

func (f *fields) take(n int, what string) []byte {
	if f.err != nil {
		return nil
	}
	if n > len(f.b) {
		f.err = bad(f.at, "%s of %d bytes, but only %d are left", what, n, len(f.b))
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	f.at += n
	return b
}

// number reads a number of size bytes.
func (f *fields) number(size int, what string) uint64 {
	var full [8]byte
	copy(full[8-size:], f.take(size, what))
	return binary.BigEndian.Uint64(full[:])
}

// text reads a length of size bytes and as many bytes of text.
func (f *fields) text(size int, what string) string {
	n := f.number(size, "length of a "+what)
	return string(f.take(int(n), what))
}

// A Pair is one of a message's metadata or details.
type Pair struct{ Key, Value string }

// sized reads pairs that come with their size in two bytes before them.
func (f *fields) sized(what string) []Pair {
	n := f.number(2, "size of the "+what)
	inner := fields{at: f.at}
	inner.b = f.take(int(n), what)
	pairs := inner.pairs()
	if f.err == nil && inner.err != nil {
		f.err = &Error{Offset: inner.err.Offset, Reason: inner.err.Reason, InPairs: true}
	}
	return pairs
}

// pairs reads all that is left as pairs.
func (f *fields) pairs() []Pair {
	var pairs []Pair
	for len(f.b) > 0 && f.err == nil {
		pair := Pair{Key: f.text(2, "key"), Value: f.text(2, "value")}
		if f.err == nil {
			pairs = append(pairs, pair)
		}
	}
	return pairs
}

// end reports bytes that nothing claims.
func (f *fields) end(what string) {
	if f.err == nil && len(f.b) > 0 {
		f.err = bad(f.at, "%d bytes after the fields of %s", len(f.b), what)
	}
}

// result returns err as an error: a nil *Error in one would not be nil.
func (f *fields) result() error {
	if f.err == nil {
		return nil
	}
	return f.err
}

func appendText(dst []byte, size int, text string) []byte {
	var length [8]byte
	binary.BigEndian.PutUint64(length[:], uint64(len(text)))
	return append(append(dst, length[8-size:]...), text...)
}

// AppendPairs appends pairs to dst, without a size before them.
func AppendPairs(dst []byte, pairs []Pair) []byte {
	for _, p := range pairs {
		dst = appendText(appendText(dst, 2, p.Key), 2, p.Value)
	}
	return dst
}

func appendSized(dst []byte, pairs []Pair) []byte {
	return appendText(dst, 2, string(AppendPairs(nil, pairs)))
}
