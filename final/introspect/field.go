package introspect

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// describeField tells all of a field but its type, and whether any codec sends
// it. Names follow encoding/json, the number protobuf's generated tag.
func describeField(f reflect.StructField) (*Field, bool) {
	if !f.IsExported() && !inlined(f) {
		return nil, false
	}
	name, options := jsonTag(f)
	d := &Field{
		Name:      name,
		GoName:    f.Name,
		Inline:    inlined(f),
		Omitempty: slices.Contains(options, "omitempty") || slices.Contains(options, "omitzero"),
		Quoted:    slices.Contains(options, "string"),
		Number:    protobufNumber(f),
	}
	if d.Inline {
		d.Name = ""
	}
	return d, true
}

// inlined reports whether JSON takes f's fields for those of the outer struct.
func inlined(f reflect.StructField) bool {
	if !f.Anonymous || tagged(f) {
		return false
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		if !f.IsExported() {
			return false // encoding/json cannot set it
		}
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && jsonEncoding(t) == ""
}

// tagged reports whether the tag names f, be it "-".
func tagged(f reflect.StructField) bool {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name != ""
}

// jsonTag returns f's name in JSON, "" if JSON leaves it out, and the tag's options.
func jsonTag(f reflect.StructField) (name string, options []string) {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return "", nil
	}
	name, rest, _ := strings.Cut(tag, ",")
	if name == "" {
		name = f.Name
	}
	return name, strings.Split(rest, ",")
}

// protobufNumber reads the tag of generated code: "bytes,1,opt,name=item".
func protobufNumber(f reflect.StructField) int32 {
	parts := strings.Split(f.Tag.Get("protobuf"), ",")
	if len(parts) < 2 {
		return 0
	}
	n, err := strconv.ParseInt(parts[1], 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}
