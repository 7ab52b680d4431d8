package frames

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Compression is the key of a client's offer and the word of a server's grant,
// and Gzip what there is.
const (
	Compression = "rpc.compression"
	Gzip        = "gzip"
)

// Offers reports whether the client offers that compression.
func (h ClientHello) Offers(name string) bool {
	offer := ""
	for _, p := range h.Metadata { // of a key that comes twice the last value counts
		if p.Key == Compression {
			offer = p.Value
		}
	}
	return slices.Contains(strings.Split(offer, ","), name)
}

// Grants reports whether the server grants that compression.
func (h ServerHello) Grants(name string) bool {
	return h.Code == wire.OK && slices.Contains(strings.Fields(h.Text), Compression+"="+name)
}

// Agreed returns the flags that frames may have beyond version 1's own, after
// these two hellos.
func Agreed(c ClientHello, s ServerHello) uint8 {
	if c.Codec != "gob" && c.Offers(Gzip) && s.Grants(Gzip) {
		return wire.FlagCompressed
	}
	return 0
}

// Expand takes a body out of its compression. It returns an error, and nothing
// else, if that is more than limit bytes, or not exactly one member of gzip
// without optional fields.
func Expand(body []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(body, []byte{0x1f, 0x8b, 8, 0}) {
		return nil, errors.New("not gzip, or with optional fields")
	}
	in := bytes.NewReader(body)
	r, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("broken gzip: %w", err)
	}
	r.Multistream(false)
	plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	switch {
	case len(plain) > limit:
		return nil, fmt.Errorf("gzip of more than %d bytes", limit)
	case err != nil:
		return nil, fmt.Errorf("broken gzip: %w", err)
	case in.Len() > 0:
		return nil, fmt.Errorf("%d bytes after the gzip", in.Len())
	}
	return plain, nil
}
