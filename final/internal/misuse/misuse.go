// Package misuse refuses what makes no sense, for constructors and options that
// return no error: by a panic where the mistake is, which names the option.
package misuse

import (
	"fmt"
	"reflect"
	"strings"
	"unicode"
)

// NotNil panics if v is nil, or a nil pointer, function, map or channel in an
// interface.
func NotNil(where, what string, v any) {
	if IsNil(v) {
		panic(fmt.Errorf("%s: the %s is nil", where, what))
	}
}

// IsNil reports whether v is what [NotNil] panics on.
func IsNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan:
		return r.IsNil()
	}
	return false
}

// NotNegative panics if n is below 0, and returns it otherwise.
func NotNegative[N ~int | ~int64](where string, n N) N {
	if n < 0 {
		panic(fmt.Errorf("%s(%v): want 0 or more", where, n))
	}
	return n
}

// CheckMethod returns an error if name is no method's exact name: an option that
// goes by it would do nothing. A star is refused, too, since it looks like a
// wildcard, and there are none.
func CheckMethod(name string) error {
	service, method, dotted := strings.Cut(name, ".")
	odd := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || r == '*' }
	if !dotted || service == "" || method == "" || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("method %q: want the exact name, Service.Method, without wildcards", name)
	}
	return nil
}

// CheckMetadataKey returns an error if key is none that metadata can have.
func CheckMetadataKey(key string) error {
	odd := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
	}
	if key == "" || len(key) > 128 || strings.ContainsFunc(key, odd) {
		return fmt.Errorf("metadata key %q: want a-z, 0-9, '-', '_' and '.' only", key)
	}
	return nil
}

// CheckHost returns an error if no request can be for a host of that name, which has
// no port. An address may be in brackets.
func CheckHost(name string) error {
	odd := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("/\\@*,?#", r) }
	if name == "" || strings.ContainsFunc(name, odd) {
		return fmt.Errorf("host %q: want a name such as shop.example, or an address; a name of another script as DNS has it (xn--…)", name)
	}
	return nil
}
