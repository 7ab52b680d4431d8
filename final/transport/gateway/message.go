package gateway

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/values"
)

// messageOf returns a new message of type t, or nil if *t is no message.
func messageOf(t reflect.Type) proto.Message {
	if !values.IsMessage(reflect.PointerTo(t)) {
		return nil
	}
	m, _ := reflect.New(t).Interface().(proto.Message)
	return m
}

// messageSample is a message's JSON with each of its fields, but for those of oneofs.
func messageSample(m proto.Message) string {
	text, err := protojson.MarshalOptions{EmitUnpopulated: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		return "{}"
	}
	var b bytes.Buffer
	if json.Compact(&b, text) != nil {
		return "{}"
	}
	return b.String()
}

// messageFields lists the fields of a message by their names in JSON; none of one
// that has a JSON of its own, such as a Timestamp.
func messageFields(d protoreflect.MessageDescriptor) (list []field) {
	if isWellKnown(d) {
		return nil
	}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		list = append(list, field{Name: f.JSONName(), Type: messageType(f), Optional: true})
	}
	return list
}

// appendInner adds the messages and enums in a message, each once, and what is in those.
// Of the well-known types there is nothing to say.
func appendInner(list []structType, d protoreflect.MessageDescriptor, named map[protoreflect.FullName]bool) []structType {
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if f.IsMap() {
			f = f.MapValue()
		}
		if m := f.Message(); m != nil && !named[m.FullName()] && !isWellKnown(m) {
			named[m.FullName()] = true
			list = append(list, structType{string(m.FullName()), messageFields(m)})
			list = appendInner(list, m, named)
		}
		if e := f.Enum(); e != nil && !named[e.FullName()] && !isWellKnown(e) {
			named[e.FullName()] = true
			list = append(list, structType{string(e.FullName()), enumNames(e)})
		}
	}
	return list
}

func isWellKnown(d protoreflect.Descriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// enumNames lists an enum's names, and the numbers that JSON may have in their place.
func enumNames(d protoreflect.EnumDescriptor) (list []field) {
	for i := range d.Values().Len() {
		v := d.Values().Get(i)
		list = append(list, field{Name: string(v.Name()), Type: strconv.Itoa(int(v.Number()))})
	}
	return list
}

// messageType is a field's type as a .proto file has it.
func messageType(f protoreflect.FieldDescriptor) string {
	switch {
	case f.IsMap():
		return "map<" + messageType(f.MapKey()) + ", " + messageType(f.MapValue()) + ">"
	case f.IsList():
		return "repeated " + kindName(f)
	case f.ContainingOneof() != nil && !f.HasOptionalKeyword():
		return kindName(f) + ", one of " + string(f.ContainingOneof().Name())
	}
	return kindName(f)
}

func kindName(f protoreflect.FieldDescriptor) string {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return string(f.Message().FullName())
	case protoreflect.EnumKind:
		return string(f.Enum().FullName())
	}
	return f.Kind().String()
}
