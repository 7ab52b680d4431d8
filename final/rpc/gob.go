package rpc

import (
	"bytes"
	"encoding/gob"
)

// Gob is encoding/gob with one stream per direction, so that types are
// described once per connection. For trusted peers only: gob is outside Go's
// security promises. 4 MB of nested data overflow the stack, which ends the
// process and cannot be caught, and 67 bytes with a forged count make it
// allocate gigabytes. A server therefore offers it only when [WithCodecs] says
// so, and reads at most 1 MiB a message then.
var Gob Codec = gobCodec{}

type gobCodec struct{}

func (gobCodec) Name() string { return "gob" }

// Append encodes v self-contained, with its types.
func (gobCodec) Append(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	err := gob.NewEncoder(buf).Encode(v)
	return buf.Bytes(), err
}

func (gobCodec) Decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}
