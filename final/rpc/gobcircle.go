package rpc

import (
	"encoding"
	"encoding/gob"
	"fmt"
	"math/bits"
	"reflect"
	"sync"
)

// encoding/gob follows a value wherever it leads, and a stack that overflows ends the
// process. A value whose type allows for that is therefore looked through first: it
// may not contain itself, which JSON refuses too, nor be nested deeper than JSON can
// be read. What follows sees what gob sees, and runs no code of the user's.

// deepestGob is how many structs, slices, arrays, maps and interfaces may lie in
// each other.
const deepestGob = 10_000

// checkGobCircle refuses a value that contains itself or is nested too deep.
func checkGobCircle(v any) error {
	if t := reflect.TypeOf(v); t == nil || !isEndless(t) {
		return nil
	}
	w := gobWalk{}
	if wrong := w.look(reflect.ValueOf(v), 0); wrong != "" {
		return fmt.Errorf("gob: cannot encode a %T that %s", v, wrong)
	}
	return nil
}

// gobWalk looks through one value, in depth. Of the pointers, slices and maps that it
// has followed, it remembers the 1st, the 2nd, the 4th and so on. In a circle, it
// meets the last of them again.
type gobWalk struct {
	steps      int
	remembered [16]gobStep // at least as many as twice deepestGob has bits
}

// gobStep is a pointer, a slice or a map that leads on.
type gobStep struct {
	t      reflect.Type
	memory uintptr
	len    int // of a slice
}

// look returns what is wrong with v, whose type is endless and which lies in so many
// others, or "".
func (w *gobWalk) look(v reflect.Value, depth int) (wrong string) {
	t := v.Type()
	kind := t.Kind()
	switch kind {
	case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
		if v.IsNil() {
			return ""
		}
	}
	if kind != reflect.Pointer || t.Elem().Kind() == reflect.Pointer {
		depth++
	}
	if depth > deepestGob {
		return fmt.Sprintf("is nested deeper than %d levels", deepestGob)
	}
	switch kind {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		if !w.enter(v) {
			return "contains itself"
		}
		wrong = w.lookInto(v, depth)
		w.steps--
		return wrong
	}
	return w.lookInto(v, depth)
}

// enter follows v. It returns false if v lies in itself.
func (w *gobWalk) enter(v reflect.Value) bool {
	step := gobStep{t: v.Type(), memory: v.Pointer()}
	if v.Kind() == reflect.Slice {
		step.len = v.Len()
	}
	w.steps++
	last := bits.Len(uint(w.steps)) - 1
	if w.steps == 1<<last {
		w.remembered[last] = step
		return true
	}
	return w.remembered[last] != step
}

func (w *gobWalk) lookInto(v reflect.Value, depth int) (wrong string) {
	switch v.Kind() {
	case reflect.Interface:
		if v = v.Elem(); isEndless(v.Type()) {
			return w.look(v, depth)
		}
	case reflect.Pointer:
		return w.look(v.Elem(), depth)
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && wrong == ""; i++ {
			wrong = w.look(v.Index(i), depth)
		}
	case reflect.Map:
		keys, values := isEndless(v.Type().Key()), isEndless(v.Type().Elem())
		for each := v.MapRange(); wrong == "" && each.Next(); {
			if keys {
				wrong = w.look(each.Key(), depth)
			}
			if values && wrong == "" {
				wrong = w.look(each.Value(), depth)
			}
		}
	case reflect.Struct:
		for _, i := range endlessFields(v.Type()) {
			if wrong = w.look(v.Field(i), depth); wrong != "" {
				break
			}
		}
	}
	return wrong
}

var endlessTypes sync.Map // reflect.Type to bool

// isEndless reports whether values of t may contain others of their type, or any: t
// refers to itself or reaches an interface.
func isEndless(t reflect.Type) bool {
	if known, ok := endlessTypes.Load(t); ok {
		return known.(bool)
	}
	found := searchCircle(t, map[reflect.Type]bool{})
	endlessTypes.Store(t, found)
	return found
}

// searchCircle searches t, unless it is in seen: true while it is being searched, and
// false when nothing was found in it.
func searchCircle(t reflect.Type, seen map[reflect.Type]bool) bool {
	if within, ok := seen[t]; ok {
		return within
	}
	if encodesItselfByGob(t) {
		return false
	}
	seen[t] = true
	found := false
	switch t.Kind() {
	case reflect.Interface:
		found = true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		found = searchCircle(t.Elem(), seen)
	case reflect.Map:
		found = searchCircle(t.Key(), seen) || searchCircle(t.Elem(), seen)
	case reflect.Struct:
		for i := 0; i < t.NumField() && !found; i++ {
			found = isSentByGob(t.Field(i)) && searchCircle(t.Field(i).Type, seen)
		}
	}
	seen[t] = false
	return found
}

var endlessFieldsOf sync.Map // reflect.Type to []int

// endlessFields returns the fields of a struct that have to be looked at.
func endlessFields(t reflect.Type) []int {
	if known, ok := endlessFieldsOf.Load(t); ok {
		return known.([]int)
	}
	var found []int
	for i := range t.NumField() {
		if f := t.Field(i); isSentByGob(f) && isEndless(f.Type) {
			found = append(found, i)
		}
	}
	endlessFieldsOf.Store(t, found)
	return found
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
