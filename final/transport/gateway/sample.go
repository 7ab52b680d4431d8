package gateway

import (
	"encoding/json"
	"reflect"
	"strings"
)

// sampleDepth is how deep a sample goes into a value.
const sampleDepth = 4

// sample returns JSON that a method with params of type t understands: each
// field once, with its zero value.
func sample(t reflect.Type) string {
	if t == nil {
		return ""
	}
	var b strings.Builder
	appendSample(&b, t, sampleDepth)
	return b.String()
}

func appendSample(b *strings.Builder, t reflect.Type, depth int) {
	if m := messageOf(t); m != nil {
		b.WriteString(messageSample(m))
		return
	}
	switch {
	case makesItself(t):
		b.WriteString(zeroJSON(t))
	case t.Kind() == reflect.Pointer && depth > 0:
		appendSample(b, t.Elem(), depth-1)
	case t.Kind() == reflect.Struct && depth > 0:
		appendStruct(b, t, depth-1)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		b.WriteString(`""`)
	case t.Kind() == reflect.Slice, t.Kind() == reflect.Array:
		b.WriteString("[]")
	case t.Kind() == reflect.Map:
		b.WriteString("{}")
	default:
		b.WriteString(zeroJSON(t))
	}
}

func appendStruct(b *strings.Builder, t reflect.Type, depth int) {
	b.WriteByte('{')
	for i, f := range fieldsOf(t) {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(f.Name)
		b.Write(name)
		b.WriteByte(':')
		if f.Quoted {
			value := f.typ
			if value.Kind() == reflect.Pointer {
				value = value.Elem()
			}
			text, _ := json.Marshal(zeroJSON(value))
			b.Write(text)
			continue
		}
		appendSample(b, f.typ, depth)
	}
	b.WriteByte('}')
}

// zeroJSON encodes t's zero value, by a user's code maybe.
func zeroJSON(t reflect.Type) (text string) {
	defer func() {
		if recover() != nil {
			text = "null"
		}
	}()
	data, err := json.Marshal(reflect.New(t).Interface())
	if err != nil || !json.Valid(data) {
		return "null"
	}
	return string(data)
}
