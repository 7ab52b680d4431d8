package rpccmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

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
	c := &fieldChecker{typesByName(d), newMessageChecker(d)}
	if asMessage {
		err = c.messages.check(d.GetParamsMessage(), "", value)
	} else {
		err = c.check(d.GetMethod().GetParams(), "", value)
	}
	if err != nil {
		return hint(usagef("params of %s: %w", d.GetMethod().GetName(), err), "-allow-unknown sends them all the same")
	}
	return nil
}

// fieldChecker looks at JSON by the rules of encoding/json.
type fieldChecker struct {
	types    map[string]*introspect.Type
	messages messageChecker
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
	if t.GetMessage() != "" {
		return c.messages.check(t.GetMessage(), path, value)
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

// A member is one of a JSON object, which is a []member, so that the first of two
// with one name is looked at as well: JSON reads both.
type member struct {
	key   string
	value any
}

// parseValue reads a JSON value: a []member, a []any, a string, or nil, since nothing
// else has fields or names.
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
	if text, isText := token.(string); isText {
		return text, nil
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
	text := fmt.Sprintf("unknown field %q", key)
	if path != key {
		text += " (" + path + ")"
	}
	if len(known) == 0 {
		return fmt.Errorf("%s: %s has no fields", text, typeName)
	}
	return fmt.Errorf("%s: %s", text, offer(typeName, key, known))
}

// offer says what a type has instead of what was written.
func offer(typeName, written string, known []string) string {
	slices.Sort(known)
	text := typeName + " has " + listed(known)
	if near := nearest(written, known); near != "" {
		text += "; did you mean " + near + "?"
	}
	return text
}

// mostListed bounds how many names an error or a description shows: a server can have
// any number.
const mostListed = 40

func listed(names []string) string {
	if more := len(names) - mostListed; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:mostListed], ", "), more)
	}
	return strings.Join(names, ", ")
}
