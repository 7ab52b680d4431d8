package protobuf

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/rpc"
)

func listOf(v *structpb.Value) *structpb.Value {
	return structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{v}})
}

// circle returns a message that contains itself.
func circle() *structpb.Value {
	v := listOf(nil)
	v.GetListValue().Values[0] = structpb.NewStructValue(&structpb.Struct{Fields: map[string]*structpb.Value{"self": v}})
	return v
}

// nested returns a message of so many levels, two for each list.
func nested(levels int) *structpb.Value {
	v := structpb.NewNumberValue(1)
	for range levels / 2 {
		v = listOf(v)
	}
	return v
}

func TestCodecs_RefuseMessagesThatContainThemselves(t *testing.T) {
	dynamic := dynamicpb.NewMessage(circle().ProtoReflect().Descriptor())
	list := dynamic.Mutable(dynamic.Descriptor().Fields().ByName("list_value")).Message()
	list.Mutable(list.Descriptor().Fields().ByName("values")).List().Append(protoreflect.ValueOfMessage(dynamic))
	everything := &testpb.Everything{Children: map[int32]*testpb.Everything{}}
	everything.Children[1] = everything
	for want, m := range map[string]proto.Message{
		"cannot encode a *testpb.Everything that contains itself":                 everything,
		"cannot encode a *structpb.Value that contains itself":                    circle(),
		"cannot encode a *structpb.ListValue that contains itself":                listOf(circle()).GetListValue(),
		"cannot encode a *dynamicpb.Message that contains itself":                 dynamic,
		"cannot encode a *structpb.Value that is nested deeper than 10000 levels": nested(10_000),
	} {
		_, err := Codec.Append(nil, m)
		assert.EqualError(t, err, "protobuf: "+want)
		for _, v := range []any{
			m, &m, []proto.Message{m}, [1]any{m}, map[string]any{"m": m}, struct{ M proto.Message }{m}, struct{ Any any }{&m},
			struct{ proto.Message }{m},
		} {
			_, err = rpc.JSON.Append(nil, v)
			assert.ErrorContains(t, err, want, "%T", v)
		}
	}
}

// valueHolder has the methods of the message that it holds, MarshalJSON among them.
type valueHolder struct{ *structpb.Value }

// chain embeds itself, too.
type chain struct {
	*chain
	*structpb.Value
}

// Wherever a message encodes itself, it does so without an end if it contains itself.
func TestJSON_RefusesWhatEncodesItselfByAMessageThatContainsItself(t *testing.T) {
	held := valueHolder{circle()}
	copied := new(struct{ structpb.Value })
	copied.Kind = circle().Kind
	linked := &chain{Value: circle()}
	linked.chain = linked
	for _, v := range []any{
		held, &held, []valueHolder{held}, []any{held}, map[int]valueHolder{1: held}, struct{ Held *valueHolder }{&held},
		struct{ valueHolder }{held}, struct{ *valueHolder }{&held}, copied, linked, struct{ *chain }{linked},
		struct {
			Beside *testpb.Everything
			List   []valueHolder
		}{List: []valueHolder{held}},
	} {
		_, err := rpc.JSON.Append(nil, v)
		assert.ErrorContains(t, err, "that contains itself", "%T", v)
	}
}

func TestServer_SurvivesAMessageThatContainsItself(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(Codec))
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.Circle", func(context.Context) (*testpb.Everything, error) {
		m := &testpb.Everything{Children: map[int32]*testpb.Everything{}}
		m.Children[1] = m
		return m, nil
	}))
	for _, codec := range []rpc.Codec{Codec, rpc.JSON} {
		_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Circle", Codec: codec})
		assert.ErrorIs(t, err, rpc.Internal)
		assert.ErrorContains(t, err, "contains itself")
	}
}

func TestCodecs_TakeMessagesThatAreNested(t *testing.T) {
	m := nested(500)
	body, err := Codec.Append(nil, m)
	require.NoError(t, err)
	got := new(structpb.Value)
	require.NoError(t, Codec.Decode(body, got))
	assert.True(t, proto.Equal(m, got))
	shared := structpb.NewStringValue("twice")
	_, err = Codec.Append(nil, &structpb.ListValue{Values: []*structpb.Value{shared, shared, nil}})
	assert.NoError(t, err)
	_, err = Codec.Append(nil, wrapperspb.String("flat"))
	assert.NoError(t, err)
}
