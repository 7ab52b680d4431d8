package rpccmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/introspect"
)

// goTypes makes Go types of a server's description of its own.
type goTypes struct {
	described map[string]*introspect.Type
	made      map[string]reflect.Type // nil while it is being made
	text      int                     // bytes that the types take written out, as package reflect keeps them
}

// Bounds of what a server says and we would allocate: an array's length in elements,
// the size of a value in bytes, and that of types written out. Of arrays in arrays,
// and structs that have a struct twice, both grow exponentially.
const (
	maxArray = 1 << 16
	maxSize  = 64 << 20
	maxText  = 1 << 20
)

var builtin = map[string]reflect.Type{}

func init() {
	for _, t := range []reflect.Type{
		reflect.TypeFor[bool](), reflect.TypeFor[string](),
		reflect.TypeFor[int](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
		reflect.TypeFor[uint](), reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
		reflect.TypeFor[uintptr](), reflect.TypeFor[float32](), reflect.TypeFor[float64](),
		reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
	} {
		builtin[t.Name()] = t
	}
}

// standard are types of the standard library that encode themselves and are
// linked into this program, by import path and name.
var standard = map[string]reflect.Type{
	"time.Time":                reflect.TypeFor[time.Time](),
	"math/big.Int":             reflect.TypeFor[big.Int](),
	"net/netip.Addr":           reflect.TypeFor[netip.Addr](),
	"encoding/json.RawMessage": reflect.TypeFor[json.RawMessage](),
}

// of returns the Go type called name, or why there cannot be one.
func (g *goTypes) of(name string) (t reflect.Type, err error) {
	if t := builtin[name]; t != nil {
		return t, nil
	}
	if t, begun := g.made[name]; begun {
		if t == nil {
			return nil, fmt.Errorf("%s contains itself, and such a type cannot be made while a program runs", name)
		}
		return t, nil
	}
	d := g.described[name]
	if d == nil {
		return nil, fmt.Errorf("the server did not describe %s", name)
	}
	defer func() { // reflect panics on names and sizes that no Go type has
		if p := recover(); p != nil {
			t, err = nil, fmt.Errorf("%s: %v", name, p)
		}
	}()
	g.made[name] = nil
	if t, err = g.make(d); err != nil {
		return nil, err
	}
	if t.Size() > maxSize {
		return nil, fmt.Errorf("a value of %s takes %d bytes: at most %d are allowed", name, t.Size(), maxSize)
	}
	if g.text += len(t.String()); g.text > maxText {
		return nil, errTooManyTypes
	}
	g.made[name] = t
	return t, nil
}

var errTooManyTypes = errors.New("its types are too many, or too deep in each other")

func (g *goTypes) make(d *introspect.Type) (reflect.Type, error) {
	if t := standard[d.GetPackage()+"."+lastPart(d.GetName())]; t != nil {
		return t, nil
	}
	if d.GetGobEncoding() {
		return nil, fmt.Errorf("%s makes its own gob, and only Go code that has the type can do that", d.GetName())
	}
	if t := builtin[d.GetKind()]; t != nil {
		return t, nil
	}
	switch d.GetKind() {
	case "struct":
		return g.makeStruct(d)
	case "bytes":
		return reflect.TypeFor[[]byte](), nil
	case "interface":
		return nil, fmt.Errorf("%s is an interface, and only Go code that has registered what is in it can carry that", d.GetName())
	}
	return g.makeOf(d)
}

// makeOf makes a type of its element's.
func (g *goTypes) makeOf(d *introspect.Type) (reflect.Type, error) {
	elem, err := g.of(d.GetElem())
	if err != nil {
		return nil, err
	}
	switch d.GetKind() {
	case "pointer":
		return reflect.PointerTo(elem), nil
	case "slice":
		return reflect.SliceOf(elem), nil
	case "array":
		if d.GetLen() < 0 || d.GetLen() > maxArray {
			return nil, fmt.Errorf("an array of %d elements: at most %d are allowed", d.GetLen(), maxArray)
		}
		return reflect.ArrayOf(int(d.GetLen()), elem), nil
	case "map":
		key, err := g.of(d.GetKey())
		if err != nil {
			return nil, err
		}
		return reflect.MapOf(key, elem), nil
	}
	return nil, fmt.Errorf("%s is a %s", d.GetName(), d.GetKind())
}

func (g *goTypes) makeStruct(d *introspect.Type) (reflect.Type, error) {
	var fields []reflect.StructField
	text := 0
	for _, f := range d.GetFields() {
		if kind := g.described[f.GetType()].GetKind(); kind == "func" || kind == "chan" {
			continue // gob leaves it out as well
		}
		if first, _ := utf8.DecodeRuneInString(f.GetGoName()); f.GetInline() && !unicode.IsUpper(first) {
			continue // likewise: embedded, of an unexported type
		}
		t, err := g.of(f.GetType())
		if err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.GetGoName(), d.GetName(), err)
		}
		if text += len(t.String()); text > maxText {
			return nil, errTooManyTypes
		}
		fields = append(fields, reflect.StructField{
			Name: f.GetGoName(), Type: t, Tag: jsonTag(f), Anonymous: f.GetInline(),
		})
	}
	return reflect.StructOf(fields), nil
}

// jsonTag gives a field the name that the server's JSON has.
func jsonTag(f *introspect.Field) reflect.StructTag {
	tag := f.GetName()
	switch {
	case f.GetInline():
		return ""
	case tag == "":
		tag = "-"
	case tag == "-":
		tag = "-,"
	}
	if f.GetOmitempty() {
		tag += ",omitempty"
	}
	if f.GetQuoted() {
		tag += ",string"
	}
	return reflect.StructTag("json:" + strconv.Quote(tag))
}

// lastPart returns a type's name without its package's.
func lastPart(name string) string {
	return name[strings.LastIndexByte(name, '.')+1:]
}
