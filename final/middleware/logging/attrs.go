package logging

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"example.com/rpc-from-scratch/final/internal/values"
)

// maxAttr bounds a text in an attribute of [WithAttrs], in bytes.
const maxAttr = 8 << 10

// cleanAttrs makes what [WithAttrs] has found fit for a line. A peer may have chosen
// it: an attribute is made of metadata more often than not.
func cleanAttrs(attrs []slog.Attr, depth int) []slog.Attr {
	if depth > maxDepth {
		return nil
	}
	cleaned := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		a.Key = clean(a.Key, maxName)
		switch v := a.Value.Resolve(); v.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(clean(v.String(), maxAttr))
		case slog.KindGroup:
			a.Value = slog.GroupValue(cleanAttrs(v.Group(), depth+1)...)
		case slog.KindAny:
			a.Value = cleanAny(v)
		default:
			a.Value = v
		}
		cleaned = append(cleaned, a)
	}
	return cleaned
}

// cleanAny returns v if its texts need no cleaning, so that a handler sees the value
// itself, and else what [WithPayloads] would show of it.
func cleanAny(v slog.Value) slog.Value {
	x := v.Any()
	if text, ok := ownText(x); ok && clean(text, maxAttr) != text {
		return slog.StringValue(clean(text, maxAttr))
	}
	if x == nil {
		return v
	}
	p := &painter{limit: maxAttr}
	p.value(reflect.ValueOf(x))
	raw := string(p.b)
	if clean(raw, maxAttr) == raw && !strings.Contains(harmless.Replace(raw), `\`) && !values.IsDeep(x) {
		return v
	}
	return slog.StringValue(show(x, maxAttr))
}

// harmless takes out the escapes that JSON makes of printable characters.
var harmless = strings.NewReplacer(`\\`, "", `\"`, "", `\u003c`, "", `\u003e`, "", `\u0026`, "")

// ownText returns the text that a value has for itself.
func ownText(x any) (text string, ok bool) {
	defer func() {
		if recover() != nil {
			text, ok = "", false // a nil pointer in most cases; handlers know such values
		}
	}()
	switch x := x.(type) {
	case error:
		return x.Error(), true
	case fmt.Stringer:
		return x.String(), true
	}
	if v := reflect.ValueOf(x); v.Kind() == reflect.String {
		return v.String(), true
	}
	return "", false
}
