package introspect

import (
	"cmp"
	"reflect"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/jsontag"
)

// describeField tells all of a field but its type, and whether any codec sends
// it. Names follow encoding/json, the number protobuf's generated tag.
func describeField(f reflect.StructField) (*Field, bool) {
	if !f.IsExported() && !inlined(f) {
		return nil, false
	}
	tag := jsontag.Of(f)
	d := &Field{
		GoName:    f.Name,
		Inline:    inlined(f),
		Omitempty: tag.OmitEmpty || tag.OmitZero,
		Quoted:    tag.Quoted,
		Number:    protobufNumber(f),
	}
	if !d.Inline && !tag.Skip {
		d.Name = cmp.Or(tag.Name, f.Name)
	}
	return d, true
}

// inlined reports whether JSON takes f's fields for those of the outer struct.
func inlined(f reflect.StructField) bool {
	if tag := jsontag.Of(f); !f.Anonymous || tag.Skip || tag.Name != "" {
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
