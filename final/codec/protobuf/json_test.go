package protobuf_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/rpc"
)

// everything has a value in each field.
func everything(t testing.TB) *testpb.Everything {
	t.Helper()
	packed, err := anypb.New(wrapperspb.String("<packed>"))
	require.NoError(t, err)
	object, err := structpb.NewStruct(map[string]any{"a": []any{1.0, nil, true}})
	require.NoError(t, err)
	return &testpb.Everything{
		Large: 9007199254740993, Larger: math.MaxUint64, Data: []byte{0xff, 0xfe}, Ratio: math.Inf(-1),
		Color: testpb.Color_COLOR_RED, Colors: []testpb.Color{0, 1, 7},
		CreatedAt: timestamppb.New(time.Unix(1, 5e8).UTC()), TimeLeft: durationpb.New(-1500 * time.Millisecond),
		Counts: map[string]int64{"a": 1, "b": 1 << 60}, Children: map[int32]*testpb.Everything{-1: {Choice: &testpb.Everything_Number{}}},
		Choice: &testpb.Everything_Nested{Nested: &testpb.Everything{Choice: &testpb.Everything_Text{Text: "<b>"}}},
		Any:    packed, Object: object, Value: structpb.NewStringValue("v"), Mask: &fieldmaskpb.FieldMask{Paths: []string{"time_left"}},
		Wrapped: wrapperspb.Int64(5), Maybe: proto.String(""), OtherName: "other",
	}
}

const everythingJSON = `{"large":"9007199254740993","larger":"18446744073709551615","data":"//4=","ratio":"-Infinity","color":"COLOR_RED",` +
	`"createdAt":"1970-01-01T00:00:01.500Z","timeLeft":"-1.500s","counts":{"a":"1","b":"1152921504606846976"},"children":{"-1":{"number":"0"}},` +
	`"colors":["COLOR_NONE","COLOR_RED",7],"nested":{"text":"<b>"},` +
	`"any":{"@type":"type.googleapis.com/google.protobuf.StringValue","value":"<packed>"},"object":{"a":[1,null,true]},"value":"v",` +
	`"mask":"timeLeft","wrapped":"5","maybe":"","named":"other"}`

func equal(t *testing.T, want, got proto.Message) {
	t.Helper()
	if !proto.Equal(want, got) {
		assert.Fail(t, "messages differ", "want %v\ngot  %v", protojson.Format(want), protojson.Format(got))
	}
}

// A message's JSON is protobuf's, byte for byte the same in every program.
func TestJSON_OfAMessageIsProtobufs(t *testing.T) {
	text, err := rpc.JSON.Append([]byte("head"), everything(t))
	require.NoError(t, err)
	assert.Equal(t, "head"+everythingJSON, string(text))
	got := &testpb.Everything{Choice: &testpb.Everything_Text{Text: "old"}, Large: 1}
	require.NoError(t, rpc.JSON.Decode(text[4:], got))
	equal(t, everything(t), got)
}

func TestJSON_TakesAllThatProtobufAllows(t *testing.T) {
	for text, want := range map[string]*testpb.Everything{
		`{"created_at":"1970-01-01T01:00:01.5+01:00"}`:         {CreatedAt: timestamppb.New(time.Unix(1, 5e8))},
		`{"timeLeft":"3s","large":"7","larger":8}`:             {TimeLeft: durationpb.New(3 * time.Second), Large: 7, Larger: 8},
		`{"color":1,"colors":["COLOR_RED",0]}`:                 {Color: 1, Colors: []testpb.Color{1, 0}},
		`{"color":"COLOR_OF_TOMORROW","large":1}`:              {Large: 1},
		`{"nothing":null}`:                                     {Choice: &testpb.Everything_Nothing{}},
		`{"text":""}`:                                          {Choice: &testpb.Everything_Text{}},
		`{"number":"-9223372036854775808"}`:                    {Choice: &testpb.Everything_Number{Number: math.MinInt64}},
		`{"data":"__4","ratio":"NaN"}`:                         {Data: []byte{0xff, 0xfe}, Ratio: math.NaN()},
		`{"unknown":{"a":[1]},"named":"x","nested":{"new":1}}`: {OtherName: "x", Choice: &testpb.Everything_Nested{Nested: &testpb.Everything{}}},
		`{"other_name":"x","value":null}`:                      {OtherName: "x", Value: structpb.NewNullValue()},
		`{"large":null,"createdAt":null}`:                      {},
		`{}`:                                                   {},
		` null `:                                               {},
		``:                                                     {},
	} {
		got := new(testpb.Everything)
		require.NoError(t, rpc.JSON.Decode([]byte(text), got), text)
		equal(t, want, got)
	}
	for _, text := range []string{
		`{"createdAt":"yesterday"}`, `{"timeLeft":3}`, `{"large":"1.5"}`, `{"text":"a","number":1}`, `{"color":true}`, `{"data":"%"}`,
		`{"any":{"@type":"type.googleapis.com/no.such.Type"}}`, `{"large":1}x`, `[]`, `"a"`, `{`,
	} {
		assert.Error(t, rpc.JSON.Decode([]byte(text), new(testpb.Everything)), text)
	}
}

func TestJSON_OfEachKindOfMessage(t *testing.T) {
	var none *testpb.Everything
	dynamic := dynamicpb.NewMessage(none.ProtoReflect().Descriptor())
	require.NoError(t, rpc.JSON.Decode([]byte(everythingJSON), dynamic))
	for want, v := range map[string]any{
		everythingJSON:           dynamic,
		`null`:                   none,
		`{}`:                     &testpb.Everything{},
		`"1.500s"`:               durationpb.New(1500 * time.Millisecond),
		`"5"`:                    wrapperspb.Int64(5),
		`{"a":1}`:                &structpb.Struct{Fields: map[string]*structpb.Value{"a": structpb.NewNumberValue(1)}},
		`{"Degrees":21.5}`:       &Celsius{Degrees: 21.5},
		`"1970-01-01T00:00:01Z"`: &timestamppb.Timestamp{Seconds: 1},
	} {
		text, err := rpc.JSON.Append(nil, v)
		require.NoError(t, err, want)
		assert.Equal(t, want, string(text))
	}
	_, err := rpc.JSON.Append(nil, wrapperspb.String("\xff"))
	assert.ErrorContains(t, err, "UTF-8")
}

// order is a Go type with messages wherever there can be some.
type order struct {
	Name     string
	At       *timestamppb.Timestamp            `json:"at,omitempty"`
	Main     *testpb.Everything                `json:"main"`
	None     *testpb.Everything                `json:",omitempty"`
	List     []*testpb.Everything              `json:"list"`
	Pair     [2]*durationpb.Duration           `json:"pair"`
	ByName   map[string]*testpb.Everything     `json:"byName"`
	Deep     *[]map[int]*wrapperspb.Int64Value `json:"deep"`
	Anything any                               `json:"anything"`
	Hidden   *testpb.Everything                `json:"-"`
	Plain    plain
	parts
	own *testpb.Everything // not exported, so it does not travel
}

var _ = order{}.own

type plain struct {
	N    int64 `json:",string"`
	Time time.Time
}

type parts struct {
	Left  *durationpb.Duration
	Right int
}

func newOrder(t testing.TB) *order {
	one := &testpb.Everything{Choice: &testpb.Everything_Text{Text: "one"}}
	return &order{
		Name: "<n>", At: timestamppb.New(time.Unix(1, 0)), Main: everything(t), List: []*testpb.Everything{one, nil, {}},
		Pair: [2]*durationpb.Duration{durationpb.New(time.Second)}, ByName: map[string]*testpb.Everything{"a": one},
		Deep: &[]map[int]*wrapperspb.Int64Value{{1: wrapperspb.Int64(5)}}, Anything: "text",
		Plain: plain{N: 7, Time: time.Unix(2, 0).UTC()}, parts: parts{durationpb.New(time.Minute), 3},
	}
}

const orderJSON = `{"Name":"<n>","at":"1970-01-01T00:00:01Z","main":` + everythingJSON + `,"list":[{"text":"one"},null,{}],"pair":["1s",null],` +
	`"byName":{"a":{"text":"one"}},"deep":[{"1":"5"}],"anything":"text","Plain":{"N":"7","Time":"1970-01-01T00:00:02Z"},"Left":"60s","Right":3}`

func TestJSON_OfMessagesWithinGoTypes(t *testing.T) {
	for range 2 { // types are remembered
		text, err := rpc.JSON.Append([]byte("head"), newOrder(t))
		require.NoError(t, err)
		assert.Equal(t, "head"+orderJSON, string(text))
		text, err = rpc.JSON.Append(nil, *newOrder(t))
		require.NoError(t, err)
		assert.Equal(t, orderJSON, string(text))

		var got order
		require.NoError(t, rpc.JSON.Decode(text, &got))
		want := newOrder(t)
		equal(t, want.Main, got.Main)
		equal(t, want.List[0], got.List[0])
		assert.Nil(t, got.List[1])
		assert.Equal(t, want.Plain, got.Plain)
		assert.Equal(t, "text", got.Anything)
		assert.Equal(t, 3, got.Right)
		again, err := rpc.JSON.Append(nil, got)
		require.NoError(t, err)
		assert.Equal(t, orderJSON, string(again))
	}
}

func TestJSON_OfMessagesWithinOtherTypes(t *testing.T) {
	one := &testpb.Everything{Choice: &testpb.Everything_Text{Text: "one"}}
	type node struct{ Next *node } // contains itself, and no message
	type embeds struct {
		*testpb.Everything
		Extra int
	}
	for want, v := range map[string]any{
		`[{"text":"one"}]`:             []*testpb.Everything{one},
		`[{"text":"one"},1,null,"a"]`:  []any{one, 1, nil, "a"},
		`{"a":{"b":[{"text":"one"}]}}`: map[string]any{"a": map[string]any{"b": []any{one}}},
		`{"M":{"text":"one"},"N":{"Next":null}}`: struct {
			M *testpb.Everything
			N node
		}{M: one},
		`{"V":{"text":"one"}}`:                    struct{ V any }{one},
		`{"Everything":{"text":"one"},"Extra":1}`: embeds{one, 1},
		`{"text":"one"}`:                          &one,
	} {
		text, err := rpc.JSON.Append(nil, v)
		require.NoError(t, err, want)
		assert.Equal(t, want, string(text))
	}
	var list []*testpb.Everything
	require.NoError(t, rpc.JSON.Decode([]byte(`[{"text":"one"},null]`), &list))
	equal(t, one, list[0])
	assert.Nil(t, list[1])
	var both embeds
	require.NoError(t, rpc.JSON.Decode([]byte(`{"Everything":{"text":"one"},"Extra":1}`), &both))
	equal(t, one, both.Everything)
	assert.Equal(t, 1, both.Extra)
	var pointer *testpb.Everything
	require.NoError(t, rpc.JSON.Decode([]byte(`{"text":"one"}`), &pointer))
	equal(t, one, pointer)
	require.NoError(t, rpc.JSON.Decode([]byte(`null`), &pointer))
	assert.Nil(t, pointer)
}

// signed embeds a message and has a JSON of its own.
type signed struct{ *structpb.Value }

func (s *signed) MarshalJSON() ([]byte, error) { return []byte(`"signed"`), nil }

func (s *signed) UnmarshalJSON(data []byte) error {
	s.Value = structpb.NewStringValue(string(data))
	return nil
}

// titled embeds a message, and has that one's JSON.
type titled struct{ *structpb.Struct }

// A value of any JSON is a message, too: null is one of its values.
func TestJSON_OfStructpb(t *testing.T) {
	value, err := structpb.NewValue(map[string]any{"a": []any{nil, 1.5, "<b>", true, map[string]any{}}})
	require.NoError(t, err)
	const text = `{"a":[null,1.5,"<b>",true,{}]}`
	type box struct {
		V *structpb.Value
		L *structpb.ListValue `json:",omitempty"`
		M map[string]*structpb.Struct
	}
	for want, v := range map[string]any{
		text:   value,
		`null`: structpb.NewNullValue(),
		`[[null,1.5,"<b>",true,{}],` + text + `]`:   []any{value.GetStructValue().Fields["a"], value},
		`{"V":` + text + `,"M":{"s":` + text + `}}`: &box{V: value, M: map[string]*structpb.Struct{"s": value.GetStructValue()}},
		`{"Any":` + text + `}`:                      struct{ Any any }{value.GetStructValue()},
		` ` + text:                                  titled{value.GetStructValue()},
		`"signed"`:                                  &signed{value},
	} {
		got, err := rpc.JSON.Append(nil, v)
		require.NoError(t, err, "%T", v)
		assert.Equal(t, strings.TrimSpace(want), string(got), "%T", v)
	}
	for _, v := range []*structpb.Value{value, structpb.NewNullValue(), structpb.NewNumberValue(-1)} {
		data, err := rpc.JSON.Append(nil, v)
		require.NoError(t, err)
		got := structpb.NewStringValue("old")
		require.NoError(t, rpc.JSON.Decode(data, got))
		equal(t, v, got)
	}
	var got box
	require.NoError(t, rpc.JSON.Decode([]byte(`{"V":`+text+`,"L":[1],"M":{"s":`+text+`}}`), &got))
	equal(t, value, got.V)
	equal(t, value.GetStructValue(), got.M["s"])
	assert.Len(t, got.L.Values, 1)
	own := new(signed)
	require.NoError(t, rpc.JSON.Decode([]byte(`1`), own))
	assert.Equal(t, "1", own.GetStringValue())
	held := titled{new(structpb.Struct)}
	require.NoError(t, rpc.JSON.Decode([]byte(text), &held))
	equal(t, value.GetStructValue(), held.Struct)
}

// tree contains itself and a message: package reflect cannot make such a type.
type tree struct {
	M    *testpb.Everything
	Next *tree
}

func TestJSON_SaysWhatItCannotDo(t *testing.T) {
	_, err := rpc.JSON.Append(nil, &tree{})
	assert.ErrorContains(t, err, "protobuf_test.tree: a type that contains itself cannot contain messages, unless it is one")
	assert.ErrorContains(t, rpc.JSON.Decode([]byte(`{}`), new(tree)), "contains itself")
	assert.ErrorContains(t, rpc.JSON.Decode([]byte(`{"list":[{"large":"x"}]}`), new(order)), `invalid value for int64`)
	_, err = rpc.JSON.Append(nil, map[string]any{"a": wrapperspb.String("\xff")})
	assert.ErrorContains(t, err, "UTF-8")
}

// A value that contains itself is an error, as it is without messages. To follow it
// would use up the stack, which ends the process.
func TestJSON_AValueThatContainsItselfIsAnError(t *testing.T) {
	one := wrapperspb.String("one")
	object := map[string]any{"one": one}
	object["self"] = object
	list := []any{one, nil}
	list[1] = list
	type box struct{ One, Held any }
	held := &box{One: one}
	held.Held = held
	var pointer any
	pointer = []any{one, &pointer}
	type node struct{ Next *node }
	loop := new(node)
	loop.Next = loop
	for name, v := range map[string]any{
		"map": object, "slice": list, "struct": held, "pointer": &pointer, "beside a message": []any{one, loop},
	} {
		dst, err := rpc.JSON.Append([]byte("head"), v)
		assert.Regexp(t, "contains itself|cycle", err, name)
		assert.Equal(t, "head", string(dst), name)
	}

}

// A message has one JSON, wherever in a value it is found.
func TestJSON_FindsAMessageHoweverDeepItLies(t *testing.T) {
	inSlices := func(v any, depth int) any {
		for range depth {
			v = []any{v}
		}
		return v
	}
	type link struct{ Next any }
	inLinks := func(v any, depth int) any {
		for range depth {
			v = &link{v}
		}
		return v
	}
	inMaps := func(v any, depth int) any {
		for range depth {
			v = map[string]any{"a": v}
		}
		return v
	}
	second := durationpb.New(time.Second)
	for _, depth := range []int{900, 1100} {
		for name, in := range map[string]func(v any, depth int) any{"slices": inSlices, "structs": inLinks, "maps": inMaps} {
			got, err := rpc.JSON.Append(nil, in(second, depth))
			require.NoError(t, err, "%d %s", depth, name)
			want, err := rpc.JSON.Append(nil, in("1s", depth))
			require.NoError(t, err, "%d %s", depth, name)
			assert.True(t, string(want) == string(got), "%d %s", depth, name)
		}
	}
}

// Over the wire, by JSON and by protobuf, a message arrives as it was sent.
func TestJSON_CarriesMessagesAsProtobufDoes(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Same", func(m *testpb.Everything) *testpb.Everything { return m }))
	require.NoError(t, srv.RegisterFunc("Test.Order", func(o *order) *order { return o }))
	addr := serve(t, srv)
	for _, codec := range []rpc.Codec{rpc.JSON, protobuf.Codec} {
		client := dial(t, addr, codec)
		got := &testpb.Everything{Choice: &testpb.Everything_Text{Text: "old"}}
		require.NoError(t, client.Call(t.Context(), "Test.Same", everything(t), got))
		equal(t, everything(t), got)
		require.NoError(t, client.Call(t.Context(), "Test.Same", &testpb.Everything{}, got))
		equal(t, &testpb.Everything{}, got)
	}
	var got order
	require.NoError(t, dial(t, addr, rpc.JSON).Call(t.Context(), "Test.Order", newOrder(t), &got))
	equal(t, newOrder(t).Main, got.Main)
}
