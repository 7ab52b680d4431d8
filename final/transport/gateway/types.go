package gateway

import (
	"cmp"
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/jsontag"
	"example.com/rpc-from-scratch/final/internal/values"
)

// structType is a struct as the page shows it.
type structType struct {
	Name   string
	Fields []field
}

// field is one that JSON knows.
type field struct {
	Name     string
	Type     string
	Optional bool
	Quoted   bool // in a string of its own
	typ      reflect.Type
}

// structsIn lists the structs that t is made of, t first, each once. To a message
// belong the messages and enums in it.
func structsIn(t reflect.Type) []structType {
	var list []structType
	seen, named := map[reflect.Type]bool{}, map[protoreflect.FullName]bool{}
	var visit func(t reflect.Type)
	visit = func(t reflect.Type) {
		if t == nil || seen[t] || makesItself(t) {
			return
		}
		seen[t] = true
		if m := messageOf(t); m != nil {
			d := m.ProtoReflect().Descriptor()
			list = append(list, structType{typeName(t), messageFields(d)})
			named[d.FullName()] = true
			list = appendInner(list, d, named)
			return
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			visit(t.Elem())
		case reflect.Struct:
			fields := fieldsOf(t)
			list = append(list, structType{typeName(t), fields})
			for _, f := range fields {
				visit(f.typ)
			}
		}
	}
	visit(t)
	return list
}

// fieldsOf lists what encoding/json makes of a struct's fields, those of
// embedded structs in their place.
func fieldsOf(t reflect.Type) []field { return appendFields(nil, t, 0) }

// deepest is how far structs are followed that contain themselves by embedding.
const deepest = 8

func appendFields(list []field, t reflect.Type, depth int) []field {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := jsontag.Of(f)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		embeds := f.Anonymous && tag.Name == "" && inner.Kind() == reflect.Struct && !makesItself(inner) && !values.IsMessage(reflect.PointerTo(inner))
		switch {
		case tag.Skip:
		case embeds && depth < deepest && (f.IsExported() || f.Type == inner): // encoding/json cannot set a pointer that is not exported
			list = appendFields(list, inner, depth+1)
		case f.IsExported() && !embeds:
			list = append(list, newField(f, tag))
		}
	}
	return list
}

func newField(f reflect.StructField, tag jsontag.Tag) field {
	return field{
		Name:     cmp.Or(tag.Name, f.Name),
		Type:     typeName(f.Type),
		Optional: tag.OmitEmpty || tag.OmitZero,
		Quoted:   tag.Quoted,
		typ:      f.Type,
	}
}

var ownEncoders = []reflect.Type{
	reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
	reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
}

// makesItself reports whether t's JSON is its own business: its fields say
// nothing about it.
func makesItself(t reflect.Type) bool {
	if t.Kind() == reflect.Pointer || t.Kind() == reflect.Interface {
		return false
	}
	return slices.ContainsFunc(ownEncoders, reflect.PointerTo(t).Implements)
}

// typeName is what a Go programmer calls t; nil is nothing.
func typeName(t reflect.Type) string {
	if t == nil {
		return ""
	}
	return strings.NewReplacer("interface {}", "any", "[]uint8", "[]byte").Replace(t.String())
}
