package values

import (
	"fmt"
	"math/bits"
	"reflect"
	"sync"
)

// Encoders follow a value wherever it leads, and a stack that overflows ends the
// process. A value whose type allows for that is therefore looked through first. It
// may not contain itself, nor be nested deeper than JSON can be read.

// Deepest is how many structs, slices, arrays and maps may lie in each other.
const Deepest = 10_000

// mostHops is for how many of these, pointers and interfaces do.
const mostHops = 4 * Deepest

// watched is how deep values are nested until a circle is looked for: most are not.
const watched = 64

// A Nesting knows what an encoder follows. Its methods may be called by many
// goroutines.
type Nesting struct {
	// Follows reports whether a field is encoded.
	Follows func(f reflect.StructField) bool
	// Opaque reports whether values of t encode themselves.
	Opaque func(t reflect.Type) bool
	// Keys is true if maps' keys are followed.
	Keys bool

	shapes sync.Map // reflect.Type to *shape, nil for a type whose values have an end
}

// Check refuses a value that contains itself or is nested too deep. It runs no code
// of the user's.
func (n *Nesting) Check(v any) error {
	t := reflect.TypeOf(v)
	if t == nil {
		return nil
	}
	s := n.shapeOf(t)
	if s == nil {
		return nil
	}
	w := walk{nesting: n}
	if wrong := w.look(s, reflect.ValueOf(v), nest{}); wrong != "" {
		return fmt.Errorf("cannot encode a %T that %s", v, wrong)
	}
	return nil
}

// shape is what there is to look at in values of a type that refers to itself or
// reaches an interface.
type shape struct {
	kind   reflect.Kind
	opaque bool    // where a value has an address: there its pointer's methods encode it
	elem   *shape  // nil: nothing to look at
	key    *shape  // of a map
	fields []field // of a struct
}

type field struct {
	index int
	*shape
}

// shapeOf returns t's shape, or nil if its values have an end.
func (n *Nesting) shapeOf(t reflect.Type) *shape {
	if known, ok := n.shapes.Load(t); ok {
		return known.(*shape)
	}
	made := map[reflect.Type]*shape{}
	n.shape(t, made)
	for t, s := range made {
		n.shapes.Store(t, s)
	}
	return made[t]
}

func (n *Nesting) shape(t reflect.Type, made map[reflect.Type]*shape) *shape {
	if s, ok := made[t]; ok {
		return s
	}
	if !n.isEndless(t, map[reflect.Type]bool{}) {
		made[t] = nil
		return nil
	}
	s := &shape{kind: t.Kind()}
	made[t] = s
	switch s.kind {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.elem = n.shape(t.Elem(), made)
	case reflect.Map:
		s.elem = n.shape(t.Elem(), made)
		if n.Keys {
			s.key = n.shape(t.Key(), made)
		}
	case reflect.Struct:
		for i := range t.NumField() {
			if f := t.Field(i); n.Follows(f) {
				if inner := n.shape(f.Type, made); inner != nil {
					s.fields = append(s.fields, field{i, inner})
				}
			}
		}
	}
	s.opaque = s.kind != reflect.Pointer && s.kind != reflect.Interface && n.Opaque(reflect.PointerTo(t))
	return s
}

// isEndless reports whether values of t may contain others of their type, or any. In
// seen, a type is true while it is searched, and false when nothing was found in it.
func (n *Nesting) isEndless(t reflect.Type, seen map[reflect.Type]bool) bool {
	if within, ok := seen[t]; ok {
		return within
	}
	if t.Kind() == reflect.Interface {
		return true
	}
	if n.Opaque(t) {
		return false
	}
	seen[t] = true
	found := false
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		found = n.isEndless(t.Elem(), seen)
	case reflect.Map:
		found = n.Keys && n.isEndless(t.Key(), seen) || n.isEndless(t.Elem(), seen)
	case reflect.Struct:
		for i := 0; i < t.NumField() && !found; i++ {
			found = n.Follows(t.Field(i)) && n.isEndless(t.Field(i).Type, seen)
		}
	}
	seen[t] = false
	return found
}

// walk looks through one value, in depth. Of the pointers, slices and maps that it
// has followed, it remembers the 1st, the 2nd, the 4th and so on. In a circle, it
// meets the last of them again.
type walk struct {
	nesting    *Nesting
	steps      int
	remembered [16]step // as many as mostHops has bits
}

// step is a pointer, a slice or a map that leads on.
type step struct {
	t      reflect.Type
	memory uintptr
	len    int // of a slice
}

// nest is in how many others a value lies.
type nest struct {
	levels int // structs, slices, arrays and maps
	hops   int // of all kinds
}

// look returns what is wrong with v, or "".
func (w *walk) look(s *shape, v reflect.Value, in nest) (wrong string) {
	steps := w.steps
	wrong = w.follow(s, v, in)
	w.steps = steps
	return wrong
}

// follow follows pointers, interfaces and the last field of structs in a loop: that
// is all of a list.
func (w *walk) follow(s *shape, v reflect.Value, in nest) (wrong string) {
	for s != nil && !(s.opaque && v.CanAddr()) {
		in.hops++
		if s.kind != reflect.Pointer && s.kind != reflect.Interface {
			in.levels++
		}
		if in.levels > Deepest || in.hops > mostHops {
			return fmt.Sprintf("is nested deeper than %d levels", Deepest)
		}
		switch s.kind {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
			if v.IsNil() {
				return ""
			}
			if in.hops > watched && s.kind != reflect.Interface && !w.enter(v) {
				return "contains itself"
			}
		}
		switch s.kind {
		case reflect.Interface:
			v = v.Elem()
			s = w.nesting.shapeOf(v.Type())
		case reflect.Pointer:
			v, s = v.Elem(), s.elem
		case reflect.Struct:
			last := len(s.fields) - 1
			for _, f := range s.fields[:last] {
				if wrong = w.look(f.shape, v.Field(f.index), in); wrong != "" {
					return wrong
				}
			}
			v, s = v.Field(s.fields[last].index), s.fields[last].shape
		default:
			return w.elements(s, v, in)
		}
	}
	return ""
}

// elements looks at those of a slice, an array or a map.
func (w *walk) elements(s *shape, v reflect.Value, in nest) (wrong string) {
	if s.kind != reflect.Map {
		for i := 0; i < v.Len() && wrong == ""; i++ {
			wrong = w.look(s.elem, v.Index(i), in)
		}
		return wrong
	}
	key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	for each := v.MapRange(); wrong == "" && each.Next(); {
		if s.key != nil {
			key.SetIterKey(each)
			wrong = w.look(s.key, key, in)
		}
		if s.elem != nil && wrong == "" {
			elem.SetIterValue(each)
			wrong = w.look(s.elem, elem, in)
		}
	}
	return wrong
}

// enter follows v. It returns false if v lies in itself.
func (w *walk) enter(v reflect.Value) bool {
	memory, length := v.Pointer(), 0
	if v.Kind() == reflect.Slice {
		length = v.Len()
	}
	w.steps++
	last := bits.Len(uint(w.steps)) - 1
	at := &w.remembered[last]
	if w.steps == 1<<last {
		*at = step{v.Type(), memory, length}
		return true
	}
	return at.memory != memory || at.len != length || at.t != v.Type()
}
