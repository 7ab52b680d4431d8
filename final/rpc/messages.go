package rpc

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
)

// Messages encodes and decodes protobuf messages for [JSON]. They have a JSON
// of their own, which encoding/json does not know: it drops a oneof, and writes
// neither times nor 64-bit numbers as protobuf does. The methods get a message,
// or a value that contains some, and may be called by many goroutines.
// DecodeJSON gets a pointer and must not keep data.
type Messages interface {
	AppendJSON(dst []byte, v any) ([]byte, error)
	DecodeJSON(data []byte, v any) error
}

var messages atomic.Pointer[Messages]

// RegisterMessages sets how [JSON] encodes and decodes messages, for the whole
// program. Package codec/protobuf calls it when it is imported, as a database's
// driver registers itself with database/sql. Without it, a message over JSON is
// an error that says what to import. It panics if m is nil or if it was called
// before.
func RegisterMessages(m Messages) {
	if m == nil {
		panic("rpc: RegisterMessages: nil")
	}
	if !messages.CompareAndSwap(nil, &m) {
		panic("rpc: RegisterMessages: called twice")
	}
}

// messagesFor returns what does JSON for v, or nil if encoding/json does: v neither
// is nor contains a message.
func messagesFor(v any) (Messages, error) {
	looks := mostLooks
	if !holdsMessage(reflect.ValueOf(v), 0, &looks) {
		return nil, nil
	}
	if m := messages.Load(); m != nil {
		return *m, nil
	}
	return nil, fmt.Errorf("%T is or contains a protobuf message, which encoding/json would change: import codec/protobuf", v)
}

// content is what values of a type may contain.
type content uint8

const (
	noMessage  content = iota
	interfaces         // whose values have to be looked at
	hasMessage
)

// What holdsMessage looks at may form a circle, which encoding/json reports. So it
// is bounded how deep it looks, and at how many values.
const (
	deepestLook = 1000
	mostLooks   = 1_000_000
)

// holdsMessage reports whether v is or contains a message. Where the types do not
// say so, it looks into interfaces.
func holdsMessage(v reflect.Value, depth int, looks *int) bool {
	if *looks--; !v.IsValid() || depth > deepestLook || *looks < 0 {
		return false
	}
	switch contentOf(v.Type()) {
	case noMessage:
		return false
	case hasMessage:
		return true
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return holdsMessage(v.Elem(), depth+1, looks)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if holdsMessage(v.Index(i), depth+1, looks) {
				return true
			}
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			if holdsMessage(each.Value(), depth+1, looks) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if isShown(v.Type().Field(i)) && holdsMessage(v.Field(i), depth+1, looks) {
				return true
			}
		}
	}
	return false
}

var contents sync.Map // reflect.Type to content

// contentOf returns what values of type t may contain, as far as encoding/json
// looks: not into what encodes itself, nor into fields that are not exported.
func contentOf(t reflect.Type) content {
	if known, ok := contents.Load(t); ok {
		return known.(content)
	}
	found := searchContent(t, map[reflect.Type]bool{})
	contents.Store(t, found)
	return found
}

func searchContent(t reflect.Type, seen map[reflect.Type]bool) content {
	if seen[t] {
		return noMessage
	}
	seen[t] = true
	pointer := t
	if t.Kind() != reflect.Pointer {
		pointer = reflect.PointerTo(t)
	}
	switch {
	case t.Kind() == reflect.Interface:
		return interfaces
	case encodesItself(pointer):
		return noMessage
	case pointer.Implements(messageType):
		return hasMessage
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return searchContent(t.Elem(), seen)
	case reflect.Struct:
		found := noMessage
		for i := range t.NumField() {
			if f := t.Field(i); isShown(f) {
				found = max(found, searchContent(f.Type, seen))
			}
		}
		return found
	}
	return noMessage
}

// isShown reports whether encoding/json looks at a field.
func isShown(f reflect.StructField) bool {
	return (f.IsExported() || f.Anonymous) && f.Tag.Get("json") != "-"
}

// messageType is implemented by all generated messages, and by dynamic ones.
var messageType = reflect.TypeFor[interface {
	Reset()
	ProtoMessage()
}]()

// encodesItself reports whether encoding/json leaves values of a pointer's type to
// their own methods.
func encodesItself(pointer reflect.Type) bool {
	return pointer.Implements(reflect.TypeFor[json.Marshaler]()) || pointer.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
