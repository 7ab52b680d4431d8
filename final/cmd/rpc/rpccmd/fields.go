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
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return usagef("params are not JSON: %w", err)
	}
	err := error(nil)
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

// check looks at the value at path, which is to become a type of that name.
func (c *fieldChecker) check(name, path string, value any) error {
	t := c.types[name]
	if t.GetJsonEncoding() != "" {
		return nil // the type's own code reads it
	}
	switch t.GetKind() {
	case "pointer":
		return c.check(t.GetElem(), path, value)
	case "slice", "array":
		return eachElement(path, value, func(path string, v any) error { return c.check(t.GetElem(), path, v) })
	case "map":
		return eachMember(path, value, func(_, path string, v any) error { return c.check(t.GetElem(), path, v) })
	case "struct":
		known := map[string]string{}
		c.members(t, known, map[string]bool{})
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

// members adds a struct's fields and the types that they have, with those of
// embedded structs, to known.
func (c *fieldChecker) members(t *introspect.Type, known map[string]string, inside map[string]bool) {
	if inside[t.GetName()] {
		return
	}
	inside[t.GetName()] = true
	for _, f := range t.GetFields() {
		switch {
		case f.GetInline():
			c.members(c.types[strings.TrimPrefix(f.GetType(), "*")], known, inside)
		case f.GetName() != "":
			if _, outer := known[f.GetName()]; !outer {
				known[f.GetName()] = f.GetType()
			}
		}
	}
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

// eachMember calls f for the members of a JSON object, sorted, with their paths.
// Anything else has none.
func eachMember(path string, value any, f func(key, path string, v any) error) error {
	object, _ := value.(map[string]any)
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if err := f(key, strings.TrimPrefix(path+"."+key, "."), object[key]); err != nil {
			return err
		}
	}
	return nil
}

// eachElement is eachMember for arrays.
func eachElement(path string, value any, f func(path string, v any) error) error {
	array, _ := value.([]any)
	for i, v := range array {
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
