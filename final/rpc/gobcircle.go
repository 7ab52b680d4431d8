package rpc

import (
	"encoding"
	"encoding/gob"
	"fmt"
	"reflect"

	"example.com/rpc-from-scratch/final/internal/values"
)

// gobNesting is what encoding/gob follows.
var gobNesting = values.Nesting{Follows: isSentByGob, Opaque: encodesItselfByGob, Keys: true}

// checkGobCircle refuses a value that contains itself or is nested too deep.
func checkGobCircle(v any) error {
	if err := gobNesting.Check(v); err != nil {
		return fmt.Errorf("gob: %w", err)
	}
	return nil
}

// isSentByGob reports whether gob sends a field.
func isSentByGob(f reflect.StructField) bool {
	switch withoutPointers(f.Type).Kind() {
	case reflect.Chan, reflect.Func:
		return false
	}
	return f.IsExported()
}

var gobEncoders = [...]reflect.Type{reflect.TypeFor[gob.GobEncoder](), reflect.TypeFor[encoding.BinaryMarshaler]()}

// encodesItselfByGob reports whether gob leaves values of t to their own method.
func encodesItselfByGob(t reflect.Type) bool {
	for _, encoder := range gobEncoders {
		if t.Kind() != reflect.Interface && (t.Implements(encoder) || reflect.PointerTo(t).Implements(encoder)) {
			return true
		}
	}
	return false
}
