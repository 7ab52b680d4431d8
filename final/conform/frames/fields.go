package frames

import (
	"encoding/binary"
	"errors"

	"example.com/rpc-from-scratch/final/internal/wire"
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

// found returns what the parser of package wire has found as an *Error.
func found(err error) error {
	var e *wire.Error
	if !errors.As(err, &e) {
		return err
	}
	return &Error{Offset: e.Offset, Reason: e.Detail}
}

// A Pair is one of a message's metadata or details.
type Pair struct{ Key, Value string }

// parsePairs returns the pairs in b, in their order, and with the error those before it. at
// is b's offset in the message.
func parsePairs(b []byte, at int) (pairs []Pair, err error) {
	err = wire.EachPair(b, at, func(key, value []byte) bool {
		pairs = append(pairs, Pair{string(key), string(value)})
		return true
	})
	return pairs, found(err)
}

// within says of an error of parsePairs that the pairs lie in a field of their own.
func within(err error) error {
	var e *Error
	if errors.As(err, &e) {
		e.InPairs = true
	}
	return err
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
