package rpccmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/introspect"
)

// checkFields refuses fields that the described method's params do not have: a
// server ignores them, so a misspelt one would look like one that was left out.
// What it cannot know, it lets pass, and the types of values it leaves to the server.
func checkFields(d *introspect.DescribeReply, params json.RawMessage, asMessage bool) error {
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.UseNumber() // whether a number fits is for its type to say
	value, err := parseValue(dec)
	if err != nil {
		return usagef("params are not JSON: %w", err)
	}
	if desc := paramsMessage(d, asMessage); desc != nil {
		err = checkMessage(desc, "", value)
	} else {
		err = (&fieldChecker{typesByName(d)}).check(d.GetMethod().GetParams(), "", value)
	}
	if err != nil {
		return hint(usagef("params of %s: %w", d.GetMethod().GetName(), err), "-allow-unknown sends them all the same")
	}
	return nil
}

// paramsMessage returns the message that params are in JSON; nil if they are a Go
// type. With the protobuf codec both are messages.
func paramsMessage(d *introspect.DescribeReply, asMessage bool) protoreflect.MessageDescriptor {
	own := typesByName(d)[d.GetMethod().GetParams()].GetJsonEncoding() == "own"
	if d.GetParamsMessage() == "" || !own && !asMessage {
		return nil
	}
	files, err := protobufFiles(d)
	if err != nil {
		return nil
	}
	desc, err := findMessage(files, "params", d.GetMethod().GetParams(), d.GetParamsMessage())
	if err != nil {
		return nil
	}
	return desc
}

// fieldChecker looks at JSON by the rules of encoding/json.
type fieldChecker struct {
	types map[string]*introspect.Type
}

// maxPointers bounds how far a chain of pointers is followed: a server can describe
// one that leads back to itself.
const maxPointers = 100

// check looks at the value at path, which is to become a type of that name.
func (c *fieldChecker) check(name, path string, value any) error {
	t := c.types[name]
	for n := 0; t.GetKind() == "pointer" && n < maxPointers; n++ {
		t = c.types[t.GetElem()]
	}
	if t.GetJsonEncoding() != "" {
		return nil // the type's own code reads it
	}
	switch t.GetKind() {
	case "slice", "array":
		return eachElement(path, value, func(path string, v any) error { return c.check(t.GetElem(), path, v) })
	case "map":
		return eachMember(path, value, func(_, path string, v any) error { return c.check(t.GetElem(), path, v) })
	case "struct":
		known := fieldTypes(c.types, t)
		return eachMember(path, value, func(key, path string, v any) error {
			field, ok := foldKey(known, key)
			if !ok {
				return unknownField(path, t.GetName(), key, slices.Collect(maps.Keys(known)))
			}
			return c.check(field, path, v)
		})
	}
	return nil
}

// fieldTypes returns a struct's fields in JSON and the names of their types, with
// those of embedded structs. Of two with one name the less deeply embedded counts.
func fieldTypes(types map[string]*introspect.Type, t *introspect.Type) map[string]string {
	known := map[string]string{}
	seen := map[*introspect.Type]bool{t: true}
	for level := []*introspect.Type{t}; len(level) > 0; {
		var next []*introspect.Type
		here := map[string][]*introspect.Field{}
		for _, t := range level {
			for _, f := range t.GetFields() {
				if f.GetInline() {
					if inner := embedded(types, f); inner != nil && !seen[inner] {
						seen[inner] = true
						next = append(next, inner)
					}
				} else if f.GetName() != "" {
					here[f.GetName()] = append(here[f.GetName()], f)
				}
			}
		}
		for name, fields := range here {
			if _, outer := known[name]; !outer {
				known[name] = dominant(fields)
			}
		}
		level = next
	}
	return known
}

// dominant returns the type of the field that JSON takes of several with one name
// and depth. Only encoding/json sees whether a tag repeats the Go name: where that
// decides, the type is "", and any value passes.
func dominant(fields []*introspect.Field) string {
	if len(fields) > 1 {
		fields = slices.DeleteFunc(fields, func(f *introspect.Field) bool { return f.GetName() == f.GetGoName() })
	}
	if len(fields) != 1 {
		return ""
	}
	return fields[0].GetType()
}

// embedded returns the struct that an inline field is, or points to; nil if it was
// not described.
func embedded(types map[string]*introspect.Type, f *introspect.Field) *introspect.Type {
	t := types[f.GetType()]
	if t.GetKind() == "pointer" {
		return types[t.GetElem()]
	}
	return t
}

// foldKey finds a key as encoding/json does: exactly, else whatever its case.
func foldKey(known map[string]string, key string) (string, bool) {
	if field, ok := known[key]; ok {
		return field, true
	}
	for name, field := range known {
		if strings.EqualFold(name, key) {
			return field, true
		}
	}
	return "", false
}

// checkMessage looks at JSON by the rules of protobuf.
func checkMessage(desc protoreflect.MessageDescriptor, path string, value any) error {
	if strings.HasPrefix(string(desc.FullName()), "google.protobuf.") {
		return nil // well-known types have JSON of their own
	}
	return eachMember(path, value, func(key, path string, v any) error {
		field := desc.Fields().ByJSONName(key)
		if field == nil {
			field = desc.Fields().ByTextName(key)
		}
		switch {
		case strings.HasPrefix(key, "["): // an extension
			return nil
		case field == nil:
			return unknownField(path, string(desc.FullName()), key, jsonNames(desc))
		case field.IsMap():
			inner := field.MapValue().Message()
			return eachMember(path, v, func(_, path string, v any) error { return checkInner(inner, path, v) })
		case field.IsList():
			return eachElement(path, v, func(path string, v any) error { return checkInner(field.Message(), path, v) })
		}
		return checkInner(field.Message(), path, v)
	})
}

func checkInner(desc protoreflect.MessageDescriptor, path string, value any) error {
	if desc == nil {
		return nil // a number, a text, an enum
	}
	return checkMessage(desc, path, value)
}

func jsonNames(desc protoreflect.MessageDescriptor) (names []string) {
	for i := range desc.Fields().Len() {
		names = append(names, desc.Fields().Get(i).JSONName())
	}
	return names
}

// A member is one of a JSON object, which is a []member, so that the first of two
// with one name is looked at as well: JSON reads both.
type member struct {
	key   string
	value any
}

// parseValue reads a JSON value: a []member, a []any, or nil, since nothing else
// has fields.
func parseValue(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	var members []member
	var elements []any
	for (token == json.Delim('{') || token == json.Delim('[')) && dec.More() {
		var key any
		if token == json.Delim('{') {
			if key, err = dec.Token(); err != nil {
				return nil, err
			}
		}
		value, err := parseValue(dec)
		if err != nil {
			return nil, err
		}
		if name, named := key.(string); named {
			members = append(members, member{name, value})
		} else {
			elements = append(elements, value)
		}
	}
	switch token {
	case json.Delim('{'):
		_, err = dec.Token() // its end
		return members, err
	case json.Delim('['):
		_, err = dec.Token()
		return elements, err
	}
	return nil, nil
}

// eachMember calls f for the members of a JSON object, in order, with their paths.
// Anything else has none.
func eachMember(path string, value any, f func(key, path string, v any) error) error {
	members, _ := value.([]member)
	for _, m := range members {
		if err := f(m.key, strings.TrimPrefix(path+"."+m.key, "."), m.value); err != nil {
			return err
		}
	}
	return nil
}

// eachElement is eachMember for arrays.
func eachElement(path string, value any, f func(path string, v any) error) error {
	elements, _ := value.([]any)
	for i, v := range elements {
		if err := f(path+"["+strconv.Itoa(i)+"]", v); err != nil {
			return err
		}
	}
	return nil
}

// unknownField names the field, where it is, and those that there are.
func unknownField(path, typeName, key string, known []string) error {
	slices.Sort(known)
	text := fmt.Sprintf("unknown field %q", key)
	if path != key {
		text += " (" + path + ")"
	}
	if len(known) == 0 {
		return fmt.Errorf("%s: %s has no fields", text, typeName)
	}
	text = fmt.Sprintf("%s: %s has %s", text, typeName, strings.Join(known, ", "))
	if near := nearest(key, known); near != "" {
		text += "; did you mean " + near + "?"
	}
	return fmt.Errorf("%s", text)
}
