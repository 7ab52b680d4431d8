package rpc

import (
	"encoding"
	"encoding/gob"
	"encoding/json"
	"reflect"
	"sync"
	"time"
)

// The memory of a reply is taken before its result is encoded, so its size is guessed
// at: from the result, or from the method's last replies if the result encodes itself.

// replyShape is how large the encodings of a type's values are, about.
type replyShape struct {
	kind   reflect.Kind
	fixed  int64 // of a value, without its parts
	whole  bool  // there are no parts
	own    bool  // values encode themselves
	elem   *replyShape
	key    *replyShape
	fields []shapeField
}

type shapeField struct {
	index int
	*replyShape
}

// What a number and a name of a field take in JSON, about. Other codecs need less.
const (
	numberSize = 24
	nameSize   = 16
)

var replyShapes struct {
	known sync.Map // reflect.Type to *replyShape, complete
	mu    sync.Mutex
}

func replyShapeOf(t reflect.Type) *replyShape {
	if known, ok := replyShapes.known.Load(t); ok {
		return known.(*replyShape)
	}
	replyShapes.mu.Lock()
	defer replyShapes.mu.Unlock()
	found := map[reflect.Type]*replyShape{}
	shape := findReplyShape(t, found)
	for t, s := range found {
		replyShapes.known.LoadOrStore(t, s)
	}
	return shape
}

// findReplyShape finds the shapes of t and of all types in it.
func findReplyShape(t reflect.Type, found map[reflect.Type]*replyShape) *replyShape {
	if s := found[t]; s != nil {
		return s
	}
	s := &replyShape{kind: t.Kind(), fixed: numberSize}
	found[t] = s
	switch {
	case t == reflect.TypeFor[time.Time]():
		s.fixed, s.whole = 2*numberSize, true
		return s
	case t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface && repliesItself(reflect.PointerTo(t)):
		s.own = true
		return s
	}
	switch t.Kind() {
	case reflect.String, reflect.Interface:
	case reflect.Map:
		s.key = findReplyShape(t.Key(), found)
		s.elem = findReplyShape(t.Elem(), found)
	case reflect.Pointer, reflect.Slice, reflect.Array:
		s.elem = findReplyShape(t.Elem(), found)
	case reflect.Struct:
		s.whole = true
		for i := range t.NumField() {
			f := t.Field(i)
			if !isShown(f) {
				continue
			}
			field := findReplyShape(f.Type, found)
			s.fixed += nameSize + int64(len(f.Name))
			if field.whole {
				s.fixed += field.fixed
				continue
			}
			s.whole = false
			s.fields = append(s.fields, shapeField{i, field})
		}
	default:
		s.whole = true
	}
	return s
}

// repliesItself reports whether values of a pointer's type encode themselves: their
// fields are not ours to look at.
func repliesItself(pointer reflect.Type) bool {
	return pointer.Implements(messageType) || pointer.Implements(reflect.TypeFor[gob.GobEncoder]()) || pointer.Implements(reflect.TypeFor[encoding.BinaryMarshaler]()) ||
		pointer.Implements(reflect.TypeFor[json.Marshaler]()) || pointer.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

// guessParts is how many parts of a result are looked at. The others count like them.
const guessParts = 128

// replyGuess is a guess at one result.
type replyGuess struct {
	left int  // parts to look at
	own  bool // something encodes itself
}

func (g *replyGuess) size(s *replyShape, v reflect.Value) int64 {
	g.left--
	switch {
	case s.whole || g.left < 0:
		return s.fixed
	case s.own:
		g.own = true
		return s.fixed
	}
	switch s.kind {
	case reflect.String:
		return s.fixed + int64(v.Len())*5/4
	case reflect.Pointer:
		if !v.IsNil() {
			return g.size(s.elem, v.Elem())
		}
	case reflect.Interface:
		if !v.IsNil() {
			return g.size(replyShapeOf(v.Elem().Type()), v.Elem())
		}
	case reflect.Slice, reflect.Array:
		return s.fixed + g.elements(s, v)
	case reflect.Map:
		return s.fixed + g.entries(s, v)
	case reflect.Struct:
		size := s.fixed
		for _, f := range s.fields {
			size += g.size(f.replyShape, v.Field(f.index))
		}
		return size
	}
	return s.fixed
}

func (g *replyGuess) elements(s *replyShape, v reflect.Value) (size int64) {
	n := v.Len()
	switch {
	case s.elem.kind == reflect.Uint8 && s.elem.whole:
		return int64(n) * 3 / 2
	case s.elem.whole:
		return int64(n) * (s.elem.fixed + 1)
	}
	seen := 0
	for ; seen < n && (g.left > 0 || seen == 0); seen++ {
		size += 1 + g.size(s.elem, v.Index(seen))
	}
	return scaled(size, seen, n)
}

func (g *replyGuess) entries(s *replyShape, v reflect.Value) (size int64) {
	seen := 0
	for each := v.MapRange(); (g.left > 0 || seen == 0) && each.Next(); seen++ {
		size += 2 + g.size(s.key, each.Key()) + g.size(s.elem, each.Value())
	}
	return scaled(size, seen, v.Len())
}

// scaled returns what n parts take if so many of them take size.
func scaled(size int64, seen, n int) int64 {
	if seen == 0 || seen == n {
		return size
	}
	return size / int64(seen) * int64(n)
}

// guessReply returns how many bytes a result will be, about; known is false if that
// is for the result itself to know.
func guessReply(result any) (size int64, known bool) {
	g := replyGuess{left: guessParts}
	size = g.size(replyShapeOf(reflect.TypeOf(result)), reflect.ValueOf(result))
	return size, !g.own
}
