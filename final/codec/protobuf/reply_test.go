package protobuf_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// A message that is used twice holds the last reply alone, generated or dynamic.
func TestReply_UsedTwiceIsNotMixed(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	full := &descriptorpb.FieldDescriptorProto{Name: proto.String("old"), Number: proto.Int32(1)}
	bare := &descriptorpb.FieldDescriptorProto{JsonName: proto.String("new")}
	require.NoError(t, srv.RegisterFunc("Test.Reply", func(n *wrapperspb.Int32Value) (*descriptorpb.FieldDescriptorProto, error) {
		switch n.GetValue() {
		case 0:
			return full, nil
		case 1:
			return bare, nil
		}
		return nil, rpc.Errorf(rpc.NotFound, "no reply %d", n.GetValue())
	}))
	client := connect(t, srv)
	for _, reply := range []proto.Message{new(descriptorpb.FieldDescriptorProto), dynamicpb.NewMessage(full.ProtoReflect().Descriptor())} {
		require.NoError(t, client.Call(t.Context(), "Test.Reply", wrapperspb.Int32(0), reply))
		first := proto.Clone(reply)
		assert.True(t, proto.Equal(full, reply), "%T", reply)
		assert.ErrorIs(t, client.Call(t.Context(), "Test.Reply", wrapperspb.Int32(9), reply), rpc.NotFound)
		assert.True(t, proto.Equal(full, reply), "%T stays as it is on an error", reply)
		require.NoError(t, client.Call(t.Context(), "Test.Reply", wrapperspb.Int32(1), reply))
		assert.True(t, proto.Equal(bare, reply), "%T", reply)
		assert.True(t, proto.Equal(full, first), "%T", reply)
	}
}

func TestReply_ThatDoesNotDecodeStaysAsItIs(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Bad", func() *wrapperspb.BytesValue { return wrapperspb.Bytes([]byte{0xff}) }))
	client := connect(t, srv)
	for _, reply := range []proto.Message{new(wrapperspb.StringValue), wrapperspb.String("old"), dynamicpb.NewMessage(wrapperspb.File_google_protobuf_wrappers_proto.Messages().ByName("StringValue"))} {
		before := proto.Clone(reply)
		assert.ErrorContains(t, client.Call(t.Context(), "Test.Bad", nil, reply), "invalid UTF-8")
		assert.True(t, proto.Equal(before, reply), "%T", reply)
	}
}

func TestReply_ConvertibleIsReplaced(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Zero", func() *wrapperspb.DoubleValue { return wrapperspb.Double(0) }))
	reply := Celsius{Degrees: 21.5}
	require.NoError(t, connect(t, srv).Call(t.Context(), "Test.Zero", nil, &reply))
	assert.Zero(t, reply)
}
