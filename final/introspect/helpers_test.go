package introspect_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// connect returns a client of srv. Both end with the test.
func connect(t *testing.T, srv *rpc.Server, codec rpc.Codec) *rpc.Client {
	t.Helper()
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() { defer close(served); srv.ServeConn(far) }()
	c := rpc.NewClient(near, rpc.WithCodec(codec))
	t.Cleanup(func() { c.Close(); srv.Close(); <-served })
	return c
}

// describe registers fn as Test.Method and asks for its types.
func describe(t *testing.T, codec rpc.Codec, fn any) *introspect.DescribeReply {
	t.Helper()
	srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Test.Method", fn))
	require.NoError(t, introspect.Register(srv, nil))
	reply, err := introspect.Describe.Call(t.Context(), connect(t, srv, codec), &introspect.DescribeRequest{Method: "Test.Method"})
	require.NoError(t, err)
	return reply
}

// typeNamed finds a type of a reply.
func typeNamed(t *testing.T, d *introspect.DescribeReply, name string) *introspect.Type {
	t.Helper()
	for _, typ := range d.GetTypes() {
		if typ.GetName() == name {
			return typ
		}
	}
	require.Fail(t, "not described: "+name)
	return nil
}
