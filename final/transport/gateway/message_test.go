package gateway

import (
	"net/http"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// A message comes in and goes out as protobuf's JSON, which is what a client with
// rpc.JSON sends and gets.
func TestGateway_MessagesAreProtobufsJSON(t *testing.T) {
	const text = `{"large":"9007199254740993","data":"//4=","color":"COLOR_RED","createdAt":"1970-01-01T00:00:01.500Z","timeLeft":"-1.500s",` +
		`"counts":{"a":"1"},"text":"chosen","any":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"},"value":null,"named":"other"}`
	srv, url := serve(t, newInventory(), nil)
	var got *testpb.Everything
	require.NoError(t, srv.RegisterFunc("Test.Same", func(m *testpb.Everything) *testpb.Everything { got = m; return m }))
	require.NoError(t, srv.RegisterFunc("Test.List", func(list []*testpb.Everything) map[string]any { return map[string]any{"list": list} }))

	call := func(text string) (int, string) {
		a := post(t, url+"/rpc/Test.Same", text)
		return a.StatusCode, a.text
	}
	status, body := call(text)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, text+"\n", body)
	assert.Equal(t, "chosen", got.GetText())
	own, err := rpc.JSON.Append(nil, got)
	require.NoError(t, err)
	assert.Equal(t, text, string(own))

	status, body = call(`{"created_at":"1970-01-01T01:00:01+01:00","large":7,"color":1,"other_name":"x","tomorrow":[1]}`)
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, `{"large":"7","color":"COLOR_RED","createdAt":"1970-01-01T00:00:01Z","named":"x"}`+"\n", body)

	for _, params := range []string{"", "{}", "null"} {
		_, body = call(params)
		assert.Equal(t, "{}\n", body, params)
	}
	status, body = call(`{"createdAt":"yesterday"}`)
	assert.Equal(t, http.StatusBadRequest, status)
	assert.Contains(t, body, `invalid_argument`)

	a := post(t, url+"/rpc/Test.List", `[{"text":"a"},{"number":"1"}]`)
	status, body = a.StatusCode, a.text
	assert.Equal(t, http.StatusOK, status)
	assert.Equal(t, `{"list":[{"text":"a"},{"number":"1"}]}`+"\n", body)
}

func TestSample_OfAMessageIsUnderstood(t *testing.T) {
	text := sample(reflect.TypeFor[testpb.Everything]())
	assert.Contains(t, text, `"createdAt":null`)
	require.NoError(t, protojson.Unmarshal([]byte(text), new(testpb.Everything)))
	assert.JSONEq(t, `{"namePart":null,"isExtension":null}`, sample(reflect.TypeFor[descriptorpb.UninterpretedOption_NamePart]()))
	type order struct {
		List []*testpb.Everything
		At   *timestamppb.Timestamp
	}
	assert.Equal(t, `{"List":[],"At":"1970-01-01T00:00:00Z"}`, sample(reflect.TypeFor[order]()))
}

func TestPage_ListsTheFieldsOfAMessage(t *testing.T) {
	structs := structsIn(reflect.TypeFor[testpb.Everything]())
	require.Len(t, structs, 2, "the enum that is in it, too")
	assert.Equal(t, structType{"rpcfromscratch.test.Color", []field{{Name: "COLOR_NONE", Type: "0"}, {Name: "COLOR_RED", Type: "1"}}}, structs[1])
	types := map[string]string{}
	for _, f := range structs[0].Fields {
		types[f.Name] = f.Type
	}
	assert.Equal(t, "int64", types["large"])
	assert.Equal(t, "google.protobuf.Timestamp", types["createdAt"])
	assert.Equal(t, "map<int32, rpcfromscratch.test.Everything>", types["children"])
	assert.Equal(t, "repeated rpcfromscratch.test.Color", types["colors"])
	assert.Equal(t, "string, one of choice", types["text"])
	assert.Equal(t, "string", types["maybe"])
	assert.Equal(t, "string", types["named"])
}

// A struct that embeds a message has its methods, and is none. With nothing in the
// field they panic.
func TestPage_AStructThatEmbedsAMessageIsNone(t *testing.T) {
	type embeds struct {
		*testpb.Everything
		Extra int
	}
	type holds struct {
		proto.Message
		Extra int
	}
	srv, url := serve(t, newInventory(), nil, WithPage(nil))
	require.NoError(t, srv.RegisterFunc("Test.Embeds", func(e *embeds) *embeds { return e }))
	require.NoError(t, srv.RegisterFunc("Test.Holds", func(h *holds) *holds { return h }))
	for _, method := range []string{"Test.Embeds", "Test.Holds"} {
		a := do(t, http.MethodGet, url+"/rpc/"+method, "")
		assert.Equal(t, http.StatusOK, a.StatusCode)
		assert.Contains(t, a.text, "Extra")
	}
	assert.Equal(t, []string{"Everything", "Extra"}, []string{fieldsOf(reflect.TypeFor[embeds]())[0].Name, fieldsOf(reflect.TypeFor[embeds]())[1].Name})
	text := sample(reflect.TypeFor[embeds]())
	a := post(t, url+"/rpc/Test.Embeds", text)
	assert.Equal(t, http.StatusOK, a.StatusCode, a.text)
	assert.Equal(t, `{"Everything":{"large":"7"},"Extra":1}`+"\n", post(t, url+"/rpc/Test.Embeds", `{"Everything":{"large":7},"Extra":1}`).text)
}

func TestPage_ListsTheMessagesInAMessage(t *testing.T) {
	type held struct{ Reply *introspect.DescribeReply }
	var names []string
	for _, s := range structsIn(reflect.TypeFor[held]()) {
		names = append(names, s.Name)
	}
	const in = "rpcfromscratch.introspect.v1."
	assert.Equal(t, []string{"gateway.held", "introspect.DescribeReply", in + "Method", in + "Type", in + "Field"}, names)
}
