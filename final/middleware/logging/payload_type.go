package logging

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/json"
	"log/slog"
	"reflect"
	"slices"

	"example.com/rpc-from-scratch/final/internal/jsontag"
	"example.com/rpc-from-scratch/final/internal/values"
)

// ownMethods are the interfaces of types that say themselves how they are shown.
// Messages do, too.
var ownMethods = []reflect.Type{
	reflect.TypeFor[slog.LogValuer](), reflect.TypeFor[json.Marshaler](),
	reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[error](),
}

// ownKind reports whether values of t are shown by methods of their type, or of
// its pointer.
func ownKind(t reflect.Type) bool {
	return t == reflect.TypeFor[slog.Value]() || isMessage(t) || slices.ContainsFunc(ownMethods, func(m reflect.Type) bool { return has(t, m) })
}

// isMessage reports whether t or its pointer is the type of a message.
func isMessage(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		t = reflect.PointerTo(t)
	}
	return values.IsMessage(t)
}

// has reports whether t or its pointer has an interface's methods.
func has(t, methods reflect.Type) bool {
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		t = reflect.PointerTo(t)
	}
	return t.Implements(methods)
}

// methods returns v, or a pointer to it or to a copy, as an M, if its type is one.
func methods[M any](v reflect.Value) (m M, ok bool) {
	if !v.IsValid() || isNil(v) || !v.CanInterface() || !has(v.Type(), reflect.TypeFor[M]()) {
		return m, false
	}
	if v.Kind() != reflect.Pointer {
		if !v.CanAddr() {
			fresh := reflect.New(v.Type()).Elem()
			fresh.Set(v)
			v = fresh
		}
		v = v.Addr()
	}
	m, ok = v.Interface().(M)
	return m, ok
}

// mayHold reports whether a slog.LogValuer may be in a value of t: in a field,
// exported or not, an element, an interface, or what a function in it returns.
func mayHold(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	if has(t, reflect.TypeFor[slog.LogValuer]()) {
		return true
	}
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Map:
		return mayHold(t.Key(), seen) || mayHold(t.Elem(), seen)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Chan:
		return mayHold(t.Elem(), seen)
	case reflect.Func:
		for i := range t.NumOut() {
			if mayHold(t.Out(i), seen) {
				return true
			}
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if mayHold(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

// field is a struct's field as encoding/json sees it.
type field struct {
	name      string
	index     []int
	named     bool // by a tag
	omitEmpty bool
	omitZero  bool
	quoted    bool
}

// fieldsOf lists what JSON shows of a struct, embedded structs' fields in their
// place. Of several with one name it is the least deep one, if need be the one
// that is named by a tag, or none: a program may hide a field like that.
func fieldsOf(t reflect.Type) []field {
	all := appendFields(nil, t, nil, nil)
	best := map[string][]field{}
	for _, f := range all {
		rivals := best[f.name]
		switch {
		case len(rivals) == 0 || f.rank(rivals[0]) < 0:
			best[f.name] = []field{f}
		case f.rank(rivals[0]) == 0:
			best[f.name] = append(rivals, f)
		}
	}
	return slices.DeleteFunc(all, func(f field) bool {
		winners := best[f.name]
		return len(winners) > 1 || !slices.Equal(winners[0].index, f.index)
	})
}

// rank is below 0 if f goes before other.
func (f field) rank(other field) int {
	if order := cmp.Compare(len(f.index), len(other.index)); order != 0 || f.named == other.named {
		return order
	}
	if f.named {
		return -1
	}
	return 1
}

func appendFields(list []field, t reflect.Type, index []int, outer []reflect.Type) []field {
	if slices.Contains(outer, t) {
		return list // embedded in itself
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := jsontag.Of(f)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		structure := f.Anonymous && inner.Kind() == reflect.Struct
		at := append(slices.Clip(index), i)
		switch {
		case tag.Skip || !f.IsExported() && !structure:
		case structure && tag.Name == "" && !ownKind(inner):
			list = appendFields(list, inner, at, append(slices.Clip(outer), t))
		default:
			list = append(list, newField(f, tag, at))
		}
	}
	return list
}

func newField(f reflect.StructField, tag jsontag.Tag, index []int) field {
	return field{
		name:      cmp.Or(tag.Name, f.Name),
		index:     index,
		named:     tag.Name != "",
		omitEmpty: tag.OmitEmpty,
		omitZero:  tag.OmitZero,
		quoted:    tag.Quoted && !ownKind(f.Type),
	}
}

// of returns f of a struct, or false if it is left out.
func (f field) of(v reflect.Value) (reflect.Value, bool) {
	for i, at := range f.index {
		if i > 0 && v.Kind() == reflect.Pointer {
			if v.IsNil() {
				return v, false
			}
			v = v.Elem()
		}
		v = v.Field(at)
	}
	return v, !(f.omitEmpty && isEmpty(v) || f.omitZero && isZero(v))
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Array, reflect.Map, reflect.Slice, reflect.String:
		return v.Len() == 0
	case reflect.Struct:
		return false
	}
	return v.IsZero()
}

// isZero asks v itself, if it has a method for that.
func isZero(v reflect.Value) bool {
	if z, ok := methods[interface{ IsZero() bool }](v); ok {
		return z.IsZero()
	}
	return v.IsZero()
}

// compact returns JSON without white space, or an error if it is none.
func compact(data []byte) ([]byte, error) {
	var b bytes.Buffer
	err := json.Compact(&b, data)
	return b.Bytes(), err
}
