package values

import (
	"reflect"
	"sync"
)

// message is what all generated protobuf messages have, and dynamic ones. The
// zero value of a dynamic one is of no use, so messages empty themselves.
type message interface {
	Reset()
	ProtoMessage()
}

var messages sync.Map // reflect.Type to bool

// IsMessage reports whether t, a type of pointers, is that of a protobuf message. A
// struct that embeds a message has its methods, but they speak of a part of it, and
// panic if there is nothing in the field: it is none.
func IsMessage(t reflect.Type) bool {
	if t == nil || t.Kind() != reflect.Pointer {
		return false
	}
	known, ok := messages.Load(t) // Implements is slow, and asked of each reply
	if !ok {
		known = t.Implements(reflect.TypeFor[message]()) && !embedsMessage(t.Elem())
		messages.Store(t, known)
	}
	return known.(bool)
}

// embedsMessage reports whether a message's methods may be those of a field of t.
func embedsMessage(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && (f.Type.Implements(reflect.TypeFor[message]()) || reflect.PointerTo(f.Type).Implements(reflect.TypeFor[message]())) {
			return true
		}
	}
	return false
}

// EmbedsMessage reports whether t is a struct, or a pointer to one, that embeds a
// message of a type that is wanted, at any depth of structs within structs.
func EmbedsMessage(t reflect.Type, wanted func(pointer reflect.Type) bool) bool {
	return embedsWanted(t, wanted, map[reflect.Type]bool{})
}

func embedsWanted(t reflect.Type, wanted func(reflect.Type) bool, seen map[reflect.Type]bool) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || seen[t] {
		return false
	}
	seen[t] = true
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.Anonymous {
			continue
		}
		pointer := f.Type
		if pointer.Kind() != reflect.Pointer {
			pointer = reflect.PointerTo(pointer)
		}
		if IsMessage(pointer) && wanted(pointer) || embedsWanted(f.Type, wanted, seen) {
			return true
		}
	}
	return false
}

// asMessage returns v as a message, or nil if it is none.
func asMessage(v any) message {
	if !IsMessage(reflect.TypeOf(v)) {
		return nil
	}
	return v.(message)
}
