package rpc

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeMessage is a protobuf message as far as this package can tell.
type fakeMessage struct{ Choice any }

func (*fakeMessage) Reset()        {}
func (*fakeMessage) ProtoMessage() {}

// ownMessage is one that does its JSON itself.
type ownMessage struct{ fakeMessage }

func (ownMessage) MarshalJSON() ([]byte, error) { return []byte(`"own"`), nil }

// jsonMessage is one whose generated code does its JSON, as structpb's does.
type jsonMessage struct{}

func (*jsonMessage) Reset()                       {}
func (*jsonMessage) ProtoMessage()                {}
func (*jsonMessage) MarshalJSON() ([]byte, error) { return []byte(`"json"`), nil }

type recursive struct {
	Next *recursive
	Any  any
	At   time.Time
	raw  *fakeMessage
}

// nobodyKnows makes this a program that has not imported codec/protobuf.
func nobodyKnows(t *testing.T) {
	t.Helper()
	known := messages.Swap(nil)
	t.Cleanup(func() { messages.Store(known) })
}

func TestJSON_RefusesMessagesWithoutSomethingThatKnowsThem(t *testing.T) {
	nobodyKnows(t)
	const text = "is or contains a protobuf message, which encoding/json would change: import codec/protobuf"
	loop := map[string]any{"a": 1}
	loop["loop"] = loop
	var deep any = &fakeMessage{}
	for range 2 * trustedDepth {
		deep = []any{1, deep}
	}
	for _, v := range []any{
		&fakeMessage{}, (*fakeMessage)(nil), fakeMessage{}, []*fakeMessage{}, map[string]fakeMessage{}, new(*fakeMessage),
		struct{ M *fakeMessage }{}, struct{ A []any }{[]any{1, &fakeMessage{}}}, &recursive{Next: &recursive{Any: &fakeMessage{}}},
		map[string]any{"a": map[string]any{"b": &fakeMessage{}}}, deep,
		&jsonMessage{}, jsonMessage{}, []any{&jsonMessage{}}, struct{ *jsonMessage }{}, &struct{ A struct{ jsonMessage } }{},
	} {
		dst, err := JSON.Append([]byte("head"), v)
		assert.ErrorContains(t, err, text, "%T", v)
		assert.Equal(t, "head", string(dst))
	}
	assert.ErrorContains(t, JSON.Decode([]byte(`{}`), new(fakeMessage)), "*rpc.fakeMessage "+text)
	for _, v := range []any{
		ownMessage{}, struct{ M []ownMessage }{}, &recursive{raw: new(fakeMessage)}, map[string]any{"a": []any{1, "b", nil, json.Number("1")}},
		struct {
			M *fakeMessage `json:"-"`
		}{new(fakeMessage)},
	} {
		_, err := JSON.Append(nil, v)
		assert.NoError(t, err, "%T", v)
	}
	_, err := JSON.Append(nil, loop)
	assert.ErrorContains(t, err, "contains itself")
}

func TestJSON_AMessageThatNobodyKnowsFailsItsCallAlone(t *testing.T) {
	nobodyKnows(t)
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		require.NoError(t, srv.RegisterFunc("Test.Same", func(m *fakeMessage) *fakeMessage { return m }))
		client := pipe(t, srv)
		err := client.Call(t.Context(), "Test.Same", &fakeMessage{}, nil)
		assert.ErrorIs(t, err, InvalidArgument)
		assert.ErrorContains(t, err, "import codec/protobuf")
		assert.True(t, NeverRan(err))
		err = client.Call(t.Context(), "Test.Same", map[string]int{}, nil)
		assert.ErrorContains(t, err, "import codec/protobuf", "the server says so, too")
		require.NoError(t, client.Ping(t.Context()))
	})
}

func TestRegisterMessages_RefusesNil(t *testing.T) {
	assert.PanicsWithValue(t, "rpc: RegisterMessages: nil", func() { RegisterMessages(nil) })
}

func TestRegisterMessages_RefusesASecondOne(t *testing.T) {
	nobodyKnows(t)
	RegisterMessages(knowsNothing{})
	assert.PanicsWithValue(t, "rpc: RegisterMessages: called twice", func() { RegisterMessages(knowsNothing{}) })
	text, err := JSON.Append([]byte("head "), []any{&fakeMessage{}})
	assert.NoError(t, err)
	assert.Equal(t, "head nothing", string(text))
}

type knowsNothing struct{}

func (knowsNothing) AppendJSON(dst []byte, _ any) ([]byte, error) {
	return append(dst, "nothing"...), nil
}
func (knowsNothing) DecodeJSON([]byte, any) error { return nil }
