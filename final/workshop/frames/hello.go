package frames

import (
	"encoding/binary"
	"strings"
)

// What every hello begins with, in every version.
const (
	Magic     = "\x93RPC"
	Version   = 1
	HelloSize = 7 // magic, version and length
)

// A Hello is what each side says first; its body is the version's.
type Hello struct {
	Version byte
	Body    []byte
}

// Append appends the hello's bytes to dst.
func (h Hello) Append(dst []byte) []byte {
	dst = append(append(dst, Magic...), h.Version)
	return appendText(dst, 2, string(h.Body))
}

// ParseHello takes a whole hello apart. The body points into b.
func ParseHello(b []byte) (Hello, error) {
	if !IsMagic(b) {
		return Hello{}, bad(0, "not a hello of this protocol")
	}
	if len(b) < HelloSize {
		return Hello{}, bad(len(b), "a hello of %d bytes, less than %d", len(b), HelloSize)
	}
	h := Hello{Version: b[4], Body: b[HelloSize:]}
	if length := int(binary.BigEndian.Uint16(b[5:])); length != len(h.Body) {
		return h, bad(len(b), "hello of length %d with %d bytes", length, len(h.Body))
	}
	return h, nil
}

// IsMagic reports whether b, or the part of it that has arrived, begins as a hello does.
func IsMagic(b []byte) bool {
	n := min(len(b), len(Magic))
	return strings.HasPrefix(Magic, string(b[:n]))
}

// A ClientHello is what a client's hello says.
type ClientHello struct {
	Codec      string
	MaxMessage uint32 // the largest length of a frame that the client reads
	Metadata   []Pair
}

// Bytes returns the hello, of version 1.
func (h ClientHello) Bytes() []byte {
	body := appendText(nil, 1, h.Codec)
	body = binary.BigEndian.AppendUint32(body, h.MaxMessage)
	return Hello{Version, AppendPairs(body, h.Metadata)}.Append(nil)
}

// Client takes the body of a client's hello apart.
func (h Hello) Client() (ClientHello, error) {
	in := fields{b: h.Body, at: HelloSize}
	c := ClientHello{Codec: in.text(1, "codec")}
	c.MaxMessage = uint32(in.number(4, "largest message"))
	c.Metadata = in.pairs()
	return c, in.result()
}

// A ServerHello is what a server's hello says.
type ServerHello struct {
	Code       Code   // OK accepts
	InFlight   uint32 // how many calls the client may have in flight
	MaxMessage uint32 // the largest length of a frame that the server reads
	Text       string // why it refuses
}

// Bytes returns the hello, of version 1.
func (h ServerHello) Bytes() []byte {
	body := binary.BigEndian.AppendUint32([]byte{byte(h.Code)}, h.InFlight)
	body = binary.BigEndian.AppendUint32(body, h.MaxMessage)
	return Hello{Version, append(body, h.Text...)}.Append(nil)
}

// Server takes the body of a server's hello apart.
func (h Hello) Server() (ServerHello, error) {
	in := fields{b: h.Body, at: HelloSize}
	s := ServerHello{Code: Code(in.number(1, "code"))}
	s.InFlight = uint32(in.number(4, "calls in flight"))
	s.MaxMessage = uint32(in.number(4, "largest message"))
	s.Text = string(in.b)
	return s, in.result()
}
