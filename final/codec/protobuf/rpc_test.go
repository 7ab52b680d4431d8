package protobuf_test

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// connect serves srv on a free port and returns a client that speaks protobuf.
// Both end with the test.
func connect(t *testing.T, srv *rpc.Server) *rpc.Client {
	t.Helper()
	return dial(t, serve(t, srv), protobuf.Codec)
}

func serve(t *testing.T, srv *rpc.Server) (addr string) {
	t.Helper()
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return ln.Addr().String()
}

func dial(t *testing.T, addr string, codec rpc.Codec) *rpc.Client {
	t.Helper()
	client, err := rpc.Dial(t.Context(), addr, rpc.WithCodec(codec))
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestCalls_MetadataOfReplies(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Header", func(ctx context.Context, s *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		if err := rpc.SetHeader(ctx, rpc.Metadata{"text": s.GetValue()}); err != nil || s.GetValue() != "item9" {
			return s, err
		}
		return nil, rpc.Errorf(rpc.NotFound, "not here")
	}))
	client := connect(t, srv)
	for text, code := range map[string]rpc.Code{"": rpc.OK, "item1": rpc.OK, "item9": rpc.NotFound} {
		var header rpc.Metadata
		reply := new(wrapperspb.StringValue)
		err := client.Call(rpc.ReceiveHeader(t.Context(), &header), "Test.Header", wrapperspb.String(text), reply)
		assert.Equal(t, code, rpc.CodeOf(err))
		assert.Equal(t, rpc.Metadata{"text": text}, header)
		if code == rpc.OK {
			assert.Equal(t, text, reply.GetValue())
		}
	}
}

// The room that a server announces for messages is what they take: as many run at once as
// that is, and none is refused.
func TestCalls_RoomForParams(t *testing.T) {
	const size, fit = 257 << 10, 8
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec), rpc.WithParamsMemory(0, fit*5*size+64<<10))
		defer srv.Close()
		hold := make(chan struct{})
		var running atomic.Int32
		require.NoError(t, srv.RegisterFunc("Test.Large", func(s *wrapperspb.StringValue) error {
			running.Add(1)
			<-hold
			return nil
		}))
		near, far := net.Pipe()
		go srv.ServeConn(far)
		client := rpc.NewClient(near, rpc.WithCodec(protobuf.Codec))
		defer client.Close()
		var all sync.WaitGroup
		for range 3 * fit {
			all.Go(func() {
				assert.NoError(t, client.Call(t.Context(), "Test.Large", wrapperspb.String(strings.Repeat("x", size-100)), nil))
			})
		}
		synctest.Wait()
		assert.EqualValues(t, fit, running.Load())
		close(hold)
		all.Wait()
	})
}

// What is no message fails its own call, with words for whoever wrote it.
func TestCodec_WrongTypesFailTheirCallOnly(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Params", func(string) error { return nil }))
	require.NoError(t, srv.RegisterFunc("Test.Reply", func(*wrapperspb.StringValue) int { return 1 }))
	require.NoError(t, srv.RegisterFunc("Test.Nothing", func() error { return nil }))
	require.NoError(t, srv.RegisterFunc("Test.Nil", func(*wrapperspb.StringValue) *wrapperspb.StringValue { return nil }))
	client, ctx := connect(t, srv), t.Context()

	err := client.Call(ctx, "Test.Params", wrapperspb.String("item1"), nil)
	assert.ErrorIs(t, err, rpc.InvalidArgument)
	assert.ErrorContains(t, err, "decode params of Test.Params: protobuf: *string is not a proto.Message")
	assert.True(t, rpc.NeverRan(err))

	err = client.Call(ctx, "Test.Reply", wrapperspb.String("item1"), new(wrapperspb.StringValue))
	assert.ErrorIs(t, err, rpc.Internal)
	assert.ErrorContains(t, err, "encode the result: protobuf: int is not a proto.Message")

	err = client.Call(ctx, "Test.Reply", "item1", nil)
	assert.ErrorIs(t, err, rpc.InvalidArgument)
	assert.ErrorContains(t, err, "protobuf: string is not a proto.Message")
	assert.True(t, rpc.NeverRan(err), "it has not left")

	var m *wrapperspb.StringValue
	err = client.Call(ctx, "Test.Nil", wrapperspb.String("item1"), &m)
	assert.ErrorIs(t, err, rpc.Internal)
	assert.ErrorContains(t, err, "**wrapperspb.StringValue is not a proto.Message, but *wrapperspb.StringValue is: pass that")

	assert.NoError(t, client.Call(ctx, "Test.Nothing", nil, nil), "the connection goes on")
	left := wrapperspb.String("left over")
	assert.NoError(t, client.Call(ctx, "Test.Nil", nil, left))
	assert.Empty(t, left.GetValue())
}

// A nil request is sent as no bytes, which are the zero message.
func TestMethod_NilRequestIsTheZeroMessage(t *testing.T) {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	echo := rpc.Method[wrapperspb.StringValue, wrapperspb.StringValue]("Test.Echo")
	require.NoError(t, echo.Handle(srv, func(_ context.Context, req *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String("got " + req.Value), nil
	}))
	addr := serve(t, srv)
	for _, codec := range []rpc.Codec{protobuf.Codec, rpc.JSON} {
		reply, err := echo.Call(t.Context(), dial(t, addr, codec), nil)
		require.NoError(t, err, codec.Name())
		assert.Equal(t, "got ", reply.Value, codec.Name())
	}
}
