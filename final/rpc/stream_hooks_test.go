package rpc_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
)

// A guard and a limiter that know nothing of streams are asked about them as about calls:
// both are hooks of Authorize. No handler runs for a stream that they refuse.
func TestStream_AuthorizeHooksCoverStreamsUnchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens, err := auth.NewTokens(map[string]string{"2YotnFZFEjr1zCsicMWpAA": "ann"})
		require.NoError(t, err)
		guard, err := auth.New(tokens.Verify, auth.Known(), nil)
		require.NoError(t, err)
		limits, err := ratelimit.New(ratelimit.Peer(ratelimit.Identity, 1, 2))
		require.NoError(t, err)
		var refused []error
		srv := rpc.NewServer(
			rpc.WithAuthorize(limits.After(guard.Authorize)),
			rpc.WithCallErrorHandler(func(_ context.Context, err error) { refused = append(refused, err) }))
		defer srv.Close()
		ran := 0
		require.NoError(t, Watch.Handle(srv, func(ctx context.Context, _ *WatchRequest, _ *rpc.Sender[StockChange]) error {
			ran++
			assert.Equal(t, "ann", rpc.IdentityFrom(ctx).Name)
			return nil
		}))
		near, far := net.Pipe()
		go srv.ServeConn(far)
		client := rpc.NewClient(near, rpc.WithMaxRetryAfter(0)) // else it opens again after the limiter's pause
		defer client.Close()
		open := func(ctx context.Context) error {
			changes, err := Watch.Open(ctx, client, &WatchRequest{})
			require.NoError(t, err, "Open does not wait for the server")
			for _, err = range changes.All() {
			}
			return err
		}
		ann := rpc.AddMetadata(t.Context(), rpc.Metadata{auth.MetadataKey: "Bearer 2YotnFZFEjr1zCsicMWpAA"})
		for _, c := range []struct {
			ctx  context.Context
			want rpc.Code
		}{{t.Context(), rpc.Unauthenticated}, {ann, rpc.OK}, {ann, rpc.OK}, {ann, rpc.ResourceExhausted}} {
			err := open(c.ctx)
			assert.Equal(t, c.want, rpc.CodeOf(err))
			assert.Equal(t, c.want != rpc.OK, rpc.NeverRan(err))
		}
		synctest.Wait()
		assert.Equal(t, 2, ran)
		assert.Len(t, refused, 2, "the callbacks for refused calls are told")
	})
}
