package inventory

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/inventory/inventorypb"
	"example.com/rpc-from-scratch/final/rpc"
)

var codecs = []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec}

// serve serves an inventory in all codecs, on a free port for the length of the
// test, and returns the address.
func serve(t *testing.T, inv *Inventory) string {
	t.Helper()
	srv := rpc.NewServer(rpc.WithCodecs(codecs...))
	require.NoError(t, inv.Register(srv))
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

func TestCodecs_EveryMethodInEveryCodec(t *testing.T) {
	for _, codec := range codecs {
		t.Run(codec.Name(), func(t *testing.T) {
			inv := openTest(t, map[string]int{"item1": 5, "item2": 1})
			client, ctx := dial(t, serve(t, inv), codec), t.Context()

			stock, err := CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item1"})
			require.NoError(t, err)
			assert.Equal(t, &CheckStockReply{Left: 5}, stock)
			_, err = CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item9"})
			assert.EqualError(t, err, "not_found: unknown item: item9")

			order := &ReserveRequest{Order: "a", Customer: "ann", Lines: []Line{{"item1", 3}, {"item2", 1}}, Attempt: "1"}
			reserved, err := Reserve.Call(ctx, client, order)
			require.NoError(t, err)
			assert.Equal(t, &ReserveReply{Units: 4}, reserved)
			_, err = Reserve.Call(ctx, client, &ReserveRequest{Order: "b", Lines: []Line{{"item1", 3}}})
			var short *rpc.Error
			require.True(t, errors.As(err, &short))
			assert.Equal(t, rpc.FailedPrecondition, short.Code)
			assert.Equal(t, map[string]string{"item": "item1", "left": "2", "wanted": "3"}, short.Details)
			_, err = Reserve.Call(ctx, client, &ReserveRequest{})
			assert.ErrorIs(t, err, rpc.InvalidArgument)

			list, err := List.Call(ctx, client, &ListRequest{})
			require.NoError(t, err)
			assert.Equal(t, &ListReply{Items: []Item{{"item1", 2, 3}, {"item2", 0, 1}}}, list)

			_, err = Release.Call(ctx, client, &ReleaseRequest{Order: "a", Attempt: "2"})
			assert.ErrorIs(t, err, rpc.FailedPrecondition)
			released, err := Release.Call(ctx, client, &ReleaseRequest{Order: "a", Attempt: "1"})
			require.NoError(t, err)
			assert.Equal(t, &ReleaseReply{Units: 4}, released)
		})
	}
}

// What one codec has reserved, the others see.
func TestCodecs_ShareOneInventory(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	addr := serve(t, inv)
	order := &ReserveRequest{Order: "a", Customer: "ann", Lines: []Line{{"item1", 2}}}
	for _, codec := range codecs {
		client := dial(t, addr, codec)
		reply, err := Reserve.Call(t.Context(), client, order)
		require.NoError(t, err)
		assert.Equal(t, 2, reply.Units)
		stock, err := CheckStock.Call(t.Context(), client, &CheckStockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, 3, stock.Left, "the order counts once")
	}
}

// The JSON is what it was before there were messages: lower-case names, and what
// is zero is there.
func TestCodecs_JSONOfTheReplies(t *testing.T) {
	client := dial(t, serve(t, openTest(t, map[string]int{"item1": 0, "item2": 7})), rpc.JSON)
	for _, call := range []struct{ method, params, reply string }{
		{"Inventory.CheckStock", `{"item":"item1"}`, `{"left":0}`},
		{"Inventory.List", `{}`, `{"items":[{"id":"item1","left":0,"reserved":0},{"id":"item2","left":7,"reserved":0}]}`},
		{"Inventory.Reserve", `{"order":"a","lines":[{"item":"item2","quantity":7}]}`, `{"units":7}`},
		{"Inventory.Release", `{"order":"b"}`, `{"units":0}`},
	} {
		var reply json.RawMessage
		require.NoError(t, client.Call(t.Context(), call.method, json.RawMessage(call.params), &reply))
		assert.Equal(t, call.reply, string(reply), call.method)
	}
}

// Programs in other languages have the generated messages and not these types.
func TestCodecs_TakeTheMessagesThemselves(t *testing.T) {
	client := dial(t, serve(t, openTest(t, map[string]int{"item1": 5})), protobuf.Codec)
	reply := new(inventorypb.ReserveReply)
	require.NoError(t, client.Call(t.Context(), "Inventory.Reserve", &inventorypb.ReserveRequest{
		Order: "a", Lines: []*inventorypb.Line{{Item: "item1", Quantity: 2}},
	}, reply))
	assert.EqualValues(t, 2, reply.GetUnits())
	list := new(inventorypb.ListReply)
	require.NoError(t, client.Call(t.Context(), "Inventory.List", nil, list))
	assert.EqualValues(t, 3, list.GetItems()[0].GetLeft())
}

// The limits of a reservation hold whatever the codec.
func TestCodecs_RefuseWhatIsTooMuch(t *testing.T) {
	client := dial(t, serve(t, openTest(t, map[string]int{"item1": 5})), protobuf.Codec)
	for text, lines := range map[string][]*inventorypb.Line{
		"an order has 1 to 100 lines, not 0":      nil,
		"an order has 1 to 100 lines, not 200000": make([]*inventorypb.Line, 200_000), // 400 KB of empty lines
		"item id of 0 bytes":                      {{Quantity: 1}},
		"bad quantity: -1":                        {{Item: "item1", Quantity: -1}},
	} {
		err := client.Call(t.Context(), "Inventory.Reserve", &inventorypb.ReserveRequest{Order: "a", Lines: lines}, nil)
		assert.EqualError(t, err, "invalid_argument: "+text)
	}
}
