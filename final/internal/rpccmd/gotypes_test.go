package rpccmd

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/introspect"
)

func describedTypes(types ...*introspect.Type) *goTypes {
	d := &introspect.DescribeReply{Types: types}
	return &goTypes{described: typesByName(d), made: map[string]reflect.Type{}}
}

func TestGoTypes_MakesATypeThatReadsTheSameJSONAndGob(t *testing.T) {
	g := describedTypes(
		&introspect.Type{Name: "a.Outer", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{
			{GoName: "Base", Type: "a.Base", Inline: true},
			{GoName: "hidden", Type: "a.Base", Inline: true},
			{Name: "ids", GoName: "IDs", Type: "[]a.ID", Omitempty: true},
			{Name: "n", GoName: "N", Type: "int64", Quoted: true},
			{GoName: "Secret", Type: "*string"},
			{Name: "-", GoName: "Dash", Type: "map[string][]byte"},
			{Name: "f", GoName: "F", Type: "func()"},
			{Name: "at", GoName: "At", Type: "time.Time"},
		}},
		&introspect.Type{Name: "a.Base", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{{Name: "b", GoName: "B", Type: "[2]bool"}}},
		&introspect.Type{Name: "[]a.ID", Kind: "slice", Elem: "a.ID"},
		&introspect.Type{Name: "a.ID", Kind: "uint16", Package: "x/a"},
		&introspect.Type{Name: "*string", Kind: "pointer", Elem: "string"},
		&introspect.Type{Name: "map[string][]byte", Kind: "map", Key: "string", Elem: "[]byte"},
		&introspect.Type{Name: "[]byte", Kind: "bytes", Elem: "uint8"},
		&introspect.Type{Name: "[2]bool", Kind: "array", Elem: "bool", Len: 2},
		&introspect.Type{Name: "func()", Kind: "func"},
		&introspect.Type{Name: "time.Time", Kind: "struct", Package: "time", GobEncoding: true},
	)
	made, err := g.of("a.Outer")
	require.NoError(t, err)
	assert.Equal(t, `struct { struct { B [2]bool "json:\"b\"" }; `+
		`IDs []uint16 "json:\"ids,omitempty\""; N int64 "json:\"n,string\""; Secret *string "json:\"-\""; `+
		`Dash map[string][]uint8 "json:\"-,\""; At time.Time "json:\"at\"" }`, made.String())
	assert.True(t, made.Field(0).Anonymous)

	value := reflect.New(made).Interface()
	require.NoError(t, decode([]byte(`{"b":[true,false],"ids":[7],"n":"5","-":{"k":"AQI="}}`), value, false))
	assert.Equal(t, int64(5), reflect.ValueOf(value).Elem().Field(2).Int())
}

// What a server says is not to be believed: it may describe what no Go type is.
func TestGoTypes_SaysWhyThereIsNoSuchType(t *testing.T) {
	field := func(goName, typeName string) *introspect.Type {
		return &introspect.Type{Name: "a.T", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{{Name: "f", GoName: goName, Type: typeName}}}
	}
	for _, c := range []struct {
		name  string
		types []*introspect.Type
		want  string
	}{
		{"itself", []*introspect.Type{field("F", "a.T")}, "field F of a.T: a.T contains itself"},
		{"not described", []*introspect.Type{field("F", "a.U")}, "the server did not describe a.U"},
		{"interface", []*introspect.Type{field("F", "any"), {Name: "any", Kind: "interface"}}, "any is an interface"},
		{"own gob", []*introspect.Type{{Name: "a.T", Kind: "struct", Package: "x/a", GobEncoding: true}}, "a.T makes its own gob"},
		{"channel", []*introspect.Type{{Name: "a.T", Kind: "chan", Package: "x/a", Elem: "int"}}, "a.T is a chan"},
		{"bad name", []*introspect.Type{field("not a name", "int")}, "invalid name"},
		{"no name", []*introspect.Type{field("", "int")}, "a.T: "},
		{"unexported", []*introspect.Type{field("f", "int")}, "a.T: "},
		{"huge", []*introspect.Type{{Name: "a.T", Kind: "array", Package: "x/a", Elem: "int", Len: 1 << 40}}, "at most 65536 are allowed"},
		{"negative", []*introspect.Type{{Name: "a.T", Kind: "array", Package: "x/a", Elem: "int", Len: -1}}, "at most 65536 are allowed"},
		{"bad key", []*introspect.Type{{Name: "a.T", Kind: "map", Package: "x/a", Key: "[]byte", Elem: "int"}, {Name: "[]byte", Kind: "bytes"}}, "invalid key type"},
		{"no kind", []*introspect.Type{{Name: "a.T", Package: "x/a", Elem: "int"}}, "a.T is a "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := describedTypes(c.types...).of("a.T")
			assert.ErrorContains(t, err, c.want)
		})
	}
}

// In a few bytes a server can describe types that take all of the memory.
func TestGoTypes_ALiarsTypesAreRefused(t *testing.T) {
	list := func(n int, each func(of string) *introspect.Type) (types []*introspect.Type) {
		for i := range n {
			described := each(fmt.Sprint("T", i+1))
			described.Name = fmt.Sprint("T", i)
			types = append(types, described)
		}
		return append(types, &introspect.Type{Name: fmt.Sprint("T", n), Kind: "int"})
	}
	for want, types := range map[string][]*introspect.Type{
		"a value of T2 takes 28800000000 bytes: at most 67108864 are allowed": list(4, func(of string) *introspect.Type {
			return &introspect.Type{Kind: "array", Elem: of, Len: 60_000}
		}),
		"its types are too many, or too deep in each other": list(40, func(of string) *introspect.Type {
			return &introspect.Type{Kind: "struct", Fields: []*introspect.Field{{Name: "a", GoName: "A", Type: "*" + of}, {Name: "b", GoName: "B", Type: of}}}
		}),
		"too deep in each other": list(2000, func(of string) *introspect.Type { return &introspect.Type{Kind: "slice", Elem: of} }),
	} {
		for i := range 41 {
			types = append(types, &introspect.Type{Name: fmt.Sprint("*T", i), Kind: "slice", Elem: fmt.Sprint("T", i)})
		}
		_, err := describedTypes(types...).of("T0")
		assert.ErrorContains(t, err, want)
	}
}
