package rpccmd

import (
	"bytes"
	"encoding/json"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/dynamicpb"

	"example.com/rpc-from-scratch/final/introspect"
)

// sample returns params for the described method in which every field is zero,
// and every slice and map has one element. A slice of strings is empty: an empty string is
// rarely one of a list's.
func sample(d *introspect.DescribeReply) string {
	s := &sampler{types: typesByName(d), messages: newMessageChecker(d), inside: map[string]bool{}, room: maxValues}
	return s.value(d.GetMethod().GetParams())
}

// message returns a message with every field but those of oneofs, in protobuf's JSON;
// null if it was not described, or there is no room.
func (s *sampler) message(name string) string {
	desc := s.messages.find(name)
	if desc == nil {
		return "null"
	}
	text, err := protojson.MarshalOptions{EmitUnpopulated: true, AllowPartial: true}.Marshal(dynamicpb.NewMessage(desc))
	if err != nil {
		return "null"
	}
	var b bytes.Buffer
	if json.Compact(&b, text) != nil || !s.fits(b.Len()) {
		return "null"
	}
	return b.String()
}

// fits takes room for text of so many bytes, and reports whether there was any. It
// counts as a value, and another for each 64 bytes.
func (s *sampler) fits(bytes int) bool {
	s.room -= 1 + bytes/64
	return s.room >= 0
}

// maxValues bounds the values in a sample, since the server says what is in what:
// thirty structs can describe a billion fields.
const maxValues = 10_000

type sampler struct {
	types    map[string]*introspect.Type
	messages messageChecker
	inside   map[string]bool // types that contain what is being made
	room     int             // for more values, and for the text of names and messages
}

func typesByName(d *introspect.DescribeReply) map[string]*introspect.Type {
	types := map[string]*introspect.Type{}
	for _, t := range d.GetTypes() {
		types[t.GetName()] = t
	}
	return types
}

// value returns a value of a type as JSON; of a type inside itself, or where there
// is no room left, null.
func (s *sampler) value(name string) string {
	if !s.fits(0) {
		return "null"
	}
	t := s.types[name]
	if t == nil {
		return zero(name)
	}
	if s.inside[name] {
		return "null"
	}
	s.inside[name] = true
	defer delete(s.inside, name)
	switch {
	case t.GetMessage() != "":
		return s.message(t.GetMessage())
	case name == "time.Time":
		return `"2006-01-02T15:04:05Z"`
	case t.GetJsonEncoding() == "text":
		return `""`
	case t.GetJsonEncoding() == "own":
		return "null"
	}
	return s.composite(t)
}

func (s *sampler) composite(t *introspect.Type) string {
	switch t.GetKind() {
	case "struct":
		return "{" + strings.Join(s.fields(t), ",") + "}"
	case "slice", "array":
		if t.GetKind() == "slice" && t.GetElem() == "string" {
			return "[]"
		}
		return "[" + s.value(t.GetElem()) + "]"
	case "map":
		return "{" + s.key(t.GetKey()) + ":" + s.value(t.GetElem()) + "}"
	case "pointer":
		return s.value(t.GetElem())
	}
	return zero(t.GetKind())
}

// fields returns a struct's members, those of embedded ones among them.
func (s *sampler) fields(t *introspect.Type) []string {
	var members []string
	for _, f := range t.GetFields() {
		if !s.fits(len(f.GetName())) {
			break
		}
		switch {
		case f.GetInline():
			if inner := embedded(s.types, f); inner != nil && !s.inside[inner.GetName()] {
				s.inside[inner.GetName()] = true
				members = append(members, s.fields(inner)...)
				delete(s.inside, inner.GetName())
			}
		case f.GetName() != "":
			members = append(members, quote(f.GetName())+":"+s.member(f))
		}
	}
	return members
}

func (s *sampler) member(f *introspect.Field) string {
	value := s.value(f.GetType())
	if f.GetQuoted() && !isComposite(value) { // else encoding/json ignores the option
		return quote(value)
	}
	return value
}

// key returns a map's key: JSON has only strings there, and Go's maps no objects.
func (s *sampler) key(name string) string {
	value := s.value(name)
	switch {
	case isComposite(value):
		return `""`
	case strings.HasPrefix(value, `"`):
		return value
	}
	return quote(value)
}

// isComposite reports whether JSON is an object or an array. To quote one in another
// doubles its backslashes each time.
func isComposite(value string) bool {
	return strings.HasPrefix(value, "{") || strings.HasPrefix(value, "[")
}

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return `""` // a string is always encoded
	}
	return string(quoted)
}

// zero returns the zero value of a kind of Go's as JSON.
func zero(kind string) string {
	switch kind {
	case "string", "bytes":
		return `""`
	case "bool":
		return "false"
	case "int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "uintptr", "float32", "float64":
		return "0"
	}
	return "null"
}
