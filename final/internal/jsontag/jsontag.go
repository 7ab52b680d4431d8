// Package jsontag reads the json tags of fields as encoding/json does.
package jsontag

import (
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Tag is what encoding/json takes from a field's json tag.
type Tag struct {
	Name      string // "" if the tag gives none, or one that encoding/json ignores
	Skip      bool   // "-": the field is left out
	OmitEmpty bool
	OmitZero  bool
	Quoted    bool // the option string, where it has an effect
}

// Of returns the tag of f.
func Of(f reflect.StructField) Tag {
	tag := f.Tag.Get("json")
	if tag == "-" {
		return Tag{Skip: true}
	}
	name, rest, _ := strings.Cut(tag, ",")
	if strings.ContainsFunc(name, isReserved) {
		name = ""
	}
	options := strings.Split(rest, ",")
	return Tag{
		Name:      name,
		OmitEmpty: slices.Contains(options, "omitempty"),
		OmitZero:  slices.Contains(options, "omitzero"),
		Quoted:    slices.Contains(options, "string") && isScalar(f.Type),
	}
}

// isReserved reports whether a name with r is no name: quotes, a backslash, and
// characters that are neither letters, digits nor the punctuation of ASCII.
func isReserved(r rune) bool {
	return !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", r) && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}

// isScalar reports whether t, or what t points to, is a text, a number or a bool.
func isScalar(t reflect.Type) bool {
	if t.Name() == "" && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.Kind() >= reflect.Bool && t.Kind() <= reflect.Float64 || t.Kind() == reflect.String
}
