package values

import (
	"fmt"
	"reflect"
)

// How far IsDeep looks.
const (
	deepestPrinted = 64
	mostPrinted    = 10_000
)

// IsDeep reports whether package fmt may overflow the stack when it prints x, which
// ends the process: x contains itself or is nested deeper than 64 levels, or is too
// large to know.
func IsDeep(x any) bool {
	switch x.(type) {
	case reflect.Value: // of which fmt prints what it holds
		return true
	case error, fmt.Stringer, fmt.Formatter: // it has its own text
		return false
	}
	v, left := reflect.ValueOf(x), mostPrinted
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	return deep(v, 1, &left)
}

// deep follows v as fmt does. Of a pointer in another value, that prints the address.
func deep(v reflect.Value, depth int, left *int) (found bool) {
	if *left--; depth > deepestPrinted || *left < 0 {
		return true
	}
	switch v.Kind() {
	case reflect.Interface:
		found = deep(v.Elem(), depth+1, left)
	case reflect.Slice, reflect.Array:
		if v.Type().Elem().Kind() <= reflect.Complex128 {
			return false // numbers
		}
		for i := 0; i < v.Len() && !found; i++ {
			found = deep(v.Index(i), depth+1, left)
		}
	case reflect.Map:
		for at := v.MapRange(); !found && at.Next(); {
			found = deep(at.Key(), depth+1, left) || deep(at.Value(), depth+1, left)
		}
	case reflect.Struct:
		for i := 0; i < v.NumField() && !found; i++ {
			found = deep(v.Field(i), depth+1, left)
		}
	}
	return found
}
