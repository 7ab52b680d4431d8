package wire

import (
	"errors"
	"fmt"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// A gobStream follows one direction of gob and remembers the types that it
// describes, as the package comment of encoding/gob lays it down. It has no use
// for Go's decoder, which needs the values' Go types and is not safe against hostile
// bytes: this one reads any type, and no further than the bytes go.
type gobStream struct {
	types map[int64]*gobType
	begun []byte // of a value that goes on in the next message
}

// A gobType is one that the stream has described.
type gobType struct {
	name   string
	kind   gobKind
	elem   int64 // of arrays, slices and maps
	key    int64 // of maps
	length int64 // of arrays
	fields []gobField
}

type gobKind int

const (
	gobArray gobKind = iota
	gobSlice
	gobStruct
	gobMap
	gobOpaque // a type that encodes itself
)

type gobField struct {
	name string
	id   int64
}

// A gobMessage is one message of a stream: it defines a type, or has a value.
type gobMessage struct {
	defines string // "type 65 Request struct{…}"; "" if it has a value
	name    string // the value's type
	fields  []gobText
	text    string // the value, if it is no struct
	goesOn  bool   // the value's end is in the next message
}

// A gobText is a field's value as text.
type gobText struct{ name, text string }

// String returns the value as Go would write it, nearly.
func (m *gobMessage) String() string {
	if m.text != "" {
		return m.text
	}
	var parts []string
	for _, f := range m.fields {
		parts = append(parts, f.name+": "+f.text)
	}
	return m.name + "{" + strings.Join(parts, ", ") + "}"
}

func (m *gobMessage) field(name string) string {
	for _, f := range m.fields {
		if f.name == name {
			return f.text
		}
	}
	return ""
}

// cutGob is a dialect's cut: a gob message begins with its length.
func cutGob(have []byte, size int64, more []byte) (int, bool, error) {
	first := more[0]
	if size > 0 {
		first = have[0]
	}
	head := int64(gobUintSize(first))
	if head > 9 {
		return 0, false, &frames.Error{Reason: "not gob: a length of more than 8 bytes"}
	}
	if size < head {
		n := min(head-size, int64(len(more)))
		return int(n), false, emptyGob(have, size, more[:n], head)
	}
	r := gobReader{b: have}
	total := head + int64(r.uint())
	if total < head {
		return 0, false, &frames.Error{Reason: "not gob: a length of 2^63 bytes or more"}
	}
	n := min(total-size, int64(len(more)))
	return int(n), size+n == total, nil
}

// emptyGob reports a length of 0: every message has a type at least.
func emptyGob(have []byte, size int64, more []byte, head int64) error {
	if size+int64(len(more)) < head {
		return nil
	}
	r := gobReader{b: append(append([]byte(nil), have...), more...)}
	if r.uint() == 0 {
		return &frames.Error{Reason: "not gob: a message of no bytes"}
	}
	return nil
}

// gobUintSize returns how many bytes a number takes that begins with this one.
func gobUintSize(first byte) int {
	if first < 0x80 {
		return 1
	}
	return 1 + 256 - int(first)
}

// read reads one whole message.
func (s *gobStream) read(whole []byte) (gobMessage, error) {
	before := len(s.begun)
	whole = append(s.begun, whole...)
	s.begun = nil
	m, err := s.readWhole(whole)
	if err == errGobGoesOn && len(whole) < keep {
		s.begun = whole
		return gobMessage{goesOn: true}, nil
	}
	return m, shifted(err, -before)
}

func (s *gobStream) readWhole(whole []byte) (gobMessage, error) {
	r := &gobReader{b: whole, stream: s}
	r.uint() // the length
	id := r.int()
	var m gobMessage
	switch {
	case id < 0:
		m.defines = r.define(-id)
	case r.typ(id).is(gobStruct):
		m.name = s.types[id].name
		m.fields = r.structure(s.types[id])
	default:
		r.uint() // a 0 before what is no struct
		m.name, m.text = s.name(id), r.value(id)
	}
	if r.err == nil && r.at < len(r.b) {
		r.fail("%d bytes after the value", len(r.b)-r.at)
	}
	if r.err != nil {
		return gobMessage{}, r.err
	}
	return m, nil
}

// readAll reads the messages of a body: descriptions, then one value.
func (s *gobStream) readAll(body []byte) (string, error) {
	var parts []string
	for at := 0; at < len(body); {
		n, whole, err := 0, false, error(nil)
		for n < len(body)-at && !whole && err == nil {
			var take int
			take, whole, err = cutGob(body[at:at+n], int64(n), body[at+n:])
			n += take
		}
		if err == nil && !whole {
			err = &frames.Error{Offset: n, Reason: "gob: the message is cut short"}
		}
		var m gobMessage
		if err == nil {
			m, err = s.read(body[at : at+n])
		}
		if err != nil {
			return "", shifted(err, at)
		}
		at += n
		switch {
		case m.defines != "":
			parts = append(parts, m.defines)
		case !m.goesOn:
			parts = append(parts, m.String())
		}
	}
	return strings.Join(parts, "; "), nil
}

// errGobGoesOn is the end of a message within a value: where an interface holds
// a type that is new, its description ends the message, and the value follows
// in the next one.
var errGobGoesOn = errors.New("gob: the value goes on in the next message")

// shifted returns an error of what begins at an offset as one of the whole.
func shifted(err error, by int) error {
	if e, ok := err.(*frames.Error); ok {
		return &frames.Error{Offset: max(e.Offset+by, 0), Reason: e.Reason}
	}
	return err
}

// The types that need no description.
var gobBasic = map[int64]string{1: "bool", 2: "int", 3: "uint", 4: "float", 5: "[]byte", 6: "string", 7: "complex", 8: "interface"}

// name returns a type's name or, if it has none, what it is.
func (s *gobStream) name(id int64) string { return s.describe(id, 0) }

func (s *gobStream) describe(id int64, depth int) string {
	if name, ok := gobBasic[id]; ok {
		return name
	}
	t := s.types[id]
	switch {
	case t == nil || depth > maxGobNames:
		return fmt.Sprintf("type%d", id) // its description comes later
	case t.name != "":
		return t.name
	}
	return s.body(t, depth)
}

// body returns what a type is, without its name.
func (s *gobStream) body(t *gobType, depth int) string {
	switch t.kind {
	case gobArray:
		return fmt.Sprintf("[%d]%s", t.length, s.describe(t.elem, depth+1))
	case gobSlice:
		return "[]" + s.describe(t.elem, depth+1)
	case gobMap:
		return fmt.Sprintf("map[%s]%s", s.describe(t.key, depth+1), s.describe(t.elem, depth+1))
	case gobOpaque:
		return "bytes of its own making"
	}
	var fields []string
	for _, f := range t.fields {
		fields = append(fields, f.name+" "+s.describe(f.id, maxGobNames))
	}
	return "struct{" + strings.Join(fields, "; ") + "}"
}

func (t *gobType) is(k gobKind) bool { return t != nil && t.kind == k }
