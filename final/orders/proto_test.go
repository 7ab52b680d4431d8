package orders

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

var (
	_ protobuf.Convertible = (*Order)(nil)
	_ protobuf.Convertible = (*Receipt)(nil)
)

// An order travels in every codec, to the order server and on to the inventory.
func TestOrders_InEveryCodec(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		t.Run(codec.Name(), func(t *testing.T) {
			inv := &fakeInventory{reserve: func(context.Context) error { return nil }}
			srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
			require.NoError(t, New(inv).Register(srv))
			ln, err := rpc.Listen("127.0.0.1:0")
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			defer func() { assert.ErrorIs(t, <-served, rpc.ErrServerClosed) }()
			defer srv.Close()
			client, err := rpc.Dial(t.Context(), ln.Addr().String(), rpc.WithCodec(codec))
			require.NoError(t, err)
			defer client.Close()

			receipt, err := PlaceOrder.Call(t.Context(), client, &order)
			require.NoError(t, err)
			assert.Equal(t, &Receipt{"order-1", 3}, receipt)
			require.Len(t, inv.reserved, 1)
			assert.Equal(t, order.ID, inv.reserved[0].Order)
			assert.Equal(t, order.Customer, inv.reserved[0].Customer)
			assert.Equal(t, order.Lines, inv.reserved[0].Lines)
		})
	}
}
