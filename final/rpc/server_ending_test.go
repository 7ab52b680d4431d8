package rpc

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A server that ends a connection cancels its calls. That is not the answer to their
// callers, who have canceled nothing: to them the connection is lost, and an idempotent
// call may be made again.
func TestServer_CallsOfAConnectionThatItEndsAreNotSaidToBeCanceled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		ended := make(chan struct{})
		require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error {
			defer close(ended)
			<-ctx.Done()
			return ctx.Err()
		}))
		raw := rawClient(t, srv, "json")
		raw.request(1, "Test.Wait", "")
		raw.write(wire.AppendHeader(nil, 99, 0, 1, 0))
		id, e := raw.readGoAway()
		assert.Equal(t, uint64(1), id)
		assert.Equal(t, Unimplemented, e.Code)
		<-ended
		_, err := raw.in.next()
		assert.ErrorIs(t, err, io.EOF, "no reply")
	})
}
