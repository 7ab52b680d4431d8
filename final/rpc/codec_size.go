package rpc

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/values"
)

// Sizer is a [Codec] that can bound the memory that a value will take, before it is
// decoded. A server asks it for [WithParamsMemory], a client for [WithMaxDecoded]. A codec
// that is none, [Gob] among them, counts 16 bytes of memory for each byte of a body, and
// the size of its Go type.
type Sizer interface {
	Codec
	// Sizes returns how to bound what a new value of type t takes, pointers
	// included. It is called when a method is registered, for each call of
	// [Server.Invoke], and once at a client for each type of its replies above
	// 4 KiB.
	Sizes(t reflect.Type) SizeFunc
}

// SizeFunc bounds the memory that data will take once they are decoded, in bytes.
// It should read data at most once, and allocate nothing: it costs time for every
// call. It must not keep data, which may be anything. It is called by many
// goroutines at once. A result below 0 counts as 0.
type SizeFunc func(data []byte) int64

// growth is how many bytes of memory a byte of a body counts as, if nothing more is
// known.
const growth = 16

// sizesOf returns how to bound the memory of a method's params, or of the items that it
// receives; nil if there are none.
func (m *method) sizesOf(c Codec) SizeFunc {
	t := m.info.Params
	switch {
	case m.newParams != nil:
		t = reflect.TypeOf(m.newParams()).Elem()
	case m.stream == nil:
		return nil
	}
	return sizesFor(c, t)
}

func sizesFor(c Codec, t reflect.Type) SizeFunc {
	if sizer, ok := c.(Sizer); ok {
		return sizer.Sizes(t)
	}
	return func(data []byte) int64 { return values.SizeOf(t) + growth*int64(len(data)) }
}

// decodedBound bounds what a client decodes. The zero value bounds nothing.
type decodedBound struct {
	most  int64     // bytes of memory that a value may take
	sizes *sync.Map // reflect.Type to SizeFunc, all of the client's codec
}

// check refuses data that may take more than that in what v points to.
func (d *decodedBound) check(c Codec, data []byte, v any) (err error) {
	if d.most == 0 || v == nil || len(data) <= uncounted {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = newCodecPanic("measuring a body for", v, p)
		}
	}()
	t := reflect.TypeOf(v)
	if t.Kind() != reflect.Pointer {
		return nil // decoding will tell
	}
	sizes, ok := d.sizes.Load(t)
	if !ok {
		sizes, _ = d.sizes.LoadOrStore(t, sizesFor(c, t.Elem()))
	}
	if n := sizes.(SizeFunc)(data); n > d.most {
		return &decodedTooLarge{len(data), n, d.most}
	}
	return nil
}

// decodedTooLarge is the error for a body that is not decoded.
type decodedTooLarge struct {
	size        int
	takes, most int64
}

func (e *decodedTooLarge) Error() string {
	return fmt.Sprintf("%d bytes may take %d bytes of memory: the limit is %d (WithMaxDecoded)", e.size, e.takes, e.most)
}

// protoSize is what a protobuf message counts as, as far as its type does not tell.
const protoSize = 256

// jsonGrower knows what encoding/json decodes.
var jsonGrower = values.Grower{Follows: isShown, Opaque: func(t reflect.Type) (values.Growth, bool) {
	pointer := reflect.PointerTo(t)
	switch {
	case t == reflect.TypeFor[time.Time]():
		return values.Growth{}, true
	case t.Implements(messageType), pointer.Implements(messageType):
		return values.Growth{PerByte: growth, Next: protoSize, First: protoSize}, true
	case pointer.Implements(reflect.TypeFor[json.Unmarshaler]()), pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return values.Growth{PerByte: growth}, true
	}
	return values.Growth{}, false
}}

// jsonSize bounds what JSON can become in a type. Each value in it follows the beginning
// of the text, a comma, or the bracket that opens an array or an object.
type jsonSize struct {
	fixed int64
	values.Growth
}

var jsonSizes sync.Map // reflect.Type to *jsonSize

// Sizes makes JSON a [Sizer]. It counts elements and members, each as the largest
// that the type has.
func (jsonCodec) Sizes(t reflect.Type) SizeFunc {
	known, ok := jsonSizes.Load(t)
	if !ok {
		known, _ = jsonSizes.LoadOrStore(t, &jsonSize{values.SizeOf(t), jsonGrower.Of(t)})
	}
	return known.(*jsonSize).of
}

// of counts no further than needed to know that it is little.
func (s *jsonSize) of(data []byte) int64 {
	n := int64(len(data))
	if most := s.fixed + n*(s.PerByte+max(s.Next, s.First)); most <= uncounted {
		return most
	}
	size := s.fixed + n*s.PerByte
	if s.Next == 0 && s.First == 0 {
		return size
	}
	commas := bytes.Count(data, []byte{','})
	opens := bytes.Count(data, []byte{'['}) + bytes.Count(data, []byte{'{'})
	return size + int64(commas+1)*s.Next + int64(opens)*s.First
}
