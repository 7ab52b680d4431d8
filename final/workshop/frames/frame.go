// Package frames takes the messages of final's protocol apart and puts them
// together. It is written from final/PROTOCOL.md and shares no code with
// final/rpc, so that a mistake in the one does not hide in the other. It keeps no
// state: who reads a connection knows what comes next.
package frames

import (
	"encoding/binary"
	"fmt"
)

// Sizes of what every message begins with, in bytes.
const (
	LengthSize = 4  // a frame's length
	HeaderSize = 14 // a frame's length, kind, flags and ID
	MinLength  = 10 // the least that a frame's length can be, since it counts what follows it
)

// A Kind is what a frame is.
type Kind byte

// The kinds of version 1.
const (
	KindRequest Kind = 1 + iota
	KindResponse
	KindError
	KindCancel
	KindPing
	KindPong
	KindGoAway
)

var kindNames = [...]string{
	KindRequest:  "request",
	KindResponse: "response",
	KindError:    "error",
	KindCancel:   "cancel",
	KindPing:     "ping",
	KindPong:     "pong",
	KindGoAway:   "go-away",
}

// String returns the kind's name, "kind 9" for one that version 1 does not have.
func (k Kind) String() string {
	if k.known() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", byte(k))
}

func (k Kind) known() bool { return k >= KindRequest && k <= KindGoAway }

// Flags qualify a frame.
type Flags byte

// The flags of version 1.
const (
	FlagPairs         Flags = 1 << iota // metadata or details are there
	FlagRestart                         // gob: a new stream begins with this body
	FlagSelfContained                   // gob: this body is a stream of its own
	FlagNeverRan                        // the handler was never started
)

// allowed has the flags that may stand on each kind.
var allowed = [...]Flags{
	KindRequest:  FlagPairs | FlagRestart | FlagSelfContained,
	KindResponse: FlagRestart | FlagSelfContained,
	KindError:    FlagPairs | FlagNeverRan,
	KindGoAway:   0,
}

// A Frame is one message after the hellos.
type Frame struct {
	Kind   Kind
	Flags  Flags
	ID     uint64 // the call's, the ping's, or a go-away's last call that is served
	Fields []byte // what the kind has after the ID
}

// Append appends the frame's bytes to dst.
func (f Frame) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(MinLength+len(f.Fields)))
	dst = append(dst, byte(f.Kind), byte(f.Flags))
	dst = binary.BigEndian.AppendUint64(dst, f.ID)
	return append(dst, f.Fields...)
}

// Bytes returns the frame's bytes.
func (f Frame) Bytes() []byte { return f.Append(nil) }

// ParseFrame takes a whole frame apart, its length first. The fields point into b.
func ParseFrame(b []byte) (Frame, error) {
	if len(b) < LengthSize {
		return Frame{}, bad(len(b), "a frame of %d bytes, less than its length needs", len(b))
	}
	length := uint64(binary.BigEndian.Uint32(b))
	switch have := uint64(len(b) - LengthSize); {
	case length < MinLength:
		return Frame{}, bad(0, "frame of length %d, less than %d", length, MinLength)
	case length != have:
		return Frame{}, bad(len(b), "frame of length %d with %d bytes", length, have)
	}
	return Frame{
		Kind:   Kind(b[4]),
		Flags:  Flags(b[5]),
		ID:     binary.BigEndian.Uint64(b[6:]),
		Fields: b[HeaderSize:],
	}, nil
}

// Check reports what of the frame's kind and flags its sender may not send, if
// the hellos have not agreed upon anything. The kind's fields are checked by
// Request and Reason.
func (f Frame) Check(fromClient bool) error { return f.CheckAgreed(fromClient, 0) }

// CheckAgreed is Check on a connection that may have more flags: see [Agreed].
func (f Frame) CheckAgreed(fromClient bool, agreed Flags) error {
	sender := "server"
	if fromClient {
		sender = "client"
	}
	reserved := f.Flags &^ f.Kind.flags()
	if f.Kind.compressible() {
		reserved &^= agreed
	}
	switch {
	case !f.Kind.known():
		return bad(4, "unknown frame kind %d", byte(f.Kind))
	case !f.Kind.from(fromClient):
		return bad(4, "a %s does not send a frame of kind %s", sender, f.Kind)
	case reserved != 0:
		return bad(5, "reserved flags %#02x on a frame of kind %s", byte(reserved), f.Kind)
	case f.Kind.bare() && len(f.Fields) > 0:
		return bad(HeaderSize, "%d bytes after the ID of a %s, which has no fields", len(f.Fields), f.Kind)
	}
	return nil
}

// from reports whether that side may send frames of this kind.
func (k Kind) from(client bool) bool {
	switch k {
	case KindPing, KindPong:
		return true
	case KindRequest, KindCancel:
		return client
	}
	return !client
}

func (k Kind) flags() Flags {
	if int(k) < len(allowed) {
		return allowed[k]
	}
	return 0
}

// bare reports whether the kind has no fields.
func (k Kind) bare() bool { return k == KindCancel || k == KindPing || k == KindPong }
