package rpc

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/internal/values"
)

// Messages encodes and decodes protobuf messages for [JSON]. They have a JSON
// of their own, which encoding/json does not know: it drops a oneof, and writes
// neither times nor 64-bit numbers as protobuf does. A message's own MarshalJSON is
// not called. The methods get a message, or a value that contains some, and may be called by many goroutines.
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
	if !new(messageSearch).in(reflect.ValueOf(v), 0) {
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

// messageSearch looks for a message in one value. Values may form a circle, which
// encoding/json reports: a search that has found one ends.
type messageSearch struct {
	inside map[any]bool // the pointers, maps and slices that it is in, below trustedDepth
	circle bool
}

// trustedDepth is how deep a value may be nested until circles are looked for, as in
// encoding/json.
const trustedDepth = 1000

// in reports whether v is or contains a message. Where the types do not say so, it
// looks into interfaces.
func (s *messageSearch) in(v reflect.Value, depth int) bool {
	if !v.IsValid() || s.circle {
		return false
	}
	switch contentOf(v.Type()) {
	case noMessage:
		return false
	case hasMessage:
		return true
	}
	if id := identityOf(v, depth); id != nil {
		if s.inside[id] {
			s.circle = true
			return false
		}
		if s.inside == nil {
			s.inside = map[any]bool{}
		}
		s.inside[id] = true
		defer delete(s.inside, id)
	}
	return s.within(v, depth+1)
}

// within reports whether one of the values in v is or contains a message.
func (s *messageSearch) within(v reflect.Value, depth int) bool {
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return s.in(v.Elem(), depth)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if s.in(v.Index(i), depth) {
				return true
			}
		}
	case reflect.Map:
		for each := v.MapRange(); each.Next(); {
			if s.in(each.Value(), depth) {
				return true
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if isShown(v.Type().Field(i)) && s.in(v.Field(i), depth) {
				return true
			}
		}
	}
	return false
}

// identityOf tells a value from all others that a circle may lead through. It is nil
// if v is none of those, or not so deep that it could be in a circle.
func identityOf(v reflect.Value, depth int) any {
	switch kind := v.Kind(); {
	case depth <= trustedDepth:
	case kind == reflect.Pointer, kind == reflect.Map:
		return v.UnsafePointer()
	case kind == reflect.Slice:
		return [2]any{v.UnsafePointer(), v.Len()}
	}
	return nil
}

var contents sync.Map // reflect.Type to content

// contentOf returns what values of type t may contain, as far as encoding/json
// looks: not into what encodes itself, unless a message does that, nor into fields
// that are not exported.
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
	case values.IsMessage(pointer), values.EmbedsMessage(t, encodesItself): // whose MarshalJSON follows it without an end
		return hasMessage
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

// jsonNesting is what encoding/json follows. Messages are for package codec/protobuf.
var jsonNesting = values.Nesting{Follows: isShown, Opaque: func(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) ||
		t.Implements(messageType) || reflect.PointerTo(t).Implements(messageType)
}}

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
