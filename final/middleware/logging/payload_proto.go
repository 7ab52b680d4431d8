package logging

import (
	"reflect"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/anypb"

	"example.com/rpc-from-scratch/final/internal/protonest"
)

// redacted stands for the fields that their .proto file marks with debug_redact.
const redacted = "[redacted]"

// plainTypes are the messages that JSON has a form of its own for, and in which there
// is nothing to redact: they hold no messages but one another.
var plainTypes = []protoreflect.FullName{
	"google.protobuf.Timestamp", "google.protobuf.Duration", "google.protobuf.FieldMask", "google.protobuf.Empty",
	"google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue",
	"google.protobuf.BoolValue", "google.protobuf.StringValue", "google.protobuf.BytesValue",
	"google.protobuf.FloatValue", "google.protobuf.DoubleValue",
	"google.protobuf.Int32Value", "google.protobuf.Int64Value", "google.protobuf.UInt32Value", "google.protobuf.UInt64Value",
}

// message writes a message in protobuf's JSON.
func (p *painter) message(m protoreflect.Message) {
	switch name := m.Descriptor().FullName(); {
	case name == "google.protobuf.Any":
		p.any(m)
	case slices.Contains(plainTypes, name):
		message := m.Interface()
		p.json(reflect.ValueOf(message), func() ([]byte, error) {
			if err := protonest.Check(message); err != nil {
				return nil, err
			}
			return protojson.Marshal(message)
		})
	default:
		var members []member
		for _, f := range setFields(m) {
			members = append(members, member{quote(nameOf(f), p.limit), func() { p.field(f, m.Get(f)) }})
		}
		p.object(members)
	}
}

// any writes what is in an Any, if its type is known here.
func (p *painter) any(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	a := &anypb.Any{TypeUrl: m.Get(fields.ByName("type_url")).String(), Value: m.Get(fields.ByName("value")).Bytes()}
	members := []member{{`"@type"`, func() { p.string(a.GetTypeUrl()) }}}
	if inner, err := a.UnmarshalNew(); err == nil {
		members = append(members, member{`"value"`, func() { p.value(reflect.ValueOf(inner)) }})
	}
	p.object(members)
}

func nameOf(f protoreflect.FieldDescriptor) string {
	if f.IsExtension() {
		return f.TextName()
	}
	return f.JSONName()
}

// setFields lists the fields that m has, in their order, extensions last.
func setFields(m protoreflect.Message) []protoreflect.FieldDescriptor {
	var own, extensions []protoreflect.FieldDescriptor
	m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if f.IsExtension() {
			extensions = append(extensions, f)
		} else {
			own = append(own, f)
		}
		return true
	})
	slices.SortFunc(own, func(a, b protoreflect.FieldDescriptor) int { return a.Index() - b.Index() })
	slices.SortFunc(extensions, func(a, b protoreflect.FieldDescriptor) int { return int(a.Number() - b.Number()) })
	return append(own, extensions...)
}

func (p *painter) field(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	options, _ := f.Options().(*descriptorpb.FieldOptions)
	switch {
	case options.GetDebugRedact():
		p.string(redacted)
	case f.IsList():
		p.list(v.List().Len(), func(i int) { p.single(f, v.List().Get(i)) })
	case f.IsMap():
		var members []member
		room := max(p.limit, keyBytes)
		v.Map().Range(func(key protoreflect.MapKey, v protoreflect.Value) bool {
			members = append(members, member{quote(key.String(), p.limit), func() { p.single(f.MapValue(), v) }})
			room -= len(key.String()) + 1
			return room > 0
		})
		p.object(sorted(members))
	default:
		p.single(f, v)
	}
}

// single writes one value of a field.
func (p *painter) single(f protoreflect.FieldDescriptor, v protoreflect.Value) {
	switch f.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		p.value(reflect.ValueOf(v.Message().Interface()))
	case protoreflect.EnumKind:
		if known := f.Enum().Values().ByNumber(v.Enum()); known != nil {
			p.string(string(known.Name()))
			return
		}
		p.write(strconv.Itoa(int(v.Enum())))
	case protoreflect.BytesKind:
		p.base64(v.Bytes())
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		p.string(v.String())
	default:
		p.value(reflect.ValueOf(v.Interface()))
	}
}
