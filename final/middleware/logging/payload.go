package logging

import (
	"encoding"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
)

// Bounds of how far a payload is followed. Cycles end at maxDepth; everything that
// is not a pointer writes something, so that the limit of bytes ends the rest.
const (
	maxDepth    = 64
	keyDepth    = 3       // of a map's key
	keyBytes    = 4 << 10 // of keys that are read of a large map, at least
	maxResolves = 100     // slog's own bound
)

// show renders params or a result for a line: as JSON, cut after limit bytes. A
// [slog.LogValuer] anywhere in v, whether its method is the value's or its
// pointer's, is shown as what it says; nothing else of it is.
func show(v any, limit int) string {
	p := &painter{limit: limit}
	value := reflect.ValueOf(v)
	if valuer, ok := methods[slog.LogValuer](value); ok {
		p.guard(value, func() { p.text(slog.AnyValue(valuer)) })
	} else {
		p.value(value)
	}
	return clean(string(p.b), limit)
}

// painter writes what show returns. A value that panics or cannot be shown has a
// note in its place.
type painter struct {
	b     []byte // at most one byte more than limit
	limit int
	depth int
}

func (p *painter) write(text string) {
	p.b = append(p.b, text[:min(len(text), p.limit+1-len(p.b))]...)
}

func (p *painter) full() bool { return len(p.b) > p.limit }

// string writes text as JSON does.
func (p *painter) string(text string) { p.write(quote(text, p.limit)) }

// quote returns a text, or what of it there can be room for, as a JSON string.
func quote(text string, limit int) string {
	data, _ := json.Marshal(text[:min(len(text), limit+1)]) // a string always encodes
	return string(data)
}

// note says why a value is not shown.
func (p *painter) note(v reflect.Value, why string) {
	text := fmt.Sprintf("(a %s that %s)", v.Type(), why)
	if p.depth > 1 {
		p.string(text)
		return
	}
	p.write(text)
}

// guard runs what writes v, which may be a user's code.
func (p *painter) guard(v reflect.Value, write func()) {
	begin, depth := len(p.b), p.depth
	p.depth++
	defer func() {
		if recover() != nil {
			p.b, p.depth = p.b[:begin], depth+1
			p.note(v, "panics when it is encoded")
		}
		p.depth = depth
	}()
	write()
}

// value writes v as JSON.
func (p *painter) value(v reflect.Value) {
	switch {
	case !v.IsValid() || isNil(v):
		p.write("null")
	case p.depth >= maxDepth || p.full():
		p.string("…")
	case v.Kind() == reflect.Interface:
		p.value(v.Elem())
	default:
		p.guard(v, func() {
			if !p.own(v) {
				p.kind(v)
			}
		})
	}
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// own writes v by a method of its type, if it has one.
func (p *painter) own(v reflect.Value) bool {
	if !ownKind(v.Type()) {
		return false
	}
	if !v.CanInterface() {
		p.note(v, "is not exported")
		return true
	}
	if valuer, ok := methods[slog.LogValuer](v); ok {
		p.logValue(slog.AnyValue(valuer))
	} else if message, ok := methods[proto.Message](v); ok && isMessage(v.Type()) {
		p.message(message.ProtoReflect())
	} else if m, ok := methods[json.Marshaler](v); ok {
		p.encoded(v, m.MarshalJSON)
	} else if m, ok := methods[encoding.TextMarshaler](v); ok {
		p.encoded(v, func() ([]byte, error) {
			text, err := m.MarshalText()
			if err != nil {
				return nil, err
			}
			return json.Marshal(string(text))
		})
	} else if err, ok := methods[error](v); ok {
		p.string(withoutHidden(err, err.Error))
	} else { // a slog.Value
		p.logValue(v.Interface().(slog.Value))
	}
	return true
}

// encoded writes the JSON that v makes of itself. Where a LogValuer may be in v,
// it may have written that out.
func (p *painter) encoded(v reflect.Value, encode func() ([]byte, error)) {
	if mayHold(v.Type(), map[reflect.Type]bool{}) {
		p.note(v, "encodes itself and may hold a slog.LogValuer: make it one")
		return
	}
	p.json(v, encode)
}

func (p *painter) json(v reflect.Value, encode func() ([]byte, error)) {
	data, err := encode()
	if err == nil {
		data, err = compact(data)
	}
	if err != nil {
		p.note(v, "is not encoded as JSON")
		return
	}
	p.write(string(data))
}

// kind writes a value that leaves it to others.
func (p *painter) kind(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		p.value(v.Elem())
	case reflect.Struct:
		p.fields(v)
	case reflect.Map:
		p.entries(v)
	case reflect.Slice, reflect.Array:
		p.elements(v)
	case reflect.String:
		if number := v.String(); v.Type() == reflect.TypeFor[json.Number]() && json.Valid([]byte(number)) {
			p.write(number)
			return
		}
		p.string(v.String())
	default:
		p.scalar(v)
	}
}

func (p *painter) scalar(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Bool:
		p.write(strconv.FormatBool(v.Bool()))
	case v.CanInt():
		p.write(strconv.FormatInt(v.Int(), 10))
	case v.CanUint():
		p.write(strconv.FormatUint(v.Uint(), 10))
	case v.Kind() == reflect.Float32:
		p.json(v, func() ([]byte, error) { return json.Marshal(float32(v.Float())) })
	case v.Kind() == reflect.Float64:
		p.json(v, func() ([]byte, error) { return json.Marshal(v.Float()) })
	default:
		p.note(v, "is not encoded as JSON")
	}
}

func (p *painter) elements(v reflect.Value) {
	slice := v.Kind() == reflect.Slice
	switch {
	case slice && v.IsNil():
		p.write("null")
		return
	case slice && v.Type().Elem().Kind() == reflect.Uint8 && !ownKind(v.Type().Elem()):
		p.base64(v.Bytes())
		return
	}
	p.list(v.Len(), func(i int) { p.value(v.Index(i)) })
}

func (p *painter) base64(data []byte) {
	p.string(base64.StdEncoding.EncodeToString(data[:min(len(data), p.limit+1)]))
}

// list writes an array of n elements, as far as there is room.
func (p *painter) list(n int, write func(i int)) {
	p.write("[")
	for i := 0; i < n && !p.full(); i++ {
		if i > 0 {
			p.write(",")
		}
		write(i)
	}
	p.write("]")
}

// member is a key, as a JSON string, and what writes its value.
type member struct {
	key   string
	write func()
}

// object writes members, as far as there is room.
func (p *painter) object(members []member) {
	p.write("{")
	for i, m := range members {
		if p.full() {
			break
		}
		if i > 0 {
			p.write(",")
		}
		p.write(m.key + ":")
		m.write()
	}
	p.write("}")
}

// entries writes a map, sorted by its keys. If it is too large to be shown, not
// all keys are looked at.
func (p *painter) entries(v reflect.Value) {
	if v.IsNil() {
		p.write("null")
		return
	}
	var members []member
	room := max(p.limit, keyBytes)
	for at := v.MapRange(); room > 0 && at.Next(); {
		key, value := p.key(at.Key()), at.Value()
		room -= len(key)
		members = append(members, member{key, func() { p.value(value) }})
	}
	p.object(sorted(members))
}

func sorted(members []member) []member {
	slices.SortFunc(members, func(a, b member) int {
		return strings.Compare(strings.Trim(a.key, `"`), strings.Trim(b.key, `"`))
	})
	return members
}

// key returns a map's key as a JSON string.
func (p *painter) key(v reflect.Value) string {
	k := painter{limit: p.limit, depth: max(p.depth, maxDepth-keyDepth)}
	k.value(v)
	if len(k.b) > 0 && k.b[0] == '"' {
		return string(k.b)
	}
	return quote(string(k.b), p.limit)
}

func (p *painter) fields(v reflect.Value) {
	var members []member
	for _, f := range fieldsOf(v.Type()) {
		value, found := f.of(v)
		if !found {
			continue
		}
		write := func() { p.value(value) }
		if f.quoted && !isNil(value) {
			write = func() { p.quoted(value) }
		}
		members = append(members, member{quote(f.name, p.limit), write})
	}
	p.object(members)
}

// quoted writes a value in a string, as the option of that name in a json tag asks for.
func (p *painter) quoted(v reflect.Value) {
	inner := painter{limit: p.limit, depth: p.depth}
	inner.value(v)
	p.string(string(inner.b))
}

// text writes what a LogValue returned, as slog's own text does.
func (p *painter) text(v slog.Value) {
	v, ok := resolve(v)
	switch {
	case !ok:
		p.write("(a slog.LogValuer without end)")
	case v.Kind() == slog.KindAny:
		p.value(reflect.ValueOf(v.Any()))
	case v.Kind() != slog.KindGroup:
		p.write(v.String())
	case p.depth >= maxDepth:
		p.write("…")
	default:
		p.write("[")
		for i, attr := range v.Group() {
			if p.full() {
				break
			}
			if i > 0 {
				p.write(" ")
			}
			p.write(attr.Key + "=")
			p.guard(reflect.ValueOf(attr.Value), func() { p.text(attr.Value) })
		}
		p.write("]")
	}
}

// logValue writes what a LogValue returned, as JSON.
func (p *painter) logValue(v slog.Value) {
	v, ok := resolve(v)
	switch {
	case !ok:
		p.string("(a slog.LogValuer without end)")
	case v.Kind() == slog.KindGroup:
		var members []member
		for _, attr := range v.Group() {
			members = append(members, member{quote(attr.Key, p.limit), func() { p.value(reflect.ValueOf(attr.Value)) }})
		}
		p.object(members)
	case v.Kind() == slog.KindDuration:
		p.string(v.String())
	case v.Kind() == slog.KindTime:
		p.string(v.Time().Format(time.RFC3339Nano))
	default:
		p.value(reflect.ValueOf(v.Any()))
	}
}

// resolve asks a LogValuer until there is none. It returns false if that does not end.
func resolve(v slog.Value) (slog.Value, bool) {
	for range maxResolves {
		if v.Kind() != slog.KindLogValuer {
			return v, true
		}
		v = v.LogValuer().LogValue()
	}
	return v, false
}
