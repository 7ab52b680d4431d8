// Package protonest refuses protobuf messages without an end: package proto follows
// a message that contains itself until the stack overflows, which ends the process.
package protonest

import (
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const (
	deepest = 10_000 // package proto reads no more
	watched = 64     // how deep a message is nested until a circle is looked for
)

// Check refuses a message that contains itself, or is nested deeper than 10,000
// levels.
func Check(m proto.Message) error {
	if m == nil || !mayNest(m) {
		return nil
	}
	w := walk{inside: map[proto.Message]bool{}}
	if wrong := w.look(m.ProtoReflect(), 1); wrong != "" {
		return fmt.Errorf("cannot encode a %T that %s", m, wrong)
	}
	return nil
}

var nesting sync.Map // reflect.Type of a generated message to bool

// mayNest reports whether messages like m may contain others of their type.
func mayNest(m proto.Message) bool {
	t := reflect.TypeOf(m)
	if known, ok := nesting.Load(t); ok {
		return known.(bool)
	}
	desc := m.ProtoReflect().Descriptor()
	found := reaches(desc, map[protoreflect.FullName]bool{})
	if m.ProtoReflect().Type() == reflectedType(t) { // else the descriptor is not all in the Go type
		nesting.Store(t, found)
	}
	return found
}

// reflectedType returns what a new message of t has for a type. A dynamic one has none.
func reflectedType(t reflect.Type) protoreflect.MessageType {
	if t.Kind() != reflect.Pointer || t.Elem().Kind() != reflect.Struct {
		return nil
	}
	fresh, ok := reflect.New(t.Elem()).Interface().(proto.Message)
	if !ok {
		return nil
	}
	return fresh.ProtoReflect().Type()
}

// reaches reports whether a message of this kind may contain one that it is in, or
// extensions. In seen, a kind is true while it is searched.
func reaches(desc protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) (found bool) {
	if within, ok := seen[desc.FullName()]; ok {
		return within
	}
	if desc.ExtensionRanges().Len() > 0 {
		return true
	}
	seen[desc.FullName()] = true
	fields := desc.Fields()
	for i := 0; i < fields.Len() && !found; i++ {
		if inner := fields.Get(i).Message(); inner != nil {
			found = reaches(inner, seen)
		}
	}
	seen[desc.FullName()] = false
	return found
}

// walk looks through one message, in depth.
type walk struct{ inside map[proto.Message]bool }

func (w *walk) look(m protoreflect.Message, depth int) (wrong string) {
	if depth > deepest {
		return fmt.Sprintf("is nested deeper than %d levels", deepest)
	}
	if depth > watched {
		id := m.Interface()
		if w.inside[id] {
			return "contains itself"
		}
		w.inside[id] = true
		defer delete(w.inside, id)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		wrong = w.field(f, v, depth+1)
		return wrong == ""
	})
	return wrong
}

func (w *walk) field(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) (wrong string) {
	switch {
	case f.IsMap():
		if f.MapValue().Message() == nil {
			return ""
		}
		v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
			wrong = w.look(v.Message(), depth)
			return wrong == ""
		})
	case f.Message() == nil:
	case f.IsList():
		for i := 0; i < v.List().Len() && wrong == ""; i++ {
			wrong = w.look(v.List().Get(i).Message(), depth)
		}
	default:
		return w.look(v.Message(), depth)
	}
	return wrong
}
