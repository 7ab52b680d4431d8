package wire

import (
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
)

const (
	maxGobDepth = 32      // of values within values
	maxGobNames = 3       // of types within a type without a name: a map of itself has 2 to the power of it
	maxGobText  = 8 << 10 // of a value's text; what is above is not rendered
	maxGobTypes = 1 << 10 // of one stream
)

// A gobReader reads one message. Once something is wrong, err says what, and all
// that is read is zero.
type gobReader struct {
	b       []byte
	at      int
	err     error
	stream  *gobStream
	depth   int
	written int // bytes of text so far
}

func (r *gobReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = &frames.Error{Offset: r.at, Reason: "gob: " + fmt.Sprintf(format, args...)}
	}
}

func (r *gobReader) take(n uint64, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n > uint64(len(r.b)-r.at) {
		r.fail("%s of %d bytes, but only %d are left", what, n, len(r.b)-r.at)
		return nil
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// uint reads a number: one byte below 128, or minus the count of the bytes that follow.
func (r *gobReader) uint() uint64 {
	first := r.take(1, "number")
	if first == nil {
		return 0
	}
	size := gobUintSize(first[0]) - 1
	if size == 0 {
		return uint64(first[0])
	}
	if size > 8 {
		r.fail("a number of %d bytes", size)
		return 0
	}
	var n uint64
	for _, c := range r.take(uint64(size), "number") {
		n = n<<8 | uint64(c)
	}
	return n
}

// int reads a number with a sign, which is in its lowest bit.
func (r *gobReader) int() int64 {
	n := r.uint()
	if n&1 != 0 {
		return ^int64(n >> 1)
	}
	return int64(n >> 1)
}

func (r *gobReader) bytes(what string) []byte { return r.take(r.uint(), what) }

// each calls f for the fields that a struct has: each comes with its distance
// from the one before, and a 0 ends them.
func (r *gobReader) each(f func(field int)) {
	for field := -1; r.err == nil; {
		delta := r.uint()
		if delta == 0 {
			return
		}
		if delta > math.MaxInt16 || field+int(delta) > math.MaxInt16 {
			r.fail("a field after the %dth", field)
			return
		}
		field += int(delta)
		f(field)
	}
}

// typ returns the type of an id, nil if it is basic or unknown.
func (r *gobReader) typ(id int64) *gobType {
	if r.stream == nil {
		return nil
	}
	return r.stream.types[id]
}

// define reads a type's description: a struct of which one field is there.
func (r *gobReader) define(id int64) string {
	t := &gobType{}
	r.each(func(field int) {
		switch field {
		case 0:
			t.kind = gobArray
		case 1:
			t.kind = gobSlice
		case 2:
			t.kind = gobStruct
		case 3:
			t.kind = gobMap
		case 4, 5, 6:
			t.kind = gobOpaque
		default:
			r.fail("a type of an unknown kind %d", field)
			return
		}
		r.description(t)
	})
	s := r.stream
	if r.err == nil && len(s.types) >= maxGobTypes {
		r.fail("more than %d types", maxGobTypes)
	}
	if r.err != nil {
		return ""
	}
	if s.types == nil {
		s.types = map[int64]*gobType{}
	}
	s.types[id] = t
	body := s.body(t, 0)
	if t.name == body { // Go names a slice after itself
		return fmt.Sprintf("type %d %s", id, body)
	}
	return words("type", strconv.FormatInt(id, 10), t.name, body)
}

// description reads the fields that the kinds of types have: the name, and what
// they are made of.
func (r *gobReader) description(t *gobType) {
	r.each(func(field int) {
		switch {
		case field == 0:
			r.each(func(field int) {
				if field == 0 {
					t.name = string(r.bytes("name"))
				} else {
					r.int() // the id again
				}
			})
		case field == 1 && t.kind == gobStruct:
			r.structFields(t)
		case field == 1 && t.kind == gobMap:
			t.key = r.int()
		case field == 1 || field == 2 && t.kind == gobMap:
			t.elem = r.int()
		case field == 2 && t.kind == gobArray:
			t.length = r.int()
		default:
			r.fail("an unknown part %d of a type", field)
		}
	})
}

func (r *gobReader) structFields(t *gobType) {
	for n := r.count(); n > 0 && r.err == nil; n-- {
		var f gobField
		r.each(func(field int) {
			if field == 0 {
				f.name = string(r.bytes("name"))
			} else {
				f.id = r.int()
			}
		})
		t.fields = append(t.fields, f)
	}
}

// count reads how many elements there are, each of at least a byte.
func (r *gobReader) count() uint64 {
	n := r.uint()
	if left := uint64(len(r.b) - r.at); r.err == nil && n > left {
		r.fail("%d elements in %d bytes", n, left)
		return 0
	}
	return n
}

// structure reads a struct's value.
func (r *gobReader) structure(t *gobType) []gobText {
	var all []gobText
	r.each(func(field int) {
		if field >= len(t.fields) {
			r.fail("field %d of a struct with %d", field, len(t.fields))
			return
		}
		f := t.fields[field]
		all = append(all, gobText{f.name, r.value(f.id)})
	})
	return all
}

// value reads a value and returns it as text; as "…" once there is enough of it.
func (r *gobReader) value(id int64) string {
	if r.depth++; r.depth > maxGobDepth {
		r.fail("values nested deeper than %d", maxGobDepth)
	}
	text := r.inner(id)
	r.depth--
	if r.written > maxGobText {
		return "…"
	}
	r.written += len(text)
	return text
}

func (r *gobReader) inner(id int64) string {
	if r.err != nil {
		return ""
	}
	if _, ok := gobBasic[id]; ok {
		return r.basic(id)
	}
	t := r.typ(id)
	if t == nil {
		r.fail("type %d was not described", id)
		return ""
	}
	switch t.kind {
	case gobStruct:
		m := gobMessage{name: t.name, fields: r.structure(t)}
		return m.String()
	case gobMap:
		return "{" + r.list(r.count(), func() string { return r.value(t.key) + ": " + r.value(t.elem) }) + "}"
	case gobOpaque:
		return "0x" + hex.EncodeToString(limited(r.bytes("value")))
	}
	return "[" + r.list(r.count(), func() string { return r.value(t.elem) }) + "]"
}

// list reads n elements; those that would be too much text are not kept.
func (r *gobReader) list(n uint64, element func() string) string {
	var all []string
	for ; n > 0 && r.err == nil; n-- {
		if text := element(); r.written <= maxGobText {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func (r *gobReader) basic(id int64) string {
	switch gobBasic[id] {
	case "bool":
		return strconv.FormatBool(r.uint() != 0)
	case "int":
		return strconv.FormatInt(r.int(), 10)
	case "uint":
		return strconv.FormatUint(r.uint(), 10)
	case "float":
		return r.float()
	case "complex":
		return "(" + r.float() + "," + r.float() + "i)"
	case "interface":
		return r.iface()
	}
	return strconv.Quote(string(limited(r.bytes("value")))) // string and []byte
}

// float reads one: its bytes come in reverse, since zeros at the end are common.
func (r *gobReader) float() string {
	return strconv.FormatFloat(math.Float64frombits(bits.ReverseBytes64(r.uint())), 'g', -1, 64)
}

// iface reads a value with its type: a name, descriptions that are new, the
// type's id, a length, the value.
func (r *gobReader) iface() string {
	name := string(r.bytes("name"))
	if name == "" {
		return "nil"
	}
	id := r.int()
	for ; id < 0 && r.err == nil; id = r.int() {
		r.define(-id)
		if r.err == nil && r.at == len(r.b) {
			r.err = errGobGoesOn
		}
		r.uint() // the next message's length
	}
	r.uint() // the value's length
	if !r.typ(id).is(gobStruct) {
		r.uint() // a 0 before what is no struct
	}
	return name + "(" + r.value(id) + ")"
}

func limited(b []byte) []byte { return b[:min(len(b), maxGobText)] }
