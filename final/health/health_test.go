package health_test

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
)

// newServer returns a server with the services Health, Inventory and Orders.
func newServer(t *testing.T) (*rpc.Server, *health.Health) {
	t.Helper()
	srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
	require.NoError(t, srv.RegisterFunc("Inventory.Check", func(string) int { return 1 }))
	require.NoError(t, srv.RegisterFunc("Orders.Place", func(string) int { return 1 }))
	h, err := health.Register(srv)
	require.NoError(t, err)
	return srv, h
}

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

func TestCheck_AnswersInEveryCodec(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		t.Run(codec.Name(), func(t *testing.T) {
			srv, h := newServer(t)
			h.Set("Orders", health.Draining)
			h.Set("database", health.NotServing)
			c := connect(t, srv, codec)

			reply, err := health.Check.Call(t.Context(), c, &health.CheckRequest{})
			require.NoError(t, err)
			assert.Equal(t, "serving", reply.GetStatus())
			assert.Equal(t, map[string]string{
				"Health": "serving", "Inventory": "serving", "Orders": "draining", "database": "not_serving",
			}, reply.GetServices())

			reply, err = health.Check.Call(t.Context(), c, &health.CheckRequest{Service: "Orders"})
			require.NoError(t, err)
			assert.Equal(t, "draining", reply.GetStatus())
			assert.Empty(t, reply.GetServices())

			_, err = health.Check.Call(t.Context(), c, &health.CheckRequest{Service: "Weather"})
			assert.ErrorIs(t, err, rpc.NotFound)
			assert.EqualError(t, err, `not_found: no service "Weather" on this server`)
		})
	}
}

func TestSet_NothingIsBetterThanTheServer(t *testing.T) {
	_, h := newServer(t)
	h.Set("Orders", health.NotServing)
	h.Set("", health.Draining)
	for service, want := range map[string]health.Status{
		"": health.Draining, "Inventory": health.Draining, "Orders": health.NotServing,
	} {
		got, found := h.Status(service)
		assert.True(t, found, service)
		assert.Equal(t, want, got, service)
	}
	h.Set("", health.Serving)
	got, _ := h.Status("Inventory")
	assert.Equal(t, health.Serving, got)
}

func TestStatus_FollowsTheServer(t *testing.T) {
	srv, h := newServer(t)
	require.NoError(t, srv.Shutdown(t.Context()))
	got, _ := h.Status("Inventory")
	assert.Equal(t, health.Draining, got)
}

func TestStatus_SeesWhatIsRegisteredLater(t *testing.T) {
	srv, h := newServer(t)
	_, found := h.Status("Late.Service")
	assert.False(t, found)
	require.NoError(t, srv.RegisterFunc("Late.Service.Method", func(context.Context) error { return nil }))
	_, found = h.Status("Late.Service")
	assert.True(t, found)
}

func TestRegister_Once(t *testing.T) {
	srv, _ := newServer(t)
	_, err := health.Register(srv)
	assert.EqualError(t, err, "health: rpc: method Health.Check is registered already")
}
