// Package values handles the params and replies of calls, whose types are the
// user's: it empties a reply before it is decoded into, and copies values.
package values

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"sync"
)

// Reply is a reply that has been emptied. It keeps what the reply held before,
// in case decoding fails.
type Reply struct {
	Into  any           // the pointer to decode into: see [Target]
	held  reflect.Value // what it points to
	old   reflect.Value // a copy of what that held; not valid if it was the zero value
	whole bool
}

// Empty sets what reply points to, as [Target] says, to its zero value, so that
// what is decoded next is not mixed with it. reply is a pointer that is not nil.
//
// In a struct, fields that are not exported stay as they are, since no decoder
// sets them: a mutex may be locked, and a type with an UnmarshalJSON of its own
// may keep there how to decode. With whole they are emptied, too: no decoder will
// run, or one that does nothing, as for null.
func Empty(reply any, whole bool) Reply {
	r := Reply{Into: Target(reply)}
	r.held = reflect.ValueOf(r.Into).Elem()
	t := r.held.Type()
	r.whole = asMessage(r.Into) != nil || !hasHidden(t) || whole && decodesItself(t)
	if !r.whole || !r.held.IsZero() { // IsZero would look at a mutex that others use
		r.old = reflect.New(r.held.Type()).Elem()
		assign(r.old, r.held, r.whole)
	}
	r.clear()
	return r
}

// clear empties the reply, whatever has been decoded into it.
func (r Reply) clear() {
	if m := asMessage(r.Into); m != nil {
		m.Reset()
		return
	}
	if r.whole {
		r.held.SetZero()
		return
	}
	assign(r.held, reflect.Zero(r.held.Type()), false)
}

// Restore gives the reply back what it held before [Empty].
func (r Reply) Restore() {
	if r.old.IsValid() {
		assign(r.held, r.old, r.whole)
		return
	}
	r.clear()
}

// Set sets what reply points to, as [Target] says, to what from points to, of the
// same type. Fields that are not exported are copied for a type that decodes itself,
// and stay as they are for any other.
func Set(reply, from any) {
	held := reflect.ValueOf(Target(reply)).Elem()
	assign(held, reflect.ValueOf(from).Elem(), decodesItself(held.Type()))
}

// IsPrepared reports whether reply points to a struct that decodes itself and has
// something in fields that are not exported which may say how: another variable of
// its type is not as good.
func IsPrepared(reply any) bool {
	held := reflect.ValueOf(Target(reply)).Elem()
	if !hasHidden(held.Type()) || !decodesItself(held.Type()) {
		return false
	}
	for i := range held.NumField() {
		f := held.Type().Field(i)
		if !f.IsExported() && !isFlat(f.Type) && !isLock(f.Type) && !held.Field(i).IsZero() {
			return true
		}
	}
	return false
}

// assign copies src to dst. Without whole, it copies no fields that are not
// exported, except those of structs that decode themselves. What an embedded
// struct has to offer is exported, even where the struct is not.
func assign(dst, src reflect.Value, whole bool) {
	if dst.CanSet() && (whole || !hasHidden(dst.Type())) {
		dst.Set(src)
		return
	}
	t := dst.Type()
	for i := range t.NumField() {
		switch f := t.Field(i); {
		case f.Type.Kind() == reflect.Struct && (f.IsExported() || f.Anonymous):
			assign(dst.Field(i), src.Field(i), f.IsExported() && decodesItself(f.Type))
		case f.IsExported():
			dst.Field(i).Set(src.Field(i))
		}
	}
}

var hidden sync.Map // reflect.Type of a struct to bool

// hasHidden reports whether t is a struct with fields that are not exported, at
// any depth of structs within structs.
func hasHidden(t reflect.Type) bool {
	if t.Kind() != reflect.Struct {
		return false
	}
	if known, ok := hidden.Load(t); ok {
		return known.(bool)
	}
	found := false
	for i := range t.NumField() {
		f := t.Field(i)
		found = found || !f.IsExported() || hasHidden(f.Type) && !decodesItself(f.Type)
	}
	hidden.Store(t, found)
	return found
}

var decoders = [...]reflect.Type{
	reflect.TypeFor[json.Unmarshaler](), reflect.TypeFor[gob.GobDecoder](),
	reflect.TypeFor[encoding.TextUnmarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
}

// decodesItself reports whether what t's fields hold is its own business.
func decodesItself(t reflect.Type) bool {
	for _, decoder := range decoders {
		if reflect.PointerTo(t).Implements(decoder) {
			return true
		}
	}
	return false
}

// longest bounds how many interfaces Target looks into: an interface can hold a
// pointer to itself.
const longest = 16

// Target returns the pointer to decode into for reply, a pointer that is not nil.
// That is reply itself, unless it points to an interface that holds a pointer:
// then it is that one, as encoding/json has it.
func Target(reply any) any {
	v := reflect.ValueOf(reply)
	for range longest {
		if v.Elem().Kind() != reflect.Interface {
			break
		}
		held := v.Elem().Elem()
		if held.Kind() != reflect.Pointer || held.IsNil() {
			break
		}
		v = held
	}
	return v.Interface()
}
