package introspect

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/values"
)

// typeTable lists types once each, by name. A type is entered before what it
// is made of, so that one which contains itself ends.
type typeTable struct {
	files fileSet // of the messages among the types
	list  []*Type
	names map[reflect.Type]string
	taken map[string]bool
}

// add returns the name of t, after t and all that it is made of are in the
// table. nil has no name.
func (tt *typeTable) add(t reflect.Type) string {
	switch {
	case t == nil:
		return ""
	case t.Name() != "" && t.PkgPath() == "":
		return t.Name() // Go's own
	}
	if name, known := tt.names[t]; known {
		return name
	}
	entry := &Type{Name: tt.name(t), Kind: t.Kind().String(), Package: t.PkgPath()}
	tt.list = append(tt.list, entry)
	entry.JsonEncoding = jsonEncoding(t)
	entry.GobEncoding = makesItself(t, gobEncoders)
	tt.fill(entry, t)
	if d := messageDescriptor(t); d != nil {
		entry.Message = string(d.FullName())
		tt.files.addFile(d.ParentFile())
		tt.addMembers(t, d)
	}
	return entry.Name
}

// addMembers adds the messages in a message that its Go struct does not show, such as
// those in a oneof, which Go hides behind an interface.
func (tt *typeTable) addMembers(t reflect.Type, d protoreflect.MessageDescriptor) {
	m := reflect.New(t).Interface().(proto.Message).ProtoReflect()
	for i := range d.Fields().Len() {
		if inner := memberOf(m, d.Fields().Get(i)); inner != nil {
			tt.add(reflect.TypeOf(inner.Interface()).Elem())
		}
	}
}

// memberOf returns a message as it may be in a field of m; nil if none may be.
func memberOf(m protoreflect.Message, f protoreflect.FieldDescriptor) protoreflect.Message {
	switch {
	case f.IsMap() && f.MapValue().Message() != nil:
		return m.NewField(f).Map().NewValue().Message()
	case f.IsMap() || f.Message() == nil:
		return nil
	case f.IsList():
		return m.NewField(f).List().NewElement().Message()
	}
	return m.NewField(f).Message()
}

// name returns what Go calls t, with a number if another type is called so:
// two packages of one name may each have an Order.
func (tt *typeTable) name(t reflect.Type) string {
	if tt.names == nil {
		tt.names, tt.taken = map[reflect.Type]string{}, map[string]bool{}
	}
	name := goName(t)
	for n := 2; tt.taken[name]; n++ {
		name = fmt.Sprintf("%s#%d", goName(t), n)
	}
	tt.names[t], tt.taken[name] = name, true
	return name
}

// goName returns what a Go programmer calls t. Package reflect knows the
// aliases any and byte no more.
func goName(t reflect.Type) string {
	return strings.NewReplacer("interface {}", "any", "[]uint8", "[]byte").Replace(t.String())
}

// fill adds what t is made of. Channels and functions are not looked into: no
// codec carries them.
func (tt *typeTable) fill(entry *Type, t reflect.Type) {
	switch t.Kind() {
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			entry.Kind = "bytes"
		}
		entry.Elem = tt.add(t.Elem())
	case reflect.Pointer:
		entry.Kind, entry.Elem = "pointer", tt.add(t.Elem())
	case reflect.Array:
		entry.Elem, entry.Len = tt.add(t.Elem()), int64(t.Len())
	case reflect.Map:
		entry.Key, entry.Elem = tt.add(t.Key()), tt.add(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if f, sent := describeField(t.Field(i)); sent {
				f.Type = tt.add(t.Field(i).Type)
				entry.Fields = append(entry.Fields, f)
			}
		}
	}
}

var (
	jsonEncoders = []reflect.Type{reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler]()}
	textEncoders = []reflect.Type{reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler]()}
	gobEncoders  = []reflect.Type{
		reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[gob.GobDecoder](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
	}
)

// jsonEncoding says whether t makes its own JSON, by encoding/json's rules, or has
// protobuf's.
func jsonEncoding(t reflect.Type) string {
	switch {
	case makesItself(t, jsonEncoders), values.IsMessage(reflect.PointerTo(t)):
		return "own"
	case makesItself(t, textEncoders):
		return "text"
	}
	return ""
}

// makesItself reports whether t or *t has one of the interfaces. Pointers are
// left to what they point to.
func makesItself(t reflect.Type, interfaces []reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	for _, i := range interfaces {
		if reflect.PointerTo(t).Implements(i) { // has t's methods, too
			return true
		}
	}
	return false
}
