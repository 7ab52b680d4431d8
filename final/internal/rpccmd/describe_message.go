package rpccmd

import (
	"fmt"
	"io"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
)

// messageTable is what a description says of messages: their descriptors have the
// names in JSON, and the fields of oneofs, which Go hides behind an interface.
type messageTable struct {
	messageChecker
	goNames map[string]string // by the message's full name
	oneofs  map[string]bool   // names of the interfaces
}

func describedMessages(messages messageChecker, types []*introspect.Type) messageTable {
	table := messageTable{messages, map[string]string{}, map[string]bool{}}
	byName := map[string]*introspect.Type{}
	for _, t := range types {
		byName[t.GetName()] = t
	}
	for _, t := range types {
		if messages.find(t.GetMessage()) == nil {
			continue
		}
		table.goNames[t.GetMessage()] = t.GetName()
		for _, f := range t.GetFields() {
			if f.GetNumber() == 0 && byName[f.GetType()].GetKind() == "interface" {
				table.oneofs[f.GetType()] = true
			}
		}
	}
	return table
}

// print prints a message with its fields.
func (mt *messageTable) print(w io.Writer, t *introspect.Type) {
	desc := mt.find(t.GetMessage())
	plaintext.Fprintf(w, "\n%s  message %s%s\n", t.GetName(), t.GetMessage(), jsonOf(t.GetMessage()))
	byNumber := map[protoreflect.FieldNumber]*introspect.Field{}
	for _, f := range t.GetFields() {
		byNumber[protoreflect.FieldNumber(f.GetNumber())] = f
	}
	for i := range desc.Fields().Len() {
		if f := byNumber[desc.Fields().Get(i).Number()]; f != nil || !hasOwnJSON(t.GetMessage()) {
			mt.printField(w, desc.Fields().Get(i), f)
		}
	}
}

// printField prints a field by its name in JSON. There is no Go field for one of a oneof.
func (mt *messageTable) printField(w io.Writer, desc protoreflect.FieldDescriptor, f *introspect.Field) {
	name := desc.JSONName()
	if f == nil {
		f = &introspect.Field{GoName: name, Type: mt.typeOf(desc), Number: int32(desc.Number())}
	}
	notes := []string{fieldNotes(&introspect.Field{Name: name, GoName: f.GetGoName(), Number: f.GetNumber(), Omitempty: f.GetOmitempty()})}
	if oneof := desc.ContainingOneof(); oneof != nil && !oneof.IsSynthetic() {
		notes = append(notes, "one of "+string(oneof.Name()))
	}
	if enum := enumOf(desc); enum != nil {
		notes = append(notes, "in JSON "+listed(enumNames(enum)))
	}
	if hasOwnJSON(string(desc.ContainingMessage().FullName())) {
		name = "-"
	}
	plaintext.Fprintf(w, "  %s\t%s\t%s\n", name, f.GetType(), strings.Join(notes, ", "))
}

// typeOf returns the type of a field in Go's words.
func (mt *messageTable) typeOf(desc protoreflect.FieldDescriptor) string {
	switch {
	case desc.IsMap():
		return fmt.Sprintf("map[%s]%s", mt.elemOf(desc.MapKey()), mt.elemOf(desc.MapValue()))
	case desc.IsList():
		return "[]" + mt.elemOf(desc)
	}
	return mt.elemOf(desc)
}

func (mt *messageTable) elemOf(desc protoreflect.FieldDescriptor) string {
	switch {
	case desc.Enum() != nil:
		return string(desc.Enum().FullName())
	case desc.Message() == nil:
		return desc.Kind().String()
	}
	name := string(desc.Message().FullName())
	if goName := mt.goNames[name]; goName != "" {
		return "*" + goName
	}
	return name
}

// enumOf returns the enum that a field, its elements or its values are; nil if none.
func enumOf(desc protoreflect.FieldDescriptor) protoreflect.EnumDescriptor {
	if desc.IsMap() {
		return desc.MapValue().Enum()
	}
	return desc.Enum()
}

// jsonOf says what the JSON of a message is, if not an object of its fields.
func jsonOf(message string) string {
	switch name := strings.TrimPrefix(message, "google.protobuf."); {
	case !hasOwnJSON(message):
		return ""
	case name == "Timestamp":
		return `, in JSON "2006-01-02T15:04:05Z"`
	case name == "Duration":
		return `, in JSON "1.5s"`
	case name == "FieldMask":
		return `, in JSON "oneField,other.field"`
	case name == "Any":
		return `, in JSON {"@type": "type.googleapis.com/NAME", and the fields of that message}`
	case name == "Empty":
		return ", in JSON {}"
	case name == "Struct":
		return ", in JSON any object"
	case name == "ListValue":
		return ", in JSON any array"
	case name == "Value":
		return ", in JSON anything"
	}
	return ", in JSON its value alone, or null"
}
