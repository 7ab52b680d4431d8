package introspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

func TestList_TellsServicesMethodsAndHealth(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		t.Run(codec.Name(), func(t *testing.T) {
			srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
			require.NoError(t, srv.RegisterFunc("A.A", func(any) []byte { return nil }, rpc.NonBlocking()))
			require.NoError(t, srv.RegisterFunc("A.B.X", func(context.Context) error { return nil }))
			require.NoError(t, srv.RegisterFunc("A.C", func(*int) error { return nil }))
			h, err := health.Register(srv)
			require.NoError(t, err)
			h.Set("A.B", health.Draining)
			require.NoError(t, introspect.Register(srv, h))
			c := connect(t, srv, codec)

			reply, err := introspect.List.Call(t.Context(), c, &introspect.ListRequest{})
			require.NoError(t, err)
			text, err := json.Marshal(reply.GetServices()[:2])
			require.NoError(t, err)
			assert.JSONEq(t, `[
				{"name":"A","status":"serving","methods":[
					{"name":"A.A","params":"any","reply":"[]byte","non_blocking":true},
					{"name":"A.C","params":"int"}]},
				{"name":"A.B","status":"draining","methods":[{"name":"A.B.X"}]}]`, string(text))
			assert.Len(t, reply.GetServices(), 4)

			reply, err = introspect.List.Call(t.Context(), c, &introspect.ListRequest{Service: "A.B"})
			require.NoError(t, err)
			require.Len(t, reply.GetServices(), 1)
			assert.Equal(t, "A.B", reply.GetServices()[0].GetName())
			_, err = introspect.List.Call(t.Context(), c, &introspect.ListRequest{Service: "B"})
			assert.ErrorIs(t, err, rpc.NotFound)
		})
	}
}

// A client in another language sends no params at all.
func TestList_NeedsNoParams(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, introspect.Register(srv, nil))
	var reply json.RawMessage
	require.NoError(t, connect(t, srv, rpc.JSON).Call(t.Context(), "Introspection.List", nil, &reply))
	assert.Contains(t, string(reply), `"name":"Introspection","status":"serving"`)
}

func TestDescribe_UnknownMethodIsNotFound(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, introspect.Register(srv, nil))
	_, err := introspect.Describe.Call(t.Context(), connect(t, srv, rpc.JSON), &introspect.DescribeRequest{Method: "Test.Nope"})
	assert.ErrorIs(t, err, rpc.NotFound)
	assert.EqualError(t, err, "not_found: method not found: Test.Nope")
}

func TestRegister_Once(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, introspect.Register(srv, nil))
	assert.EqualError(t, introspect.Register(srv, nil), "introspect: rpc: method Introspection.List is registered already")
}

// Introspection is a method like any other: who may not call it learns nothing.
func TestRegister_PassesTheAuthorizeHook(t *testing.T) {
	srv := rpc.NewServer(rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) {
		return rpc.Identity{}, rpc.Errorf(rpc.PermissionDenied, "not you")
	}))
	require.NoError(t, introspect.Register(srv, nil))
	_, err := introspect.List.Call(t.Context(), connect(t, srv, rpc.JSON), &introspect.ListRequest{})
	assert.True(t, errors.Is(err, rpc.PermissionDenied), err)
}

func TestDescribe_TellsStreams(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, rpc.ServerStream[int, string]("Test.Watch").Handle(srv, func(context.Context, *int, *rpc.Sender[string]) error { return nil }))
	require.NoError(t, rpc.ClientStream[int, string]("Test.Import").Handle(srv, func(context.Context, *rpc.Receiver[int]) (*string, error) { return nil, nil }))
	require.NoError(t, rpc.BidiStream[int, string]("Test.Sync").Handle(srv, func(context.Context, *rpc.Receiver[int], *rpc.Sender[string]) error { return nil }))
	require.NoError(t, introspect.Register(srv, nil))
	c := connect(t, srv, rpc.JSON)
	reply, err := introspect.List.Call(t.Context(), c, &introspect.ListRequest{Service: "Test"})
	require.NoError(t, err)
	got := map[string]string{}
	for _, m := range reply.GetServices()[0].GetMethods() {
		got[m.GetName()] = m.GetKind()
		assert.Equal(t, "int", m.GetParams())
		assert.Equal(t, "string", m.GetReply())
		d, err := introspect.Describe.Call(t.Context(), c, &introspect.DescribeRequest{Method: m.GetName()})
		require.NoError(t, err)
		assert.Equal(t, m.GetKind(), d.GetMethod().GetKind())
	}
	assert.Equal(t, map[string]string{"Test.Watch": "server stream", "Test.Import": "client stream", "Test.Sync": "bidi stream"}, got)
}
