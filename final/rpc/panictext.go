package rpc

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// deepestText is how many groups and values of LogValues are printed within each
// other: they need not end.
const deepestText = 4

// textOfPanic returns what is printed of a panic's value: no more than a log shows.
func textOfPanic(value any) string { return textWithin(value, deepestText) }

func textWithin(value any, deepest int) string {
	if valuer := logValuer(value); valuer != nil {
		return logText(slog.AnyValue(valuer), deepest)
	}
	switch v := value.(type) {
	case slog.Value:
		return logText(v, deepest)
	case slog.Attr:
		return v.Key + "=" + logText(v.Value, deepest)
	case error:
		if causes.Endless(v) || causes.Any(v, hides) {
			return hiddenText(value)
		}
	}
	t := reflect.TypeOf(value)
	byField := !hasText(value)
	if t == nil || !mayHide(t, byField, map[reflect.Type]bool{}) {
		return fmt.Sprint(value) // which catches the panics of methods
	}
	return hiddenText(value)
}

func hiddenText(value any) string {
	return fmt.Sprintf("a %T, which may hold what is not to be printed", value)
}

// hides reports whether err, or what it is made of, says itself what is shown of it.
func hides(err error) bool {
	return logValuer(err) != nil || mayHide(reflect.TypeOf(err), false, map[reflect.Type]bool{})
}

// logValuer returns v, or a pointer to a copy of it, if its LogValue decides what is shown.
func logValuer(v any) slog.LogValuer {
	if valuer, ok := v.(slog.LogValuer); ok || v == nil {
		return valuer
	}
	if t := reflect.TypeOf(v); reflect.PointerTo(t).Implements(logValuerType) {
		p := reflect.New(t)
		p.Elem().Set(reflect.ValueOf(v))
		return p.Interface().(slog.LogValuer)
	}
	return nil
}

// logText returns what a LogValue has returned, as slog's text has it.
func logText(v slog.Value, deepest int) string {
	if deepest == 0 {
		return "…"
	}
	v = v.Resolve() // which catches the panics of LogValue
	switch v.Kind() {
	case slog.KindAny:
		return textWithin(v.Any(), deepest-1)
	case slog.KindGroup:
		var attrs []string
		for _, a := range v.Group() {
			attrs = append(attrs, a.Key+"="+logText(a.Value, deepest-1))
		}
		return strings.Join(attrs, " ")
	}
	return v.String()
}

// hasText reports whether a value has a text of its own.
func hasText(value any) bool {
	switch value.(type) {
	case reflect.Value: // of which fmt prints what it holds
		return false
	case error, fmt.Stringer, fmt.Formatter:
		return true
	}
	return false
}

var logValuerType = reflect.TypeFor[slog.LogValuer]()

// mayHide reports whether values of t may hold text that a log must not show: a LogValuer, or
// a protobuf message, whose fields may be marked with debug_redact. byField says that the
// values are printed field by field. Then it is also true if they may hold an interface, and
// so anything, or themselves, since printing would not end. In seen, a type is true while it
// is searched, and false when nothing was found in it.
func mayHide(t reflect.Type, byField bool, seen map[reflect.Type]bool) bool {
	if within, ok := seen[t]; ok {
		return within && byField
	}
	pointer := reflect.PointerTo(t)
	if t.Kind() == reflect.Interface {
		return byField
	}
	if t == reflect.TypeFor[reflect.Value]() || pointer.Implements(logValuerType) || t.Implements(messageType) || pointer.Implements(messageType) {
		return true
	}
	seen[t] = true
	found := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		found = mayHide(t.Elem(), byField, seen)
	case reflect.Map:
		found = mayHide(t.Key(), byField, seen) || mayHide(t.Elem(), byField, seen)
	case reflect.Struct:
		for i := 0; i < t.NumField() && !found; i++ {
			found = mayHide(t.Field(i).Type, byField, seen)
		}
	}
	seen[t] = false
	return found
}
