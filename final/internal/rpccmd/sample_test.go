package rpccmd

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/internal/testpb"
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
				{Name: "ids", GoName: "IDs", Type: "[]string"},
			}},
			{Name: "[]string", Kind: "slice", Elem: "string"},
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
		`"parent":null,"any":null,"text":"","own":null,"ids":[]}`, sample(d))
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
	names := &introspect.DescribeReply{
		Method: &introspect.Method{Params: "T0"},
		Types:  []*introspect.Type{{Name: "T0", Kind: "struct"}, {Name: "T1", Kind: "struct", Fields: []*introspect.Field{{Name: strings.Repeat("long", 25_000), Type: "int"}}}},
	}
	for i := range 1000 {
		names.Types[0].Fields = append(names.Types[0].Fields, &introspect.Field{Name: fmt.Sprint("F", i), Type: "T1"})
	}
	assert.Less(t, len(sample(names)), 2<<20, "names")
	keys := &introspect.DescribeReply{Method: &introspect.Method{Params: "M0"}}
	for i := range 40 {
		keys.Types = append(keys.Types, &introspect.Type{Name: fmt.Sprint("M", i), Kind: "map", Key: fmt.Sprint("M", i+1), Elem: "int"})
	}
	assert.Equal(t, `{"":0}`, sample(keys))
}

func TestSample_MessagesInGoTypes(t *testing.T) {
	d := described(t, func(*struct {
		At     *timestamppb.Timestamp
		Things []*wrapperspb.StringValue
		Thing  testpb.Everything
	}) error {
		return nil
	})
	text := sample(d)
	assert.Contains(t, text, `"At":"1970-01-01T00:00:00Z","Things":[""],"Thing":{`)
	assert.Contains(t, text, `"color":"COLOR_NONE","createdAt":null`)
	checkFieldsError(t, d, text, false, "")
}

// A message of proto2 may have fields that it must have.
func TestSample_OfRequiredFields(t *testing.T) {
	d := described(t, func(*descriptorpb.UninterpretedOption_NamePart) error { return nil })
	assert.JSONEq(t, `{"namePart":null,"isExtension":null}`, sample(d))
}
