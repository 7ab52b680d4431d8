// Package frames has the messages of final's protocol as those see them who look from
// outside: conform, and the workshop's wire. They are taken apart by package wire, as in
// final/rpc, but put together here, right or wrong, from final/PROTOCOL.md: what conform
// sends and expects must not depend on what final/rpc sends. The captures in testdata/wire
// decide who is right. It keeps no state: who reads a connection knows what comes next.
package frames

import (
	"encoding/binary"
	"fmt"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A Frame is one message after the hellos.
type Frame struct {
	Kind   wire.Kind
	Flags  uint8
	ID     uint64 // the call's, the stream's, the ping's, or a go-away's last call that is served
	Fields []byte // what the kind has after the ID
}

// Append appends the frame's bytes to dst.
func (f Frame) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(wire.MinLength+len(f.Fields)))
	dst = append(dst, byte(f.Kind), f.Flags)
	dst = binary.BigEndian.AppendUint64(dst, f.ID)
	return append(dst, f.Fields...)
}

// Bytes returns the frame's bytes.
func (f Frame) Bytes() []byte { return f.Append(nil) }

// ParseFrame takes a whole frame apart, its length first. The fields point into b.
func ParseFrame(b []byte) (Frame, error) {
	f, err := wire.ParseFrame(b)
	return Frame{Kind: f.Kind, Flags: f.Flags, ID: f.ID, Fields: f.Payload}, found(err)
}

// wire returns the frame as package wire has it.
func (f Frame) wire() *wire.Frame {
	return &wire.Frame{Kind: f.Kind, Flags: f.Flags, ID: f.ID, Payload: f.Fields}
}

// Check reports what of the frame's kind and flags its sender may not send, if
// the hellos have not agreed upon anything. The kind's fields are checked by
// Request and Reason.
func (f Frame) Check(fromClient bool) error { return f.CheckAgreed(fromClient, 0) }

// CheckAgreed is Check on a connection that may have more flags: see [Agreed].
func (f Frame) CheckAgreed(fromClient bool, agreed uint8) error {
	known := f.Kind.Known() || f.Kind.OfStreams() && agreed&wire.FlagMore != 0
	if known && !mayCome(f.Kind, fromClient) {
		sender := "server"
		if fromClient {
			sender = "client"
		}
		return &Error{Offset: 4, Reason: fmt.Sprintf("a %s does not send a frame of kind %s", sender, f.Kind)}
	}
	if err := f.wire().Check(agreed); err != nil {
		return found(err)
	}
	switch {
	case f.Kind == wire.KindHeader && agreed&wire.FlagReplyMetadata == 0:
		return &Error{Offset: 4, Reason: "a header, and the hellos have not agreed upon reply metadata"}
	case f.Kind == wire.KindEnd && fromClient:
		return f.checkClientEnd()
	}
	return nil
}

// checkClientEnd reports what a client's end has beside its ID: only a server's has more.
func (f Frame) checkClientEnd() error {
	switch {
	case f.Flags != 0:
		return &Error{Offset: 5, Reason: fmt.Sprintf("flags %#02x on the end of a client, which has none", f.Flags)}
	case len(f.Fields) > 0:
		return &Error{Offset: wire.HeaderSize, Reason: fmt.Sprintf("%d bytes after the ID of an end of a client, which has no fields", len(f.Fields))}
	}
	return nil
}

// mayCome reports whether that side may send frames of this kind.
func mayCome(k wire.Kind, fromClient bool) bool {
	switch k {
	case wire.KindPing, wire.KindPong, wire.KindData, wire.KindEnd, wire.KindCredit, wire.KindWant:
		return true
	case wire.KindRequest, wire.KindCancel, wire.KindOpen:
		return fromClient
	}
	return !fromClient
}
