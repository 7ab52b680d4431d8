package rpccmd

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"example.com/rpc-from-scratch/final/introspect"
)

// messageChecker looks at JSON by the rules of protobuf. Servers drop the fields and the
// names of enums that they do not know, as a newer client may send them.
type messageChecker struct {
	files *protoregistry.Files // nil: no message is known, and everything passes
}

// newMessageChecker returns one for the messages that the server has described.
func newMessageChecker(d *introspect.DescribeReply) messageChecker {
	files, err := protobufFiles(d)
	if err != nil {
		return messageChecker{}
	}
	return messageChecker{files}
}

// find returns the message of that name; nil if it was not described.
func (c messageChecker) find(name string) protoreflect.MessageDescriptor {
	if c.files == nil || name == "" {
		return nil
	}
	d, err := c.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil
	}
	desc, _ := d.(protoreflect.MessageDescriptor)
	return desc
}

// check looks at the value at path, which is to become a message of that name. What
// it does not know, it lets pass.
func (c messageChecker) check(name, path string, value any) error {
	switch {
	case name == "google.protobuf.Any":
		return c.checkAny(path, value)
	case name == "google.protobuf.Empty":
		return eachMember(path, value, func(key, path string, _ any) error { return unknownField(path, name, key, nil) })
	case hasOwnJSON(name):
		return nil // a text or a number, or an object with any keys
	}
	desc := c.find(name)
	if desc == nil {
		return nil
	}
	return eachMember(path, value, func(key, path string, v any) error { return c.checkMember(desc, key, path, v) })
}

func (c messageChecker) checkMember(desc protoreflect.MessageDescriptor, key, path string, v any) error {
	field := desc.Fields().ByJSONName(key)
	if field == nil {
		field = desc.Fields().ByTextName(key)
	}
	switch {
	case strings.HasPrefix(key, "[") && desc.ExtensionRanges().Len() > 0:
		return nil // an extension, of which the server may know more
	case field == nil:
		return unknownField(path, string(desc.FullName()), key, jsonNames(desc))
	case field.IsMap():
		return eachMember(path, v, func(_, path string, v any) error { return c.checkValue(field.MapValue(), path, v) })
	case field.IsList():
		return eachElement(path, v, func(path string, v any) error { return c.checkValue(field, path, v) })
	}
	return c.checkValue(field, path, v)
}

// checkValue looks at one value, also of a list or a map.
func (c messageChecker) checkValue(field protoreflect.FieldDescriptor, path string, v any) error {
	if field.Message() != nil {
		return c.check(string(field.Message().FullName()), path, v)
	}
	name, isText := v.(string)
	if field.Enum() == nil || !isText {
		return nil // a number, which need not have a name
	}
	if field.Enum().Values().ByName(protoreflect.Name(name)) == nil {
		return unknownName(path, field.Enum(), name)
	}
	return nil
}

// checkAny looks at the members of an Any. They are those of the message that @type
// names, or @type and a value if that message has a JSON of its own.
func (c messageChecker) checkAny(path string, value any) error {
	name, typed := anyType(value)
	return eachMember(path, value, func(key, path string, v any) error {
		switch {
		case key == "@type":
			return nil
		case !typed:
			return unknownField(path, "google.protobuf.Any without a type", key, []string{"@type"})
		case !hasOwnJSON(name):
			if desc := c.find(name); desc != nil {
				return c.checkMember(desc, key, path, v)
			}
			return nil
		case key != "value":
			return unknownField(path, name+" in a google.protobuf.Any", key, []string{"@type", "value"})
		}
		return c.check(name, path, v)
	})
}

// anyType returns the name of the message in an Any: what follows the last slash of @type.
func anyType(value any) (name string, typed bool) {
	members, _ := value.([]member)
	for _, m := range members {
		if url, isText := m.value.(string); isText && m.key == "@type" {
			return url[strings.LastIndexByte(url, '/')+1:], true
		}
	}
	return "", false
}

// withOwnJSON are the messages of google.protobuf whose JSON does not consist of their
// fields.
var withOwnJSON = []string{
	"Any", "Empty", "Timestamp", "Duration", "FieldMask", "Struct", "ListValue", "Value",
	"BoolValue", "Int32Value", "Int64Value", "UInt32Value", "UInt64Value", "FloatValue", "DoubleValue", "StringValue", "BytesValue",
}

func hasOwnJSON(name string) bool {
	name, found := strings.CutPrefix(name, "google.protobuf.")
	return found && slices.Contains(withOwnJSON, name)
}

func jsonNames(desc protoreflect.MessageDescriptor) (names []string) {
	for i := range desc.Fields().Len() {
		names = append(names, desc.Fields().Get(i).JSONName())
	}
	return names
}

// unknownName names what is no value of an enum, where it is, and those that there are.
func unknownName(path string, enum protoreflect.EnumDescriptor, name string) error {
	known := enumNames(enum)
	return fmt.Errorf("unknown name %q (%s): %s", name, path, offer(string(enum.FullName()), name, known))
}

func enumNames(enum protoreflect.EnumDescriptor) (names []string) {
	for i := range enum.Values().Len() {
		names = append(names, string(enum.Values().Get(i).Name()))
	}
	return names
}
