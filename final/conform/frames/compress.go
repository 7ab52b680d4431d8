package frames

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
)

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
