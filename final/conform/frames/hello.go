package frames

import (
	"encoding/binary"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A Hello is what each side says first; its body is the version's.
type Hello struct {
	Version byte
	Body    []byte
}

// Append appends the hello's bytes to dst.
func (h Hello) Append(dst []byte) []byte {
	dst = append(append(dst, "\x93RPC"...), h.Version)
	return appendText(dst, 2, string(h.Body))
}

// ParseHello takes a whole hello apart. The body points into b.
func ParseHello(b []byte) (Hello, error) {
	version, body, err := wire.ParseHello(b)
	return Hello{version, body}, found(err)
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
	return Hello{1, AppendPairs(body, h.Metadata)}.Append(nil)
}

// Client takes the body of a client's hello apart.
func (h Hello) Client() (ClientHello, error) {
	in, err := wire.ParseClientHello(h.Body)
	c := ClientHello{Codec: in.Codec, MaxMessage: in.MaxMessage}
	if err != nil {
		return c, found(err)
	}
	c.Metadata, err = parsePairs(in.Pairs, wire.HelloSize+len(h.Body)-len(in.Pairs))
	return c, err
}

// A ServerHello is what a server's hello says.
type ServerHello struct {
	Code       wire.Code // OK accepts
	InFlight   uint32    // how many calls the client may have in flight
	MaxMessage uint32    // the largest length of a frame that the server reads
	Text       string    // why it refuses
}

// Bytes returns the hello, of version 1.
func (h ServerHello) Bytes() []byte {
	body := binary.BigEndian.AppendUint32([]byte{byte(h.Code)}, h.InFlight)
	body = binary.BigEndian.AppendUint32(body, h.MaxMessage)
	return Hello{1, append(body, h.Text...)}.Append(nil)
}

// Server takes the body of a server's hello apart.
func (h Hello) Server() (ServerHello, error) {
	in, err := wire.ParseServerHello(h.Body)
	return ServerHello(in), found(err)
}
