package rpccmd

import (
	"encoding/json"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
			`{"createdAt":"x","created_at":"x","any":{"@type":"t","more":1},"counts":{"a":1},"[a.ext]":1}`: "",
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
