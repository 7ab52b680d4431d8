// Package misuse refuses what makes no sense, for constructors and options that
// return no error: by a panic where the mistake is, which names the option.
package misuse

import (
	"fmt"
	"reflect"
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
