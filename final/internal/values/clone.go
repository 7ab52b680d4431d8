package values

import (
	"reflect"
	"sync"
	"time"
)

// Clone returns a copy of v that has none of the memory which v's users can
// change, and keeps all types. It returns false if v holds what cannot be copied:
// a channel, a function, a mutex, or pointers, slices, maps or interfaces in fields
// that are not exported. known, which may be nil, copies pointers that it knows,
// such as messages.
func Clone(v any, known func(v any) (any, bool)) (any, bool) {
	if v == nil {
		return nil, true
	}
	c := cloner{known: known, done: map[visit]reflect.Value{}}
	out := c.clone(reflect.ValueOf(v), 0)
	if c.failed {
		return nil, false
	}
	return out.Interface(), true
}

// deepest bounds how deep values are nested: a slice can hold itself.
const deepest = 1000

type cloner struct {
	known  func(v any) (any, bool)
	done   map[visit]reflect.Value // copies of pointers, so that what they share stays shared
	failed bool
}

type visit struct {
	pointer uintptr
	t       reflect.Type
}

func (c *cloner) clone(v reflect.Value, depth int) reflect.Value {
	if depth > deepest {
		c.failed = true
	}
	if c.failed || isFlat(v.Type()) || isNil(v) {
		return v
	}
	switch v.Kind() {
	case reflect.Pointer:
		return c.pointer(v, depth)
	case reflect.Interface:
		return c.clone(v.Elem(), depth+1)
	case reflect.Map:
		return c.aMap(v, depth)
	case reflect.Slice:
		return c.elements(reflect.MakeSlice(v.Type(), v.Len(), v.Len()), v, depth)
	case reflect.Array:
		return c.elements(reflect.New(v.Type()).Elem(), v, depth)
	case reflect.Struct:
		return c.fields(v, depth)
	}
	c.failed = true
	return v
}

func isNil(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.Map, reflect.Pointer, reflect.Slice, reflect.UnsafePointer:
		return v.IsNil()
	}
	return false
}

func (c *cloner) pointer(v reflect.Value, depth int) reflect.Value {
	if v.Type() == reflect.TypeFor[*time.Location]() {
		return v
	}
	if c.known != nil {
		if out, ok := c.known(v.Interface()); ok {
			return reflect.ValueOf(out)
		}
	}
	key := visit{v.Pointer(), v.Type()}
	if out, ok := c.done[key]; ok {
		return out
	}
	out := reflect.New(v.Type().Elem())
	c.done[key] = out.Convert(v.Type())
	out.Elem().Set(c.clone(v.Elem(), depth+1))
	return c.done[key]
}

func (c *cloner) elements(out, v reflect.Value, depth int) reflect.Value {
	if isFlat(v.Type().Elem()) {
		reflect.Copy(out, v)
		return out
	}
	for i := range v.Len() {
		out.Index(i).Set(c.clone(v.Index(i), depth+1))
	}
	return out
}

func (c *cloner) aMap(v reflect.Value, depth int) reflect.Value {
	out := reflect.MakeMapWithSize(v.Type(), v.Len())
	for each := v.MapRange(); each.Next(); {
		out.SetMapIndex(c.clone(each.Key(), depth+1), c.clone(each.Value(), depth+1))
	}
	return out
}

func (c *cloner) fields(v reflect.Value, depth int) reflect.Value {
	t := v.Type()
	for i := range t.NumField() {
		if f := t.Field(i); isLock(t) || !f.IsExported() && !isFlat(f.Type) {
			c.failed = true
			return v
		}
	}
	out := reflect.New(t).Elem()
	out.Set(v)
	for i := range t.NumField() {
		if t.Field(i).IsExported() {
			out.Field(i).Set(c.clone(v.Field(i), depth+1))
		}
	}
	return out
}

var flat sync.Map // reflect.Type to bool

// isFlat reports whether to assign a value of type t is to copy all of it.
func isFlat(t reflect.Type) bool {
	switch kind := t.Kind(); {
	case kind <= reflect.Complex128, kind == reflect.String: // all numbers and bool
		return true
	case kind != reflect.Struct && kind != reflect.Array:
		return false
	}
	if known, ok := flat.Load(t); ok {
		return known.(bool)
	}
	found := findFlat(t)
	flat.Store(t, found)
	return found
}

func findFlat(t reflect.Type) bool {
	switch {
	case t == reflect.TypeFor[time.Time](), t.PkgPath() == "unique":
		return true // what they point to never changes
	case t.Kind() == reflect.Array:
		return isFlat(t.Elem())
	case isLock(t):
		return false
	}
	for i := range t.NumField() {
		if !isFlat(t.Field(i).Type) {
			return false
		}
	}
	return true
}

// isLock reports whether values of t must not be copied, as of a mutex or an
// atomic variable.
func isLock(t reflect.Type) bool {
	return t.PkgPath() == "sync" || t.PkgPath() == "sync/atomic" || reflect.PointerTo(t).Implements(reflect.TypeFor[sync.Locker]())
}
