package rpccmd

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/introspect"
)

func TestSample_HasEveryFieldAndEnds(t *testing.T) {
	d := &introspect.DescribeReply{
		Method: &introspect.Method{Params: "a.Order"},
		Types: []*introspect.Type{
			{Name: "a.Order", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{
				{GoName: "Base", Type: "*a.Base", Inline: true},
				{Name: "lines", GoName: "Lines", Type: "[]a.Line"},
				{Name: "by", GoName: "By", Type: "map[int]bool"},
				{Name: "at", GoName: "At", Type: "time.Time"},
				{Name: "big", GoName: "Big", Type: "int64", Quoted: true},
				{GoName: "Hidden", Type: "string"},
				{Name: "parent", GoName: "Parent", Type: "*a.Order"},
				{Name: "any", GoName: "Any", Type: "any"},
				{Name: "text", GoName: "Text", Type: "a.Text"},
				{Name: "own", GoName: "Own", Type: "a.Own"},
			}},
			{Name: "*a.Base", Kind: "pointer", Elem: "a.Base"},
			{Name: "a.Base", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{
				{Name: "id", GoName: "ID", Type: "string"},
				{GoName: "Base", Type: "*a.Base", Inline: true},
			}},
			{Name: "[]a.Line", Kind: "slice", Elem: "a.Line"},
			{Name: "a.Line", Kind: "struct", Package: "x/a", Fields: []*introspect.Field{{Name: "n", GoName: "N", Type: "float64"}}},
			{Name: "map[int]bool", Kind: "map", Key: "int", Elem: "bool"},
			{Name: "time.Time", Kind: "struct", Package: "time", JsonEncoding: "own"},
			{Name: "*a.Order", Kind: "pointer", Elem: "a.Order"},
			{Name: "any", Kind: "interface"},
			{Name: "a.Text", Kind: "int", Package: "x/a", JsonEncoding: "text"},
			{Name: "a.Own", Kind: "int", Package: "x/a", JsonEncoding: "own"},
		},
	}
	assert.JSONEq(t, `{"id":"","lines":[{"n":0}],"by":{"0":false},"at":"2006-01-02T15:04:05Z","big":"0",`+
		`"parent":null,"any":null,"text":"","own":null}`, sample(d))
}

// A server can describe in a few bytes what has no end that a terminal would see.
func TestSample_ALiarsTypesEnd(t *testing.T) {
	for name, kind := range map[string]*introspect.Field{"fields": {}, "embedded": {Inline: true}, "in strings": {Quoted: true}} {
		d := &introspect.DescribeReply{Method: &introspect.Method{Params: "T0"}}
		for i := range 40 {
			of := fmt.Sprint("T", i+1)
			d.Types = append(d.Types, &introspect.Type{Name: fmt.Sprint("T", i), Kind: "struct", Fields: []*introspect.Field{
				{Name: "A", GoName: "A", Type: of, Inline: kind.GetInline(), Quoted: kind.GetQuoted()},
				{Name: "B", GoName: "B", Type: of, Inline: kind.GetInline(), Quoted: kind.GetQuoted()},
			}})
		}
		text := sample(d)
		assert.True(t, json.Valid([]byte(text)), name)
		assert.Less(t, len(text), 1<<20, name)
	}
	keys := &introspect.DescribeReply{Method: &introspect.Method{Params: "M0"}}
	for i := range 40 {
		keys.Types = append(keys.Types, &introspect.Type{Name: fmt.Sprint("M", i), Kind: "map", Key: fmt.Sprint("M", i+1), Elem: "int"})
	}
	assert.Equal(t, `{"":0}`, sample(keys))
}
