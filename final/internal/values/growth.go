package values

import "reflect"

// A Growth says how much memory a decoded value takes, in terms of what it is decoded
// from, beside the size of its type. It is an upper bound, as far as types tell.
type Growth struct {
	PerByte int64 // of the texts in it
	Next    int64 // the most that one value takes where it lies: an element, a member, what a pointer points to
	First   int64 // the same for the first one of a slice or map, with what that takes
}

// A Grower finds out how values grow that a codec decodes.
type Grower struct {
	// Follows reports whether a field is decoded.
	Follows func(f reflect.StructField) bool
	// Opaque returns how values of t grow that are decoded in another way. It returns
	// false for all others.
	Opaque func(t reflect.Type) (Growth, bool)
}

// SizeOf returns the size of a type, within what can be added up.
func SizeOf(t reflect.Type) int64 { return min(int64(t.Size()), 1<<30) }

// What Go allocates, with what the allocator wastes.
const (
	allocSize = 16 // about an allocation, whatever its size
	mapSize   = 80 // a map without entries
	boxSize   = 24 // what is behind an interface: a slice, at most
	textSize  = 4  // a byte of a text: one that is not UTF-8 becomes three
)

// Pointed returns what a value takes that is pointed to.
func Pointed(t reflect.Type) int64 { return allocSize + SizeOf(t)*5/4 }

// Element returns what a value takes in a slice. One that grows is copied to one that
// is up to twice as large, while the old one is still there.
func Element(t reflect.Type) int64 { return allocSize + SizeOf(t)*5/2 }

// Entry returns what an entry takes in a map, and the first one with the map. A map has
// room for 16 entries for each 7 that it is sure to have, in groups of 8.
func Entry(key, elem reflect.Type) (next, first int64) {
	size := SizeOf(key) + SizeOf(elem) + 1
	return allocSize + 4*size, mapSize + 8*size
}

// Of returns how values of t grow.
func (g *Grower) Of(t reflect.Type) Growth {
	w := growing{Grower: g, seen: map[reflect.Type]bool{}}
	w.visit(t, 0)
	return w.found
}

// growing is a walk through a type.
type growing struct {
	*Grower
	seen  map[reflect.Type]bool
	found Growth
}

func (w *growing) note(perByte, next, first int64) {
	f := &w.found
	f.PerByte, f.Next, f.First = max(f.PerByte, perByte), max(f.Next, next), max(f.First, first)
}

// visit looks at a type, of which a value takes so many bytes where it lies.
func (w *growing) visit(t reflect.Type, place int64) {
	w.note(0, place, place)
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	if own, opaque := w.Opaque(t); opaque {
		w.note(own.PerByte, place+own.Next, place+own.First)
		return
	}
	if t.Kind() == reflect.Pointer { // there may be more of them in a row
		w.visit(t.Elem(), place+Pointed(t.Elem()))
		delete(w.seen, t)
		return
	}
	w.look(t, place)
}

// look looks into a type.
func (w *growing) look(t reflect.Type, place int64) {
	switch t.Kind() {
	case reflect.String:
		w.note(textSize, 0, 0)
	case reflect.Interface:
		next, first := Entry(reflect.TypeFor[string](), reflect.TypeFor[any]())
		w.note(textSize, max(place, next)+boxSize, max(place, first)+boxSize)
	case reflect.Slice:
		w.note(1, 0, 0) // of bytes
		w.visit(t.Elem(), Element(t.Elem()))
	case reflect.Array:
		w.visit(t.Elem(), 0)
	case reflect.Map:
		w.entries(t)
	case reflect.Struct:
		for i := range t.NumField() {
			w.field(t.Field(i), place)
		}
	}
}

func (w *growing) entries(t reflect.Type) {
	next, first := Entry(t.Key(), t.Elem())
	w.note(0, next, first)
	w.visit(t.Key(), 0)
	if t.Elem().Kind() == reflect.Pointer {
		next = first // with what it points to
	}
	w.visit(t.Elem(), next)
}

// field looks at a field of a struct. One value can make all the embedded structs that
// lead to its field.
func (w *growing) field(f reflect.StructField, place int64) {
	switch {
	case !w.Follows(f):
	case f.Anonymous:
		w.visit(f.Type, place)
	default:
		w.visit(f.Type, 0)
	}
}
