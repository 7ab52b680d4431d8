package rpccmd

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/typepb"

	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

type (
	basket struct {
		Owner  string            `json:"owner"`
		Lines  []inventory.Line  `json:"lines"`
		ByShop map[string][]*pin `json:"by_shop"`
		At     time.Time         `json:"at"`
		Raw    json.RawMessage   `json:"raw"`
		Any    any               `json:"any"`
		Next   *basket           `json:"next"`
		Secret string            `json:"-"`
		Fixed  [2]pin
		Origin
	}
	pin    struct{ X, Y int }
	Origin struct {
		Country string `json:"country"`
	}
	nothing struct{}
	// shadow's own Mark hides the one of shaded, which stands before it.
	shadow struct {
		shaded
		Mark Origin
	}
	shaded struct{ Mark pin }
	// clash has two fields called Mark at one depth: which one counts, a description does not tell.
	clash struct {
		shaded
		Other
	}
	Other struct{ Mark Origin }
)

// described returns what a server says of a method that fn is.
func described(t *testing.T, fn any) *introspect.DescribeReply {
	t.Helper()
	srv := rpc.NewServer()
	require.NoError(t, srv.RegisterFunc("Test.It", fn))
	require.NoError(t, introspect.Register(srv, nil))
	here, there := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); srv.ServeConn(there) }()
	client := rpc.NewClient(here)
	d, err := introspect.Describe.Call(t.Context(), client, &introspect.DescribeRequest{Method: "Test.It"})
	require.NoError(t, err)
	require.NoError(t, client.Close())
	srv.Close()
	<-served
	return d
}

func TestCheckFields_NamesTheFieldAndThoseThatThereAre(t *testing.T) {
	const fields = "has Fixed, any, at, by_shop, country, lines, next, owner, raw"
	d := described(t, func(basket) error { return nil })
	for params, want := range map[string]string{
		`{"owner":"ann","OWNER":"bob","Lines":[],"country":"nl","fixed":[{"X":1}]}`: "",
		`{"raw":{"what":1},"any":{"ever":[{}]},"at":{"no":"time"}}`:                 "",
		`{"next":null,"lines":"wrong type","by_shop":[1]}`:                          "",
		`[{"ownr":1}]`:  "",
		`7`:             "",
		`{"ownr":"a"}`:  `unknown field "ownr": rpccmd.basket ` + fields + "; did you mean owner?",
		`{"":"a"}`:      `unknown field "": rpccmd.basket ` + fields,
		`{"Secret":1}`:  `unknown field "Secret": rpccmd.basket ` + fields,
		`{"Origin":{}}`: `unknown field "Origin": rpccmd.basket ` + fields,
		`{"lines":[{"item":"a"},{"item":"b","quantty":1}]}`: `unknown field "quantty" (lines[1].quantty): inventory.Line has item, quantity; did you mean quantity?`,
		`{"by_shop":{"a b":[null,{"Z":1}]}}`:                `unknown field "Z" (by_shop.a b[1].Z): rpccmd.pin has X, Y`,
		`{"Fixed":[{"Z":1}]}`:                               `unknown field "Z" (Fixed[0].Z): rpccmd.pin has X, Y`,
		`{"next":{"next":{"b":1}}}`:                         `unknown field "b" (next.next.b): rpccmd.basket ` + fields,
	} {
		checkFieldsError(t, d, params, false, want)
	}
	checkFieldsError(t, described(t, func(nothing) error { return nil }), `{"a":1}`, false, `unknown field "a": rpccmd.nothing has no fields`)
	checkFieldsError(t, described(t, func([]pin) error { return nil }), `[{"X":1},{"x":1,"z":1}]`, false, `unknown field "z" ([1].z): rpccmd.pin has X, Y`)
	checkFieldsError(t, described(t, func(map[string]any) error { return nil }), `{"a":{"b":1}}`, false, "")
	checkFieldsError(t, described(t, func(*int) error { return nil }), `{"a":{"b":1}}`, false, "")
}

func TestCheckFields_OfMessages(t *testing.T) {
	d := described(t, func(m *testpb.Everything) *testpb.Everything { return m })
	for _, asMessage := range []bool{false, true} {
		for params, want := range map[string]string{
			`{"createdAt":"x","created_at":"x","any":{"@type":"t","more":1},"counts":{"a":1}}`: "",
			`{"creatdAt":"x"}`: `unknown field "creatdAt": `,
			`{"Large":1}`:      `unknown field "Large": `, // protobuf's names have their case
		} {
			checkFieldsError(t, d, params, asMessage, want)
		}
	}
	// A plain type that travels as a message has the names of both sides.
	d = described(t, func(*inventory.ReserveRequest) error { return nil })
	for _, asMessage := range []bool{false, true} {
		checkFieldsError(t, d, `{"order":"a","lines":[{"item":"a","quantity":1}]}`, asMessage, "")
		checkFieldsError(t, d, `{"lines":[{"itm":"a"}]}`, asMessage, `unknown field "itm" (lines[0].itm): `)
	}
}

// parcel is a Go type with messages in it, which have protobuf's JSON.
type parcel struct {
	Name   string
	Thing  *testpb.Everything
	Things map[string][]testpb.Everything
	At     *timestamppb.Timestamp
	None   *emptypb.Empty
	Type   *typepb.Type // of google.protobuf, and yet an object of its fields
	*testpb.Everything
}

func TestCheckFields_OfMessagesInGoTypes(t *testing.T) {
	d := described(t, func(*parcel) error { return nil })
	const everything = "rpcfromscratch.test.Everything has any, children, "
	for params, want := range map[string]string{
		`{"Thing":{"createdAt":"x","created_at":"x","counts":{"a":1}},"At":"x","None":{},"Everything":{"text":"a"}}`: "",
		`{"At":{"seconds":1},"Type":{"oneofs":["a"],"sourceContext":{"fileName":"a"},"syntax":"SYNTAX_PROTO3"}}`:     "",
		`{"Thing":{"creatdAt":"x"}}`:                      `unknown field "creatdAt" (Thing.creatdAt): ` + everything,
		`{"Things":{"a":[{},{"nested":{"lrge":1}}]}}`:     `unknown field "lrge" (Things.a[1].nested.lrge): ` + everything,
		`{"Everything":{"lrge":1}}`:                       `unknown field "lrge" (Everything.lrge): ` + everything,
		`{"None":{"a":1}}`:                                `unknown field "a" (None.a): google.protobuf.Empty has no fields`,
		`{"Type":{"sourceContext":{"filename":"a"}}}`:     `unknown field "filename" (Type.sourceContext.filename): google.protobuf.SourceContext has fileName; did you mean fileName?`,
		`{"Type":{"fields":[{"kind":"TYPE_STRNG"}]}}`:     `unknown name "TYPE_STRNG" (Type.fields[0].kind): google.protobuf.Field.Kind has TYPE_BOOL, `,
		`{"Thing":{"children":{"1":{"colors":["RED"]}}}}`: `unknown name "RED" (Thing.children.1.colors[0]): rpcfromscratch.test.Color has COLOR_NONE, COLOR_RED`,
	} {
		checkFieldsError(t, d, params, false, want)
	}
}

func TestCheckFields_NamesOfEnums(t *testing.T) {
	d := described(t, func(*testpb.Everything) error { return nil })
	const colors = "rpcfromscratch.test.Color has COLOR_NONE, COLOR_RED"
	for _, asMessage := range []bool{false, true} {
		for params, want := range map[string]string{
			`{"color":"COLOR_RED","colors":["COLOR_NONE",7,null],"nothing":null}`: "",
			`{"color":12345,"nothing":"NULL_VALUE"}`:                              "",
			`{"color":"COLOR_RD"}`:                                                `unknown name "COLOR_RD" (color): ` + colors + "; did you mean COLOR_RED?",
			`{"color":"RED"}`:                                                     `unknown name "RED" (color): ` + colors,
			`{"color":"color_red"}`:                                               `unknown name "color_red" (color): ` + colors,
			`{"color":""}`:                                                        `unknown name "" (color): ` + colors,
			`{"colors":["COLOR_RED","COLOR_BLUE"]}`:                               `unknown name "COLOR_BLUE" (colors[1]): ` + colors,
			`{"nested":{"nothing":"NULL"}}`:                                       `unknown name "NULL" (nested.nothing): google.protobuf.NullValue has NULL_VALUE`,
		} {
			checkFieldsError(t, d, params, asMessage, want)
		}
	}
}

func TestCheckFields_InAnAny(t *testing.T) {
	d := described(t, func(*testpb.Everything) error { return nil })
	const kind = `"@type":"type.googleapis.com/rpcfromscratch.test.Everything"`
	for _, asMessage := range []bool{false, true} {
		for params, want := range map[string]string{
			`{"any":{}}`: "",
			`{"any":{` + kind + `,"color":"COLOR_RED","any":{` + kind + `,"text":"a"}}}`:                                                            "",
			`{"any":{"@type":"x/of.which.nothing.is.known","lrge":1}}`:                                                                              "",
			`{"any":{"value":"1s","@type":"type.googleapis.com/google.protobuf.Duration"}}`:                                                         "",
			`{"any":{"lrge":1,` + kind + `}}`:                                                                                                       `unknown field "lrge" (any.lrge): rpcfromscratch.test.Everything has any, `,
			`{"any":{` + kind + `,"color":"RED"}}`:                                                                                                  `unknown name "RED" (any.color): rpcfromscratch.test.Color has `,
			`{"any":{` + kind + `,"any":{` + kind + `,"lrge":1}}}`:                                                                                  `unknown field "lrge" (any.any.lrge): `,
			`{"any":{"@typ":"x/y","large":1}}`:                                                                                                      `unknown field "@typ" (any.@typ): google.protobuf.Any without a type has @type; did you mean @type?`,
			`{"any":{"@type":"x/google.protobuf.Duration","valu":"1s"}}`:                                                                            `unknown field "valu" (any.valu): google.protobuf.Duration in a google.protobuf.Any has @type, value; did you mean value?`,
			`{"any":{"@type":"x/google.protobuf.Any","value":{` + kind + `,"lrge":1}}}`:                                                             `unknown field "lrge" (any.value.lrge): `,
			`{"any":{"@type":"x/google.protobuf.Empty","value":{"a":1}}}`:                                                                           `unknown field "a" (any.value.a): google.protobuf.Empty has no fields`,
			`{"any":{"@type":"x/google.protobuf.Struct","value":{"any":{"thing":1}}},"value":{"ever":1},"object":{"a":[{"b":1}]},"mask":"a,b.c_d"}`: "",
		} {
			checkFieldsError(t, d, params, asMessage, want)
		}
	}
}

// Of a message that can be extended, the server may know more than it describes.
func TestCheckFields_Extensions(t *testing.T) {
	d := described(t, func(*descriptorpb.FileOptions) error { return nil })
	checkFieldsError(t, d, `{"[some.extension]":{"what":1}}`, false, "")
	d = described(t, func(*testpb.Everything) error { return nil })
	checkFieldsError(t, d, `{"[some.extension]":1}`, false, `unknown field "[some.extension]": rpcfromscratch.test.Everything has any, `)
}

// Servers before this one do not say which types are messages.
func TestCheckFields_LetsPassWhatAnOlderServerDescribes(t *testing.T) {
	d := described(t, func(*parcel) error { return nil })
	for _, typ := range d.GetTypes() {
		typ.Message = ""
	}
	checkFieldsError(t, d, `{"Thing":{"lrge":1}}`, false, "")
	checkFieldsError(t, d, `{"Thin":{"lrge":1}}`, false, `unknown field "Thin": rpccmd.parcel has `)
}

func checkFieldsError(t *testing.T, d *introspect.DescribeReply, params string, asMessage bool, want string) {
	t.Helper()
	err := checkFields(d, json.RawMessage(params), asMessage)
	if want == "" {
		assert.NoError(t, err, params)
		return
	}
	assert.ErrorContains(t, err, "params of Test.It: "+want, params)
	assert.True(t, isUsage(err), params)
}

func TestCheckFields_ReadsEmbeddedFieldsAsJSONDoes(t *testing.T) {
	d := described(t, func(shadow) error { return nil })
	checkFieldsError(t, d, `{"Mark":{"country":"nl"}}`, false, "")
	checkFieldsError(t, d, `{"Mark":{"X":1}}`, false, `unknown field "X" (Mark.X): rpccmd.Origin has country`)
	checkFieldsError(t, described(t, func(clash) error { return nil }), `{"Mark":{"ever":1}}`, false, "")
}

// What a server describes need not be a type that Go has.
func TestCheckFields_EndsForTypesThatPointToThemselves(t *testing.T) {
	d := &introspect.DescribeReply{
		Method: &introspect.Method{Name: "Test.It", Params: "a"},
		Types:  []*introspect.Type{{Name: "a", Kind: "pointer", Elem: "b"}, {Name: "b", Kind: "pointer", Elem: "a"}},
	}
	checkFieldsError(t, d, `{"a":[{}]}`, false, "")
}

// Of a member that is there twice JSON reads both.
func TestCheckFields_LooksAtEachOfTwoMembersOfOneName(t *testing.T) {
	d := described(t, func(basket) error { return nil })
	checkFieldsError(t, d, `{"next":{"ownr":1},"next":{"owner":"ann"}}`, false, `unknown field "ownr" (next.ownr)`)
}
