package logging_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"math/big"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/apipb"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/typepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/rpc"
)

// The types that hide the text "secret" from logs, each in a way of its own.
type (
	secret      string                    // by its value
	secretPtr   struct{ Text string }     // by its pointer
	secretByte  byte                      // in a slice that JSON would encode in base64
	group       struct{ Token secret }    // by a group with another LogValuer in it
	deepGroup   struct{ Inner any }       // by a group in a group
	panicking   struct{ Text string }     // not at all: it panics
	itself      struct{ Text string }     // not at all: it returns itself
	endless     struct{ Text string }     // by groups without end
	wrapped     struct{ text secret }     // by its fields, but not in its JSON
	tidy        struct{ Text string }     // by its JSON
	textOnly    struct{ Text string }     // by its text
	failure     struct{ Password string } // by its error's text
	hidden      struct{ Text string }     // embedded without being exported
	shadowed    struct{ Text, Other string }
	spoken      struct{ Text string }  // by its pointer, but not in the text of its value
	sayings     []secret               // by its elements, but not in its text
	formatted   struct{ text secret }  // by its field, but not in its text
	badLogin    struct{ Text string }  // by its value, but not in its error's text
	lazy[T any] struct{ get func() T } // by what it returns, but not in its JSON
)

func (secret) LogValue() slog.Value     { return slog.StringValue("***") }
func (*secretPtr) LogValue() slog.Value { return slog.StringValue("***") }
func (secretByte) LogValue() slog.Value { return slog.IntValue(0) }
func (g group) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", "ann"), slog.Any("token", g.Token), slog.Any("struct", struct{ T secret }{g.Token}))
}
func (g deepGroup) LogValue() slog.Value {
	return slog.GroupValue(slog.Group("inner", slog.Any("value", g.Inner), slog.Any("list", []any{g.Inner})))
}
func (panicking) LogValue() slog.Value { panic("secret") }
func (i itself) LogValue() slog.Value  { return slog.AnyValue(i) }
func (e endless) LogValue() slog.Value { return slog.GroupValue(slog.Any("", e), slog.Any("", e)) }
func (w wrapped) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"text": string(w.text)})
}
func (tidy) MarshalJSON() ([]byte, error)      { return []byte(`{ "tidy": true }`), nil }
func (textOnly) MarshalText() ([]byte, error)  { return []byte("only this"), nil }
func (failure) Error() string                  { return "no such user" }
func (hidden) LogValue() slog.Value            { return slog.StringValue("***") }
func (*spoken) LogValue() slog.Value           { return slog.StringValue("***") }
func (s spoken) String() string                { return s.Text }
func (s sayings) String() string               { return fmt.Sprintf("%q", []secret(s)) }
func (f formatted) Format(s fmt.State, _ rune) { io.WriteString(s, string(f.text)) }
func (badLogin) LogValue() slog.Value          { return slog.StringValue("***") }
func (b badLogin) Error() string               { return "login with " + b.Text }
func (l lazy[T]) MarshalJSON() ([]byte, error) { return json.Marshal(l.get()) }

// Structs that embed several LogValuers, so that none is promoted.
type (
	embeds struct {
		hidden
		Other hidden
		B     int
	}
	twice struct {
		hidden
		group
		A int
	}
)

// hiding is values of these types, and such that hold some.
var hiding = map[string]any{
	"value":               secret("secret"),
	"pointer":             &secretPtr{"secret"},
	"pointer's value":     secretPtr{"secret"},
	"bytes":               []secretByte("secret"),
	"byte array":          [6]secretByte{'s', 'e', 'c', 'r', 'e', 't'},
	"map key":             map[secret]int{"secret": 1},
	"group":               group{"secret"},
	"group in group":      deepGroup{secret("secret")},
	"value in group":      deepGroup{secretPtr{"secret"}},
	"group in list":       deepGroup{[]group{{"secret"}}},
	"attributes":          []slog.Attr{slog.Any("a", secret("secret"))},
	"slog's value":        struct{ V slog.Value }{slog.AnyValue(secret("secret"))},
	"panic":               panicking{"secret"},
	"itself":              itself{"secret"},
	"endless":             endless{"secret"},
	"own JSON":            wrapped{"secret"},
	"key's own JSON":      map[string]any{"k": &wrapped{"secret"}},
	"error":               failure{"secret"},
	"promoted":            embeds{hidden: hidden{"secret"}, Other: hidden{"secret"}},
	"embedded":            twice{hidden: hidden{"secret"}, group: group{"secret"}},
	"nil in an interface": (*secretPtr)(nil),
	"pointer of a text":   spoken{"secret"},
	"list with a text":    sayings{"secret"},
	"formatted":           formatted{"secret"},
	"error that hides":    badLogin{"secret"},
	"error around one":    fmt.Errorf("twice: %w", fmt.Errorf("ann: %w", badLogin{"secret"})),
	"errors joined":       errors.Join(errors.New("a"), badLogin{"secret"}),
	"function":            lazy[hidden]{func() hidden { return hidden{"secret"} }},
	"pointer's function":  &lazy[*hidden]{func() *hidden { return &hidden{"secret"} }},
}

// shown returns what a server logs of a result. One that is an error fails the call.
func shown(t *testing.T, v any, limit int) string {
	t.Helper()
	var log lines
	srv := rpc.NewServer(log.logger(logging.WithPayloads(limit)).ServerOptions())
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Show", func() any { return v }))
	srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Show", Codec: rpc.JSON})
	for _, line := range log.all(t) {
		if line["msg"] == "call served" {
			text, ok := line["result"].(string)
			if !ok {
				text, _ = line["error"].(string)
			}
			return text
		}
	}
	t.Fatal("no line was logged")
	return ""
}

func TestPayloads_NoSecretIsShownHoweverDeepItLies(t *testing.T) {
	wraps := map[string]func(v any) any{
		"plain":      func(v any) any { return v },
		"struct":     func(v any) any { return struct{ F any }{v} },
		"map":        func(v any) any { return map[string]any{"k": v} },
		"slice":      func(v any) any { return []any{v} },
		"array":      func(v any) any { return [2]any{v, v} },
		"pointer":    func(v any) any { return &v },
		"pointers":   func(v any) any { p := &v; q := &p; return &q },
		"group":      func(v any) any { return deepGroup{v} },
		"everything": func(v any) any { return []any{map[int]any{1: struct{ P *any }{&v}}, deepGroup{[]any{v}}} },
	}
	for valueName, value := range hiding {
		for wrapName, wrap := range wraps {
			text := shown(t, wrap(value), 5000)
			assert.NotContains(t, text, "secret", "%s in %s", valueName, wrapName)
			assert.NotContains(t, text, "c2VjcmV0", "%s in %s: base64", valueName, wrapName)
			assert.NotContains(t, text, "115,101,99", "%s in %s: bytes", valueName, wrapName)
			assert.NotEmpty(t, text, "%s in %s", valueName, wrapName)
			assert.LessOrEqual(t, len(text), 5000+len("…"))
		}
	}
}

func TestPayloads_TypedFieldsAreResolvedAsTheValuesInThem(t *testing.T) {
	type Base struct {
		Token secretPtr
		Name  string `json:"name"`
	}
	type request struct {
		Base
		*shadowed
		Text  struct{} `json:"Text,omitzero"` // takes the place of shadowed's, and is left out
		Plain secretPtr
		Map   map[string]secretPtr
		List  []secretPtr
		Array [1]secretPtr
		Ptr   *secretPtr
		Keys  map[secret]bool
		Skip  secretPtr `json:"-"`
		own   secretPtr
	}
	s := secretPtr{"secret"}
	r := request{
		Base: Base{s, "ann"}, shadowed: &shadowed{"secret", "seen"}, Plain: s, Map: map[string]secretPtr{"k": s}, List: []secretPtr{s},
		Array: [1]secretPtr{s}, Ptr: &s, Keys: map[secret]bool{"secret": true}, Skip: s, own: s,
	}
	want := `{"Token":"***","name":"ann","Other":"seen","Plain":"***","Map":{"k":"***"},"List":["***"],"Array":["***"],"Ptr":"***","Keys":{"***":true}}`
	assert.Equal(t, want, shown(t, r, 1000))
	assert.Equal(t, want, shown(t, &r, 1000))
}

func TestPayloads_AreShownAsJSON(t *testing.T) {
	type named struct {
		A    int    `json:"a"`
		B    string `json:"b,omitempty"`
		C    []byte `json:",omitempty"`
		D    int64  `json:"d,string"`
		E    *int   `json:"e"`
		F    any
		When time.Time `json:"when,omitzero"`
		G    map[int]string
	}
	type tagged struct {
		//lint:ignore SA5008 what encoding/json makes of it
		A string `json:"it's"`
		//lint:ignore SA5008 what encoding/json makes of it
		B string `json:"a\\b"`
		//lint:ignore SA5008 what encoding/json makes of it
		C string `json:"q\"x"`
		D string "json:\"`d`,omitempty\""
		E string `json:"ok-name/$%"`
		F string `json:" sp ace"`
		//lint:ignore SA5008 what encoding/json makes of it
		G string  `json:"-,"`
		H string  `json:",string"`
		I *string `json:"i,string"`
		//lint:ignore SA5008 what encoding/json makes of it
		J []int       `json:"j,string"`
		K bool        `json:"k,string"`
		L *uint8      `json:"l,string"`
		M json.Number `json:",string"`
	}
	text := `"quoted" <b>`
	for name, v := range map[string]any{
		"tags":        tagged{A: "1", B: "2", C: "3", D: "4", E: "5", F: "6", G: "7", H: text, I: &text, J: []int{8}, K: true, M: "12"},
		"struct":      named{A: 1, C: []byte("data"), D: 1 << 60, F: []any{nil, true, 1.5, "<x>\n\xff", uint8(3)}, G: map[int]string{2: "b", 10: "a"}},
		"empty":       named{B: "b", When: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)},
		"nil":         (*named)(nil),
		"nil slice":   []int(nil),
		"nil map":     map[string]int(nil),
		"numbers":     []any{int8(-1), uint64(math.MaxUint64), float32(0.1), 1e300, json.Number("12.50")},
		"raw":         json.RawMessage(`{ "a": [1, 2] }`),
		"big":         big.NewInt(1 << 40),
		"own JSON":    []tidy{{}},
		"own text":    map[string]textOnly{"k": {}},
		"text":        textOnly{"secret"},
		"byte arrays": [3]byte{1, 2, 3},
		"duration":    time.Second,
	} {
		want, err := json.Marshal(v)
		require.NoError(t, err, name)
		assert.Equal(t, string(want), shown(t, v, 5000), name)
	}
}

func TestPayloads_OddValuesEndNoCall(t *testing.T) {
	type node struct {
		Next  *node
		Any   any
		Slice []any
	}
	ring := &node{}
	ring.Next, ring.Any = ring, ring
	list := []any{nil}
	list[0] = list
	table := map[string]any{}
	table["k"] = table
	keys := map[any]any{} // whose keys lead to the map again, and again
	way := &keys
	keys[way], keys[&way], keys[[2]any{way, &way}] = 1, 2, 3
	type loop *loop
	var pointers loop
	pointers = &pointers
	var nobody *failure
	for name, v := range map[string]any{
		"ring": ring, "list": list, "map": table, "pointers": pointers, "keys of keys": keys, "chan": make(chan int), "func": []any{func() {}},
		"NaN": math.NaN(), "infinite": []float64{math.Inf(1)}, "nil error": []any{nobody}, "bad raw": json.RawMessage("{"), "bad number": json.Number("secret"),
		"panics": []any{panicking{}, tricky{}, &tricky{}}, "huge": strings.Repeat("x", 1<<20), "wide": make([]struct{}, 1<<20),
		"many": map[int]struct{}{1: {}, 2: {}}, "complex": 1i, "error": errors.New("x"), "keys": map[tricky]int{{}: 1}, "any keys": map[any]int{1: 1},
		"zero value": struct{ V slog.Value }{},
	} {
		text := shown(t, v, 2000)
		assert.NotEmpty(t, text, name)
		assert.LessOrEqual(t, len(text), 2000+len("…"), name)
	}
}

// tricky panics whatever is asked of it.
type tricky struct{ _ int }

func (tricky) LogValue() slog.Value         { panic(fmt.Sprintf("%d", 1)) }
func (tricky) MarshalJSON() ([]byte, error) { panic("x") }
func (tricky) MarshalText() ([]byte, error) { panic("x") }
func (tricky) Error() string                { panic("x") }
func (tricky) IsZero() bool                 { panic("x") }

func TestPanic_AMessageThatContainsItselfHasANote(t *testing.T) {
	list := &structpb.ListValue{}
	list.Values = []*structpb.Value{structpb.NewListValue(list)}
	assert.Equal(t, "panic: (a *structpb.ListValue that is not encoded as JSON)", panicked(t, list))
}

func TestPayloads_AZeroThatPanicsEndsNoCall(t *testing.T) {
	type holder struct {
		T tricky `json:",omitzero"`
	}
	assert.NotEmpty(t, shown(t, holder{}, 1000))
}

func TestPayloads_ProtobufSaysWhatIsNotForLogs(t *testing.T) {
	file := &descriptorpb.FileDescriptorProto{}
	require.NoError(t, prototext.Unmarshal([]byte(`
		name: "login.proto" package: "logintest" syntax: "proto3" dependency: "google/protobuf/any.proto" dependency: "google/protobuf/duration.proto"
		message_type { name: "Login"
			field { name: "user" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "user" }
			field { name: "pass_word" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "passWord" options { debug_redact: true } }
			field { name: "again" number: 3 type: TYPE_MESSAGE type_name: ".logintest.Login" label: LABEL_REPEATED json_name: "again" }
			field { name: "more" number: 4 type: TYPE_MESSAGE type_name: ".google.protobuf.Any" label: LABEL_OPTIONAL json_name: "more" }
			field { name: "wait" number: 5 type: TYPE_MESSAGE type_name: ".google.protobuf.Duration" label: LABEL_OPTIONAL json_name: "wait" }
			field { name: "kind" number: 6 type: TYPE_ENUM type_name: ".logintest.Kind" label: LABEL_OPTIONAL json_name: "kind" }
			field { name: "large" number: 7 type: TYPE_INT64 label: LABEL_OPTIONAL json_name: "large" }
			field { name: "data" number: 8 type: TYPE_BYTES label: LABEL_OPTIONAL json_name: "data" }
		}
		enum_type { name: "Kind" value { name: "NONE" number: 0 } value { name: "SOME" number: 1 } }
	`), file))
	desc, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	require.NoError(t, err)
	login := dynamicpb.NewMessageType(desc.Messages().Get(0))
	message := func(text string) proto.Message {
		m := login.New().Interface()
		require.NoError(t, prototext.Unmarshal([]byte(text), m))
		return m
	}
	m := message(`user: "ann" pass_word: "secret" again { pass_word: "secret" user: "bob" } wait { seconds: 2 } kind: SOME large: 5 data: "\001\002"`)
	want := `{"user":"ann","passWord":"[redacted]","again":[{"user":"bob","passWord":"[redacted]"}],"wait":"2s","kind":"SOME","large":"5","data":"AQI="}`
	assert.Equal(t, want, shown(t, m, 1000))
	assert.Equal(t, `[`+want+`]`, shown(t, []any{m}, 1000))
	assert.Equal(t, `[inner=[value=`+want+` list=[`+want+`]]]`, shown(t, deepGroup{m}, 1000))
	assert.Equal(t, `{"Message":`+want+`,"Extra":1}`, shown(t, struct {
		proto.Message
		Extra int
	}{m, 1}, 1000), "a struct that embeds a message is none")
	assert.Equal(t, `panic: `+want, panicked(t, m))
	assert.Equal(t, `panic: {"M":`+want+`}`, panicked(t, struct{ M proto.Message }{m}))

	// What an Any holds may not be known here.
	body, err := proto.Marshal(message(`pass_word: "secret"`))
	require.NoError(t, err)
	unknown := &anypb.Any{TypeUrl: "type.googleapis.com/logintest.Login", Value: body}
	assert.Equal(t, `{"@type":"type.googleapis.com/logintest.Login"}`, shown(t, unknown, 1000))
	known, err := anypb.New(durationpb.New(time.Second))
	require.NoError(t, err)
	assert.Equal(t, `{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}`, shown(t, known, 1000))
}

// Types of google.protobuf may hold others, most of them in an Any.
func TestPayloads_RedactedFieldsAreSoInMessagesOfGooglesPackage(t *testing.T) {
	file := &descriptorpb.FileDescriptorProto{}
	require.NoError(t, prototext.Unmarshal([]byte(`
		name: "marked.proto" package: "markedtest" syntax: "proto3"
		message_type { name: "Marked"
			field { name: "text" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL json_name: "text" options { debug_redact: true } }
		}
	`), file))
	desc, err := protodesc.NewFile(file, protoregistry.GlobalFiles)
	require.NoError(t, err)
	marked := dynamicpb.NewMessageType(desc.Messages().Get(0))
	if _, err := protoregistry.GlobalTypes.FindMessageByName("markedtest.Marked"); err != nil { // with -count it is there
		require.NoError(t, protoregistry.GlobalTypes.RegisterMessage(marked))
	}
	m := marked.New().Interface()
	require.NoError(t, prototext.Unmarshal([]byte(`text: "secret"`), m))
	held, err := anypb.New(m)
	require.NoError(t, err)
	option := &typepb.Option{Name: "x", Value: held}
	again, err := anypb.New(option)
	require.NoError(t, err)
	for name, v := range map[string]proto.Message{
		"any": held, "option": option, "any of an option": again, "method": &apipb.Method{Options: []*typepb.Option{option}}, "type": &typepb.Type{Options: []*typepb.Option{option}},
		"enum": &typepb.Enum{Enumvalue: []*typepb.EnumValue{{Options: []*typepb.Option{option}}}}, "field": &typepb.Field{Options: []*typepb.Option{option}},
		"api": &apipb.Api{Methods: []*apipb.Method{{Options: []*typepb.Option{option}}}},
	} {
		for _, text := range []string{shown(t, v, 5000), panicked(t, v), shown(t, deepGroup{v}, 5000)} {
			assert.Contains(t, text, `"[redacted]"`, name)
			assert.NotContains(t, text, "secret", name)
			assert.NotContains(t, text, "c2VjcmV0", name)
		}
	}
}

func TestPayloads_WellKnownTypesHaveTheirOwnForm(t *testing.T) {
	at := timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	fields, err := structpb.NewStruct(map[string]any{"a": []any{1.5, "x", nil, true}})
	require.NoError(t, err)
	for want, m := range map[string]proto.Message{
		`"2026-01-02T03:04:05Z"`: at, `"1.500s"`: durationpb.New(1500 * time.Millisecond), `"a,b"`: &fieldmaskpb.FieldMask{Paths: []string{"a", "b"}}, `{}`: &emptypb.Empty{},
		`true`: wrapperspb.Bool(true), `"12"`: wrapperspb.Int64(12), `12`: wrapperspb.Int32(12), `"13"`: wrapperspb.UInt64(13), `13`: wrapperspb.UInt32(13),
		`1.5`: wrapperspb.Double(1.5), `2.5`: wrapperspb.Float(2.5), `"s"`: wrapperspb.String("s"), `"AQ=="`: wrapperspb.Bytes([]byte{1}),
		`{"a":[1.5,"x",null,true]}`: fields, `[null]`: &structpb.ListValue{Values: []*structpb.Value{structpb.NewNullValue()}}, `"v"`: structpb.NewStringValue("v"),
	} {
		assert.Equal(t, want, shown(t, m, 1000))
	}
}

func TestPanic_ValueThatHidesItselfIsHidden(t *testing.T) {
	type login struct {
		User     string
		Password secret
	}
	params := login{"ann", "secret"}
	for _, value := range []any{
		secret("secret"), &secretPtr{"secret"}, secretPtr{"secret"}, group{"secret"}, fmt.Errorf("wrapped: %w", failure{"secret"}), tricky{},
		params, &params, []any{params}, map[string]any{"params": &params}, struct{ Held any }{params}, [1]*secretPtr{{"secret"}},
	} {
		text := panicked(t, value)
		assert.Contains(t, text, "panic: ")
		assert.NotContains(t, text, "secret")
	}
	for name, value := range hiding {
		for _, value := range []any{value, &value, []any{value}, struct{ F any }{value}} {
			text := panicked(t, value)
			assert.Contains(t, text, "panic: ", name)
			assert.NotContains(t, text, "secret", name)
		}
	}
}

// Types whose values may contain themselves, without an interface between.
type (
	ownMap   map[string]ownMap
	ownSlice []ownSlice
	ownList  struct {
		Name string
		Next map[string]*ownList
	}
)

// circles returns values that contain themselves: package fmt goes round in them
// until the stack overflows.
func circles() map[string]any {
	table := ownMap{}
	table["self"] = table
	slice := make(ownSlice, 1)
	slice[0] = slice
	list := &ownList{Name: "a", Next: map[string]*ownList{}}
	list.Next["self"] = list
	anys := []any{nil}
	anys[0] = anys
	var value any
	value = reflect.ValueOf(&value).Elem()
	return map[string]any{
		"map": table, "slice": slice, "list": list, "list's value": *list, "anys": anys,
		"reflect.Value": reflect.ValueOf(table), "a reflect.Value of itself": value,
	}
}

func TestPanic_ValueThatContainsItselfIsShown(t *testing.T) {
	for name, value := range circles() {
		text := panicked(t, value)
		assert.Contains(t, text, "panic: ", name)
		assert.Less(t, len(text), 2000, name)
	}
}

func TestAttrs_ValuesThatContainThemselvesAreTexts(t *testing.T) {
	attrs := logging.WithAttrs(func(context.Context) (all []slog.Attr) {
		for name, value := range circles() {
			all = append(all, slog.Any(name, value))
		}
		return all
	})
	for _, handler := range []func(io.Writer) slog.Handler{
		func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
	} {
		var log lines
		srv := rpc.NewServer(logging.New(slog.New(handler(&log)), attrs).ServerOptions())
		require.NoError(t, srv.RegisterFunc("Test.Do", func() error { return nil }))
		_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Do", Codec: rpc.JSON})
		assert.NoError(t, err)
		assert.Contains(t, log.text(), "list's value")
		srv.Close()
	}
}

// An error that hides itself does so in the line's error, too, also inside of others.
func TestError_ThatHidesItselfIsHidden(t *testing.T) {
	for want, err := range map[string]error{
		"***":             badLogin{"secret"},
		"twice: ann: ***": fmt.Errorf("twice: %w", fmt.Errorf("ann: %w", badLogin{"secret"})),
		"*** and ***":     fmt.Errorf("%w and %w", badLogin{"secret"}, &badLogin{"more"}),
		"a ***":           errors.Join(errors.New("a"), badLogin{"secret"}),
		"for ann: ***":    rpc.Errorf(rpc.NotFound, "for %s: %w", "ann", badLogin{"secret"}),
		"no such user":    failure{"secret"},
	} {
		var log lines
		srv := rpc.NewServer(log.logger().ServerOptions())
		require.NoError(t, srv.RegisterFunc("Test.Fail", func() error { return err }))
		srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Fail", Codec: rpc.JSON})
		srv.Close()
		assert.Equal(t, want, log.all(t)[0]["error"])
	}
}

// Package rpc cleans and cuts the text of an error before it is logged. That must not
// keep the text of one in it from being found.
func TestError_ThatHidesItselfIsHiddenInATextThatRPCHasChanged(t *testing.T) {
	for name, text := range map[string]string{
		"newline": "secret\nmore", "tab": "secret\t1", "terminal": "secret\x1b[31m", "bidi": "secret\u202e", "separator": "secret\u2028x",
		"not UTF-8": "secret\xff", "half a rune": "secret\xe2\x80", "no rune at first": "\x80secret", "cut": "secret" + strings.Repeat("x", 5000),
		"cut soon": strings.Repeat("\xff", 4080) + "secret" + strings.Repeat("\xff", 4080), "quotes": `secret"`, "no text": "",
	} {
		for how, err := range map[string]error{
			"wrapped":     fmt.Errorf("ann: %w", badLogin{text}),
			"around":      fmt.Errorf("%w\x80\xa8 after", badLogin{text}),
			"by Errorf":   rpc.Errorf(rpc.NotFound, "ann: %w", badLogin{text}),
			"joined":      errors.Join(badLogin{text}, errors.New("ann"), badLogin{text}),
			"twice":       rpc.Errorf(rpc.NotFound, "ann: %w, %w", badLogin{text}, badLogin{text}),
			"in JSON":     marshalError(badLogin{text}),
			"quoted":      &otherWords{fmt.Sprintf("%q", badLogin{text}.Error()), badLogin{text}},
			"in capitals": &otherWords{strings.ToUpper(badLogin{text}.Error()), badLogin{text}},
		} {
			for side, line := range map[string]map[string]any{"server": servedWith(t, err), "client": calledWith(t, err)} {
				assert.NotContains(t, strings.ToLower(fmt.Sprint(line["error"])), "secret", "%s, %s, %s", name, how, side)
				assert.Contains(t, line["error"], "***", "%s, %s, %s", name, how, side)
			}
		}
	}
}

func TestError_OneThatHidesSpeaksForThoseInIt(t *testing.T) {
	inner := badLogin{"secret"}
	for want, err := range map[string]error{
		"for ann: ***":           fmt.Errorf("for ann: %w", quiet{inner}),
		"for ann: *** (***)":     fmt.Errorf("for ann: %w (%s)", quiet{inner}, inner),
		"for ann: *** then ***":  fmt.Errorf("for ann: %w then %w", quiet{inner}, inner),
		"*** and the end secre":  fmt.Errorf("%w and the end secre", inner),
		"*** and again: ***":     fmt.Errorf("%w and again: login with s", inner),
		"the text *** has *** x": fmt.Errorf("the text %w has %w x", inner, badLogin{"secret 2"}),
	} {
		assert.Equal(t, want, servedWith(t, err)["error"])
	}
}

// However many errors there are in one, those that hide are found, or nothing is shown.
func TestError_ThatHidesItselfIsFoundAmongMany(t *testing.T) {
	for _, n := range []int{150, 9000, 20_000} {
		var many []error
		deep := error(badLogin{"secret"})
		for range n {
			many = append(many, errors.New("e"))
			deep = fmt.Errorf("%w", deep)
		}
		for name, err := range map[string]error{
			"first": errors.Join(append([]error{badLogin{"secret"}}, many...)...),
			"last":  errors.Join(append(many, badLogin{"secret"})...),
			"deep":  deep,
		} {
			assert.NotContains(t, shown(t, []any{err}, 100_000), "secret", "%s of %d, in a payload", name, n)
			assert.NotContains(t, panicked(t, err), "secret", "%s of %d, in a panic", name, n)
			if n < 1000 {
				assert.NotContains(t, servedWith(t, err)["error"], "secret", "%s of %d", name, n)
			}
		}
	}
	var hiding []error
	for i := range 101 {
		hiding = append(hiding, badLogin{fmt.Sprint("secret ", i)})
	}
	assert.Equal(t, 100, strings.Count(shown(t, []any{errors.Join(hiding[:100]...)}, 5000), "***"))
	assert.NotContains(t, servedWith(t, errors.Join(hiding...))["error"], "secret")
}

// otherWords is an error that says in its own words what another one says.
type otherWords struct {
	text string
	err  error
}

func (o *otherWords) Error() string { return o.text }
func (o *otherWords) Unwrap() error { return o.err }

// quiet hides itself, and does not repeat the error in it.
type quiet struct{ error }

func (quiet) Error() string        { return "quiet" }
func (q quiet) Unwrap() error      { return q.error }
func (quiet) LogValue() slog.Value { return slog.StringValue("***") }

// unencodable fails with an error of a user's.
type unencodable struct{ err error }

func (u unencodable) MarshalJSON() ([]byte, error) { return nil, u.err }

func marshalError(err error) error {
	_, err = json.Marshal(unencodable{err})
	return err
}

// servedWith returns the line of a call whose handler returns err.
func servedWith(t *testing.T, err error) map[string]any {
	t.Helper()
	var log lines
	srv := rpc.NewServer(log.logger().ServerOptions())
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Fail", func() error { return err }))
	srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Fail", Codec: rpc.JSON})
	return log.all(t)[0]
}

// calledWith returns the line of a client's call whose params fail with err.
func calledWith(t *testing.T, err error) map[string]any {
	t.Helper()
	var log lines
	near, far := net.Pipe()
	defer far.Close()
	c := rpc.NewClient(near, log.logger().ClientOptions(), rpc.WithClientInterceptors(func(rpc.Caller) rpc.Caller {
		return rpc.CallerFunc(func(context.Context, string, any, any) error { return err })
	}))
	defer c.Close()
	c.Call(t.Context(), "Test.Fail", nil, nil)
	return log.all(t)[0]
}

// panicked returns what a line says of a handler that panicked with value.
func panicked(t *testing.T, value any) string {
	t.Helper()
	var log lines
	srv := rpc.NewServer(log.logger().ServerOptions())
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Panic", func() error { panic(value) }))
	_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Panic", Codec: rpc.JSON})
	assert.ErrorIs(t, err, rpc.Internal)
	return fmt.Sprint(log.all(t)[0]["error"])
}
