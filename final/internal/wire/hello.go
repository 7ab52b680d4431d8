package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// Magic and Version are what the hellos of this version begin with.
const (
	Magic   = "\x93RPC"
	Version = 1
)

// ReadHello reads one hello from r and not a byte more, since frames follow it, and returns
// its body. A body above limit, and another magic or version, are an *Error.
func ReadHello(r io.Reader, limit int) ([]byte, error) {
	var head [HelloSize]byte
	if _, err := io.ReadFull(r, head[:len(Magic)]); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	if !IsMagic(head[:len(Magic)]) {
		return nil, malformed(0, "hello begins with %q: not this protocol", head[:len(Magic)])
	}
	if _, err := io.ReadFull(r, head[len(Magic):]); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	length := int(binary.BigEndian.Uint16(head[5:]))
	if length > limit {
		return nil, tooLarge("hello of %d bytes: at most %d are allowed", length, limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	if head[4] != Version {
		return nil, wrongVersion(head[4])
	}
	return body, nil
}

// ParseHello takes one whole hello apart, of any version. The body points into b.
func ParseHello(b []byte) (version byte, body []byte, err error) {
	if !IsMagic(b) {
		return 0, nil, malformed(0, "not a hello of this protocol")
	}
	if len(b) < HelloSize {
		return 0, nil, malformed(len(b), "a hello of %d bytes, less than %d", len(b), HelloSize)
	}
	version, body = b[4], b[HelloSize:]
	if length := int(binary.BigEndian.Uint16(b[5:])); length != len(body) {
		return version, body, malformed(len(b), "hello of length %d with %d bytes", length, len(body))
	}
	return version, body, nil
}

// IsMagic reports whether b, or the part of it that has arrived, begins as a hello does.
func IsMagic(b []byte) bool { return strings.HasPrefix(Magic, string(b[:min(len(b), len(Magic))])) }

func wrongVersion(version byte) *Error {
	return &Error{Code: Unimplemented, Text: fmt.Sprintf("unknown version %d: this side speaks %d", version, Version),
		Offset: 4, Detail: fmt.Sprintf("version %d", version)}
}

// appendHello begins a hello with so many bytes of body.
func appendHello(dst []byte, size int) []byte {
	dst = append(append(dst, Magic...), Version)
	return binary.BigEndian.AppendUint16(dst, uint16(size))
}

// ClientHello is what a client says first.
type ClientHello struct {
	Codec      string // at most 255 bytes
	MaxMessage uint32 // the largest length of a frame that the client reads
	Pairs      []byte // metadata, for [ParsePairs]
}

// Size returns the length of the hello's body, for which the wire has two bytes.
func (h *ClientHello) Size() int { return 1 + len(h.Codec) + 4 + len(h.Pairs) }

// Append appends the hello, of which Size is at most 65535.
func (h *ClientHello) Append(dst []byte) []byte {
	dst = appendHello(dst, h.Size())
	dst = append(dst, byte(len(h.Codec)))
	dst = append(dst, h.Codec...)
	dst = binary.BigEndian.AppendUint32(dst, h.MaxMessage)
	return append(dst, h.Pairs...)
}

// ParseClientHello takes the body of a client's hello apart. What it announces is not
// judged. With an error, what could be read is returned too.
func ParseClientHello(body []byte) (ClientHello, error) {
	in := fields{b: body}
	var h ClientHello
	h.Codec = string(in.take(int(in.uint8("length of a codec")), "codec"))
	h.MaxMessage = in.uint32("largest message")
	if in.bad() {
		return h, in.explain(malformed(0, "truncated hello"), HelloSize+len(body))
	}
	h.Pairs = in.b
	return h, nil
}

// Check refuses a limit that leaves no room for messages.
func (h *ClientHello) Check() error {
	if h.MaxMessage < MinMessage {
		return malformed(0, "hello: a largest message of %d bytes, less than %d", h.MaxMessage, MinMessage)
	}
	return nil
}

// ServerHello is the server's answer.
type ServerHello struct {
	Code       Code   // OK accepts
	InFlight   uint32 // how many calls the client may have in flight
	MaxMessage uint32 // the largest length of a frame that the server reads
	Text       string // why it refuses, or what it grants
}

// Append appends the hello. Its text has at most MaxReasonText bytes.
func (h *ServerHello) Append(dst []byte) []byte {
	dst = appendHello(dst, 9+len(h.Text))
	dst = append(dst, byte(h.Code))
	dst = binary.BigEndian.AppendUint32(dst, h.InFlight)
	dst = binary.BigEndian.AppendUint32(dst, h.MaxMessage)
	return append(dst, h.Text...)
}

// ParseServerHello takes the body of a server's hello apart. What it announces is not
// judged. With an error, what could be read is returned too.
func ParseServerHello(body []byte) (ServerHello, error) {
	in := fields{b: body}
	var h ServerHello
	h.Code = Code(in.uint8("code"))
	h.InFlight = in.uint32("calls in flight")
	h.MaxMessage = in.uint32("largest message")
	h.Text = string(in.b)
	if in.bad() {
		return h, in.explain(malformed(0, "truncated hello"), HelloSize+len(body))
	}
	return h, nil
}

// Check refuses bounds that leave no room for calls, in a hello that accepts.
func (h *ServerHello) Check() error {
	if h.InFlight == 0 || h.MaxMessage < MinMessage {
		return malformed(0, "hello: bounds of %d calls and %d bytes", h.InFlight, h.MaxMessage)
	}
	return nil
}
