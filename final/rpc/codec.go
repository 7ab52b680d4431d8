package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"sync"
)

// Codec turns values into bytes and back. The client chooses one per
// connection, by [WithCodec]; its name travels in the hello. A Codec is used by
// many goroutines at once, and must not remember anything between messages.
// [Gob] is the exception: the connection keeps its state. An error of a codec
// fails the call: with InvalidArgument for params, which then never ran, and
// with Internal for a result.
type Codec interface {
	// Name is what the hello carries: 1 to 32 bytes of a-z, 0-9 and '-'.
	Name() string
	// Append appends the encoding of v to dst and returns the longer slice.
	// It must not keep v. It is not called with a nil v, which is sent as no bytes.
	Append(dst []byte, v any) ([]byte, error)
	// Decode decodes data into v, a pointer. It must not keep data, which is
	// used again as soon as Decode returns. Empty data stand for the zero value,
	// which *v has already: a codec may leave it as it is.
	Decode(data []byte, v any) error
}

// JSON is encoding/json without HTML escaping. It is the default codec, the one
// to debug with, and the one that other languages have. Protobuf messages, also
// within structs, slices, maps and interfaces, get the JSON that protobuf
// defines: see [Messages].
//
// It refuses a value that contains itself, or is nested deeper than 10,000 levels:
// no such text could be decoded again. It cannot look into a type that has a
// MarshalJSON or MarshalText of its own: one that never returns ends the process, by
// a stack overflow.
var JSON Codec = jsonCodec{}

type jsonCodec struct{}

func (jsonCodec) Name() string { return "json" }

// jsonEncoder keeps an Encoder with the slice that it appends to: Encode writes
// without the copy that json.Marshal returns.
type jsonEncoder struct {
	out []byte
	enc *json.Encoder
}

func (e *jsonEncoder) Write(p []byte) (int, error) {
	e.out = append(e.out, p...)
	return len(p), nil
}

var jsonEncoders = sync.Pool{New: func() any {
	e := new(jsonEncoder)
	e.enc = json.NewEncoder(e)
	e.enc.SetEscapeHTML(false)
	return e
}}

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	if err := jsonNesting.Check(v); err != nil {
		return dst, fmt.Errorf("json: %w", err)
	}
	switch m, err := messagesFor(v); {
	case err != nil:
		return dst, err
	case m != nil:
		return m.AppendJSON(dst, v)
	}
	e := jsonEncoders.Get().(*jsonEncoder)
	e.out = dst
	err := e.enc.Encode(v)
	out := e.out
	e.out = nil
	if err != nil {
		return dst, err // a user's marshaler failed: the encoder is not used again
	}
	jsonEncoders.Put(e)
	return bytes.TrimSuffix(out, []byte("\n")), nil
}

func (jsonCodec) Decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	switch m, err := messagesFor(v); {
	case err != nil:
		return err
	case m != nil:
		return m.DecodeJSON(data, v)
	}
	return json.Unmarshal(data, v)
}

// A codecPanic is a panic of a user's marshaler or unmarshaler. Its text says
// nothing of the value, since it travels to callers.
type codecPanic struct {
	doing string // "encoding stock.Item"
	value any
	stack []byte
}

func newCodecPanic(doing string, v, value any) *codecPanic {
	return &codecPanic{fmt.Sprintf("%s %T", doing, v), value, debug.Stack()}
}

func (p *codecPanic) Error() string { return "panic while " + p.doing }

// encodeWith is Append with a panic in a user's marshaler caught, and nil sent as no bytes.
func encodeWith(c Codec, dst []byte, v any) (out []byte, err error) {
	if v == nil {
		return dst, nil
	}
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, newCodecPanic("encoding", v, p)
		}
	}()
	out, err = c.Append(dst, v)
	return out, readable(err, "encoding", v)
}

// decodeWith is Decode with a panic in a user's unmarshaler caught. A nil v wants nothing.
func decodeWith(c Codec, data []byte, v any) (err error) {
	if v == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = newCodecPanic("decoding into", v, p)
		}
	}()
	return readable(c.Decode(data, v), "decoding into", v)
}

// readable returns err, an error of a codec or of a user's marshaler, or what can be
// read instead: if one of its methods panics, that is a panic of the marshaler.
func readable(err error, doing string, v any) error {
	if err == nil {
		return nil
	}
	p, sound := soundError(err)
	if p != nil {
		return &codecPanic{fmt.Sprintf("%s %T", doing, v), p.value, p.stack}
	}
	return plainError(sound)
}
