package auth

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

var watch = rpc.ServerStream[string, string]("Inventory.Watch")

// A guard knows nothing of streams; the rules of their methods hold, and the token of a
// client's source is sent with each.
func TestStream_TheTokenOfTheMomentAndTheRules(t *testing.T) {
	srv := rpc.NewServer(rpc.WithAuthorize(newGuard(t, Nobody(), Rules{"Inventory.Watch": Only("ann")}).Authorize))
	defer srv.Close()
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *string, out *rpc.Sender[string]) error {
		name := rpc.IdentityFrom(ctx).Name
		return out.Send(ctx, &name)
	}))
	var token string
	var broken error
	client := rpctest.NewClient(t, srv, OverAnything(func(context.Context) (string, error) { return token, broken }))
	who := func(ctx context.Context) (string, error) {
		item := ""
		in, err := watch.Open(ctx, client, &item)
		if err != nil {
			return "", err
		}
		defer in.Close()
		got, err := in.Receive(ctx)
		if err != nil {
			return "", err
		}
		return *got, nil
	}
	for _, c := range []struct {
		token, who string
		code       rpc.Code
	}{{annsToken, "ann", rpc.OK}, {bobsToken, "", rpc.PermissionDenied}, {"strangers0token0000000", "", rpc.Unauthenticated}, {"", "", rpc.Unauthenticated}} {
		token = c.token
		got, err := who(t.Context())
		assert.Equal(t, c.code, rpc.CodeOf(err), c.token)
		assert.Equal(t, c.who, got)
	}
	got, err := who(rpc.AddMetadata(t.Context(), rpc.Metadata{MetadataKey: "Bearer " + annsToken}))
	assert.NoError(t, err)
	assert.Equal(t, "ann", got, "a stream's own token is kept")
	broken = errors.New("the token server is away")
	_, err = who(t.Context())
	assert.ErrorIs(t, err, rpc.Unauthenticated)
	assert.ErrorContains(t, err, "the token server is away")
}
