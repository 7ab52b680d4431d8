package cache

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

// A stream that is declared cacheable is refused when it is set up, before anything is
// sent; others pass.
func TestStream_DeclaredOnesAreRefusedOthersPass(t *testing.T) {
	watch := rpc.ServerStream[string, string]("Inventory.Watch")
	syncing := rpc.BidiStream[string, string]("Inventory.Sync")
	refused := 0
	srv := rpc.NewServer(rpc.WithCallErrorHandler(func(context.Context, error) { refused++ }))
	defer srv.Close()
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, item *string, out *rpc.Sender[string]) error { return out.Send(ctx, item) }))
	c := newCache(t, Method("Inventory.Sync", time.Minute))
	client := rpctest.NewClient(t, srv, rpc.WithClientInterceptors(c.Intercept))
	item := "item1"
	for range 2 {
		in, err := watch.Open(t.Context(), client, &item)
		require.NoError(t, err)
		got, err := in.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "item1", *got)
		require.NoError(t, in.Close())
	}
	_, err := syncing.Open(t.Context(), client)
	assert.ErrorIs(t, err, rpc.FailedPrecondition)
	assert.ErrorContains(t, err, "cache: Inventory.Sync is a bidi stream, which is not cached: do not declare it")
	assert.Zero(t, refused, "nothing was sent")
	assert.Equal(t, Stats{}, c.Stats())

	second := rpctest.NewClient(t, srv, rpc.WithClientInterceptors(c.Intercept))
	_, err = watch.Open(t.Context(), second, &item)
	assert.ErrorContains(t, err, "it belongs to another client")
}
