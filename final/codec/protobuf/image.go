package protobuf

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/protonest"
	"example.com/rpc-from-scratch/final/internal/values"
)

// An image is a Go value for encoding/json in which the messages that the value
// contains have been replaced by their JSON. Its type is made like the value's, with
// the same names and tags.

var (
	rawType = reflect.TypeFor[*json.RawMessage]()
	anyType = reflect.TypeFor[any]()
)

var images sync.Map // reflect.Type to the type of its image

// imageType returns the type of the images of t. inside are the structs that t is in.
func imageType(t reflect.Type, inside []reflect.Type) (reflect.Type, error) {
	if known, ok := images.Load(t); ok {
		return known.(reflect.Type), nil
	}
	image, err := makeImageType(t, inside)
	if err == nil && len(inside) == 0 { // within a struct, types that contain it are still unknown
		images.Store(t, image)
	}
	return image, err
}

func makeImageType(t reflect.Type, inside []reflect.Type) (reflect.Type, error) {
	switch {
	case isMessage(t), isMessage(reflect.PointerTo(t)):
		return rawType, nil
	case encodesItself(t):
		return t, nil
	case t.Kind() == reflect.Interface:
		return anyType, nil
	case t.Kind() == reflect.Struct:
		return structImage(t, inside)
	}
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
	default:
		return t, nil
	}
	elem, err := imageType(t.Elem(), inside)
	switch {
	case err != nil || elem == t.Elem():
		return t, err
	case t.Kind() == reflect.Pointer:
		return reflect.PointerTo(elem), nil
	case t.Kind() == reflect.Slice:
		return reflect.SliceOf(elem), nil
	case t.Kind() == reflect.Array:
		return reflect.ArrayOf(t.Len(), elem), nil
	}
	return reflect.MapOf(t.Key(), elem), nil
}

// structImage returns t itself if there is nothing to replace in it, nor can be in
// an interface.
func structImage(t reflect.Type, inside []reflect.Type) (image reflect.Type, err error) {
	if slices.Contains(inside, t) {
		return t, nil // unless something is to be replaced: see below
	}
	inside = append(inside, t)
	var fields []reflect.StructField
	changed := false
	for _, i := range published(t) {
		f := t.Field(i)
		elem, err := imageType(f.Type, inside)
		if err != nil {
			return nil, err
		}
		changed = changed || elem != f.Type || reaches(f.Type, mayHide)
		name := f.Name
		if !f.IsExported() {
			name = fmt.Sprint("Embedded", i) // its name does not show in JSON
		}
		fields = append(fields, reflect.StructField{Name: name, Type: elem, Tag: f.Tag, Anonymous: f.Anonymous && elem != rawType})
	}
	if !changed {
		return t, nil
	}
	for _, f := range fields {
		if reaches(f.Type, func(inner reflect.Type) bool { return inner == t }) {
			return nil, fmt.Errorf("protobuf: JSON of %v: a type that contains itself cannot contain messages, unless it is one", t)
		}
	}
	defer func() {
		if p := recover(); p != nil { // some embedded fields are more than package reflect can do
			image, err = nil, fmt.Errorf("protobuf: JSON of %v, which contains a message: %v", t, p)
		}
	}()
	return reflect.StructOf(fields), nil
}

// mayHide reports whether there is more in values of t than their images' types show.
func mayHide(t reflect.Type) bool { return t.Kind() == reflect.Interface || borrowsEncoding(t) }

// borrowsEncoding reports whether values of t may encode themselves by the method of a
// message that they embed.
func borrowsEncoding(t reflect.Type) bool {
	return encodesItself(t) && values.EmbedsMessage(t, encodesItself)
}

// reaches reports whether t is, or is made of, a type that is wanted.
func reaches(t reflect.Type, wanted func(reflect.Type) bool) bool {
	seen := map[reflect.Type]bool{}
	var search func(t reflect.Type) bool
	search = func(t reflect.Type) bool {
		switch {
		case seen[t]:
			return false
		case wanted(t):
			return true
		}
		seen[t] = true
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
			return search(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if search(t.Field(i).Type) {
					return true
				}
			}
		}
		return false
	}
	return search(t)
}

// published returns the fields that JSON shows: those that are exported, and
// embedded structs.
func published(t reflect.Type) (fields []int) {
	for i := range t.NumField() {
		if f := t.Field(i); f.IsExported() || f.Anonymous && f.Type.Kind() == reflect.Struct {
			fields = append(fields, i)
		}
	}
	return fields
}

func encodesItself(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		t = reflect.PointerTo(t)
	}
	return t.Implements(reflect.TypeFor[json.Marshaler]()) || t.Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// projector makes the image of one value.
type projector struct {
	depth  int
	inside map[any]bool // the pointers, maps and slices that it is in, below trustedDepth
}

// trustedDepth is how deep a value may be nested until circles are looked for, as in
// encoding/json.
const trustedDepth = 1000

// identityOf tells a value from all others that a circle may lead through. It is nil
// if v is none of those, or not so deep that it could be in a circle.
func (p *projector) identityOf(v reflect.Value) any {
	switch kind := v.Kind(); {
	case p.depth <= trustedDepth:
	case kind == reflect.Pointer, kind == reflect.Map:
		return v.UnsafePointer()
	case kind == reflect.Slice:
		return [2]any{v.UnsafePointer(), v.Len()}
	}
	return nil
}

// imageOf returns the image of a value that is not nil.
func (p *projector) imageOf(v any) (any, error) {
	t, err := imageType(reflect.TypeOf(v), nil)
	if err != nil {
		return nil, err
	}
	image := reflect.New(t).Elem()
	if err := p.project(image, reflect.ValueOf(v)); err != nil {
		return nil, err
	}
	return image.Interface(), nil
}

// project sets image to the image of v.
func (p *projector) project(image, v reflect.Value) error {
	p.depth++
	defer func() { p.depth-- }()
	if id := p.identityOf(v); id != nil {
		if p.inside[id] {
			return fmt.Errorf("protobuf: JSON of a value that contains itself, by a %v", v.Type())
		}
		if p.inside == nil {
			p.inside = map[any]bool{}
		}
		p.inside[id] = true
		defer delete(p.inside, id)
	}
	switch kind := v.Kind(); {
	case image.Type() == rawType:
		return projectMessage(image, v)
	case image.Type() == v.Type() && v.CanInterface() && (encodesItself(v.Type()) || !reaches(v.Type(), mayHide)):
		image.Set(v)
		if borrowsEncoding(v.Type()) {
			return checkEmbedded(v)
		}
		return nil
	case kind == reflect.Struct:
		return eachField(image, v, p.project)
	case kind == reflect.Array:
		return p.elements(image, v)
	case v.IsNil():
		return nil
	case kind == reflect.Slice:
		image.Set(reflect.MakeSlice(image.Type(), v.Len(), v.Len()))
		return p.elements(image, v)
	case kind == reflect.Pointer:
		image.Set(reflect.New(image.Type().Elem()))
		return p.project(image.Elem(), v.Elem())
	case kind == reflect.Map:
		return p.entries(image, v)
	}
	inner, err := p.imageOf(v.Elem().Interface())
	if err == nil {
		image.Set(reflect.ValueOf(inner))
	}
	return err
}

// eachField calls do with the fields of two structs, one of which is the image of
// the other. They may have one type, if it is embedded and not exported.
func eachField(to, from reflect.Value, do func(to, from reflect.Value) error) error {
	whole := from.Type()
	if from.NumField() < to.NumField() {
		whole = to.Type()
	}
	for j, i := range published(whole) {
		a, b := i, i
		if to.Type() != whole {
			a = j
		}
		if from.Type() != whole {
			b = j
		}
		if err := do(to.Field(a), from.Field(b)); err != nil {
			return err
		}
	}
	return nil
}

// checkEmbedded refuses a struct that embeds a message without an end. inside are the
// types that it is in: their methods go before those of the same type within.
func checkEmbedded(v reflect.Value, inside ...reflect.Type) error {
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct || slices.Contains(inside, v.Type()) {
		return nil
	}
	inside = append(inside, v.Type())
	for i := range v.NumField() {
		if !v.Type().Field(i).Anonymous {
			continue
		}
		m := messageIn(pointerTo(v.Field(i)))
		if m == nil {
			if err := checkEmbedded(v.Field(i), inside...); err != nil {
				return err
			}
		} else if err := protonest.Check(m); err != nil {
			return fmt.Errorf("protobuf: %w", err)
		}
	}
	return nil
}

// pointerTo returns v if it is a pointer, or one to a copy.
func pointerTo(v reflect.Value) reflect.Value {
	if v.Kind() == reflect.Pointer || !v.CanInterface() {
		return v
	}
	addressable := reflect.New(v.Type())
	addressable.Elem().Set(v)
	return addressable
}

func projectMessage(image, v reflect.Value) error {
	v = pointerTo(v) // a message by value: protojson wants a pointer
	if v.IsNil() {
		return nil
	}
	text, err := appendJSON(nil, v.Interface().(proto.Message))
	if err == nil {
		image.Set(reflect.ValueOf((*json.RawMessage)(&text)))
	}
	return err
}

func (p *projector) elements(image, v reflect.Value) error {
	for i := range v.Len() {
		if err := p.project(image.Index(i), v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (p *projector) entries(image, v reflect.Value) error {
	image.Set(reflect.MakeMapWithSize(image.Type(), v.Len()))
	for each := v.MapRange(); each.Next(); {
		elem := reflect.New(image.Type().Elem()).Elem()
		if err := p.project(elem, each.Value()); err != nil {
			return err
		}
		image.SetMapIndex(each.Key(), elem)
	}
	return nil
}

// decodeImage decodes JSON into an image, and sets what v points to by that.
func decodeImage(data []byte, v any) error {
	into := reflect.ValueOf(v)
	if into.Kind() != reflect.Pointer || into.IsNil() {
		return fmt.Errorf("protobuf: decode into a %T: want a pointer that is not nil", v)
	}
	t, err := imageType(into.Type().Elem(), nil)
	switch {
	case err != nil:
		return err
	case encodesItself(into.Type()): // what it holds may say how
		return json.Unmarshal(data, v)
	}
	image := reflect.New(t)
	if err := json.Unmarshal(data, image.Interface()); err != nil {
		return err
	}
	return restore(into.Elem(), image.Elem())
}

// restore sets v to what image is the image of.
func restore(v, image reflect.Value) error {
	switch kind := v.Kind(); {
	case image.Type() == rawType:
		return restoreMessage(v, image)
	case image.Type() == v.Type() && v.CanSet():
		v.Set(image)
		return nil
	case kind == reflect.Struct:
		return eachField(v, image, restore)
	case kind == reflect.Array:
		return restoreElements(v, image)
	case image.IsNil():
		v.SetZero()
		return nil
	case kind == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), image.Len(), image.Len()))
		return restoreElements(v, image)
	case kind == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return restore(v.Elem(), image.Elem())
	case kind == reflect.Map:
		return restoreMap(v, image)
	}
	return fmt.Errorf("protobuf: JSON cannot be decoded into a %v", v.Type())
}

func restoreMessage(v, image reflect.Value) error {
	if image.IsNil() {
		v.SetZero()
		return nil
	}
	into := v
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
	} else {
		into = v.Addr()
	}
	return decodeJSON(*image.Interface().(*json.RawMessage), into.Interface().(proto.Message))
}

func restoreElements(v, image reflect.Value) error {
	for i := range image.Len() {
		if err := restore(v.Index(i), image.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func restoreMap(v, image reflect.Value) error {
	v.Set(reflect.MakeMapWithSize(v.Type(), image.Len()))
	for each := image.MapRange(); each.Next(); {
		elem := reflect.New(v.Type().Elem()).Elem()
		if err := restore(elem, each.Value()); err != nil {
			return err
		}
		v.SetMapIndex(each.Key(), elem)
	}
	return nil
}
