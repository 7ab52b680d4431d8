package rpc

import (
	"context"
	"math"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// What calls and connections make of the wire's messages. Their bytes are package wire's.

// errProtocol is a peer that does not keep to the protocol: the connection ends.
func errProtocol(format string, args ...any) *Error {
	return Errorf(InvalidArgument, "protocol: "+format, args...)
}

// fromWire returns an error of package wire as an *Error, and others as they are.
func fromWire(err error) error {
	var e *wire.Error
	if !causes.As(err, &e) {
		return err
	}
	return Errorf(Code(e.Code), "%s", e.Text)
}

// requestHead is all of a request but its params.
type requestHead struct {
	wire.RequestHead
	deadline time.Time // the caller's; zero: none
}

// check refuses a name and metadata that do not fit into their fields, and metadata that may
// not travel.
func (h *requestHead) check() error {
	if len(h.Method) > math.MaxUint16 {
		return unrun(Errorf(InvalidArgument, "method name of %d bytes: at most 65535 are allowed", len(h.Method)))
	}
	if len(h.Metadata) == 0 {
		return nil
	}
	if err := Metadata(h.Metadata).check(); err != nil {
		return unrun(Errorf(InvalidArgument, "%w", err))
	}
	if n := wire.PairsSize(h.Metadata); n > math.MaxUint16 {
		return unrun(Errorf(ResourceExhausted, "metadata of %d bytes: at most 65535 are allowed", n))
	}
	return nil
}

// setTimeout sets the timeout to the time that is left now: a deadline cannot travel, since
// clocks may differ. It fails if less than a millisecond is left, the unit of the wire.
func (h *requestHead) setTimeout() error {
	if h.deadline.IsZero() {
		return nil
	}
	h.Timeout = time.Until(h.deadline).Truncate(time.Millisecond)
	if h.Timeout <= 0 {
		return unrun(Errorf(DeadlineExceeded, "no time is left to send the call: %w", context.DeadlineExceeded))
	}
	return nil
}

// appendError appends an error frame, its text cleaned and cut so that the
// frame is no longer than limit, which is at least 1 KiB. Details, and the metadata of the
// reply, are left out if there is no room for them.
func appendError(dst []byte, id uint64, e *Error, md Metadata, limit int) []byte {
	r, flags := reasonOf(e, md, limit)
	return wire.AppendError(dst, flags, id, &r)
}

// appendEnd is appendError for the server's end of a stream.
func appendEnd(dst []byte, id uint64, e *Error, md Metadata, limit int) []byte {
	r, flags := reasonOf(e, md, limit)
	return wire.AppendEnd(dst, flags, id, &r)
}

// reasonOf returns what a frame of at most limit bytes says of e, see appendError, and the
// frame's flags.
func reasonOf(e *Error, md Metadata, limit int) (r wire.Reason, flags uint8) {
	r = wire.Reason{
		Code:    wire.Code(e.Code),
		Text:    cleanText(e.Message, min(wire.MaxErrorText, limit/2)),
		Details: cleanPairs(e.Details),
	}
	if n := wire.PairsSize(r.Details); n > wire.MaxDetails || wire.MinLength+3+len(r.Text)+2+n > limit {
		r.Details = nil
	}
	if wire.MinLength+3+len(r.Text)+2+wire.PairsSize(r.Details)+wire.ReplyMetadataSize(md) <= limit {
		r.Metadata = md
	}
	if e.neverRan {
		flags = wire.FlagNeverRan
	}
	return r, flags
}

func cleanPairs(pairs map[string]string) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	clean := make(map[string]string, len(pairs))
	for k, v := range pairs {
		clean[cleanText(k, wire.MaxDetails)] = cleanText(v, wire.MaxDetails)
	}
	return clean
}

func appendGoAway(dst []byte, lastID uint64, e *Error) []byte {
	return wire.AppendGoAway(dst, lastID, &wire.Reason{Code: wire.Code(e.Code), Text: cleanText(e.Message, wire.MaxReasonText)})
}

// parseError returns the error that the peer has sent, and the metadata beside it, which lie
// in the frame. Details beyond their limit are dropped.
func parseError(f *wire.Frame) (e *Error, md []byte, err error) {
	r, err := wire.ParseReason(f)
	if err != nil {
		return nil, nil, fromWire(err)
	}
	e = sentError(&r)
	e.handed, e.neverRan = true, f.Flags&wire.FlagNeverRan != 0
	if f.Flags&wire.FlagPairs != 0 && len(r.Pairs) <= wire.MaxDetails { // as a map, more would take many times its bytes
		details, err := wire.ParsePairs(r.Pairs, math.MaxInt)
		if err != nil {
			return nil, nil, fromWire(err)
		}
		e.Details = cleanPairs(details)
	}
	return e, r.Metadata, nil
}

func parseGoAway(f *wire.Frame) (*Error, error) {
	r, err := wire.ParseReason(f)
	if err != nil {
		return nil, fromWire(err)
	}
	return sentError(&r), nil
}

// sentError returns the error that a peer has sent: its text cleaned, its code Unknown if it
// is none that an error may have.
func sentError(r *wire.RawReason) *Error {
	e := &Error{Code: Code(r.Code), Message: cleanBytes(r.Text, wire.MaxErrorText), remote: true}
	e.Code = e.code()
	return e
}

// appendHello appends a client's hello, and refuses metadata that may not travel or for
// which the wire has no room.
func appendHello(dst []byte, h wire.ClientHello, metadata Metadata) ([]byte, error) {
	if err := metadata.check(); err != nil {
		return nil, unrun(Errorf(InvalidArgument, "%w", err))
	}
	h.Pairs = wire.AppendPairs(nil, metadata)
	if n := h.Size(); n > math.MaxUint16 {
		return nil, unrun(Errorf(ResourceExhausted, "hello of %d bytes, of which the metadata are %d: at most %d are allowed (WithHelloMetadata)",
			n, len(h.Pairs), math.MaxUint16))
	}
	return h.Append(dst), nil
}

// parseClientHello returns what a client's hello says, and its metadata.
func parseClientHello(body []byte) (wire.ClientHello, Metadata, error) {
	h, err := wire.ParseClientHello(body)
	if err == nil {
		err = h.Check()
	}
	if err != nil {
		return h, nil, fromWire(err)
	}
	metadata, err := wire.ParsePairs(h.Pairs, wire.MaxPairs)
	if err != nil {
		return h, nil, fromWire(err)
	}
	if err := Metadata(metadata).check(); err != nil {
		return h, nil, Errorf(InvalidArgument, "%w", err)
	}
	return h, metadata, nil
}

// parseServerHello returns the server's bounds, or its refusal as an error.
func parseServerHello(body []byte) (wire.ServerHello, error) {
	h, err := wire.ParseServerHello(body)
	if err != nil {
		return h, fromWire(err)
	}
	h.Text = cleanText(h.Text, wire.MaxErrorText)
	if h.Code == wire.OK {
		return h, fromWire(h.Check())
	}
	refused := &Error{Code: Code(h.Code), Message: h.Text, remote: true}
	refused.Code = refused.code()
	return h, unrun(refused)
}

// isTimeout reports whether err is a deadline that passed.
func isTimeout(err error) bool {
	var ne net.Error
	return causes.As(err, &ne) && ne.Timeout()
}
