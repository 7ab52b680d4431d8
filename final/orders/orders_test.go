package orders

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// A fakeInventory answers what its fields say, and remembers what it was asked.
type fakeInventory struct {
	reserve func(ctx context.Context) error
	release error

	mu       sync.Mutex
	reserved []inventory.ReserveRequest
	released []inventory.ReleaseRequest
}

func (f *fakeInventory) Call(ctx context.Context, method string, params, reply any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch req := params.(type) {
	case *inventory.ReserveRequest:
		f.reserved = append(f.reserved, *req)
		*reply.(*inventory.ReserveReply) = inventory.ReserveReply{Units: 3}
		return f.reserve(ctx)
	case *inventory.ReleaseRequest:
		f.released = append(f.released, *req)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return f.release
	}
	return rpc.Errorf(rpc.Unimplemented, "no such method: %s", method)
}

// remotely returns err as the other end of a connection sees it.
func remotely(t *testing.T, err error) (seen error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		require.NoError(t, srv.RegisterFunc("Inventory.Fail", func(context.Context) error { return err }))
		client := pipeTo(srv)
		seen = client.Call(t.Context(), "Inventory.Fail", nil, nil)
		client.Close()
		srv.Close()
	})
	return seen
}

var order = Order{"order-1", "customer-1", []Line{{Item: "item1", Quantity: 2}, {Item: "item2", Quantity: 1}}}

func TestOrders_PlacesAnOrder(t *testing.T) {
	inv := &fakeInventory{reserve: func(context.Context) error { return nil }}
	receipt, err := New(inv).PlaceOrder(t.Context(), &order)
	require.NoError(t, err)
	assert.Equal(t, &Receipt{"order-1", 3}, receipt)
	require.Len(t, inv.reserved, 1)
	assert.Equal(t, order.Lines, inv.reserved[0].Lines)
	assert.Equal(t, order.Customer, inv.reserved[0].Customer)
	assert.Empty(t, inv.released)
}

func TestOrders_GivesEachAttemptANameOfItsOwn(t *testing.T) {
	inv := &fakeInventory{reserve: func(context.Context) error { return nil }}
	for range 2 {
		_, err := New(inv).PlaceOrder(t.Context(), &order)
		require.NoError(t, err)
	}
	assert.NotEmpty(t, inv.reserved[0].Attempt)
	assert.NotEqual(t, inv.reserved[0].Attempt, inv.reserved[1].Attempt)
}

func TestOrders_PassesOnWhatTheInventoryDecides(t *testing.T) {
	for _, code := range []rpc.Code{rpc.InvalidArgument, rpc.NotFound, rpc.FailedPrecondition, rpc.AlreadyExists, rpc.Aborted} {
		t.Run(code.String(), func(t *testing.T) {
			decision := remotely(t, rpc.Errorf(code, "so it is"))
			inv := &fakeInventory{reserve: func(context.Context) error { return decision }}
			_, err := New(inv).PlaceOrder(t.Context(), &order)
			assert.Equal(t, decision, err)
			assert.Empty(t, inv.released, "nothing is reserved")
		})
	}
}

func TestOrders_GivesBackWhatItCannotComplete(t *testing.T) {
	for name, cause := range map[string]error{
		"no answer":            rpc.Errorf(rpc.Unavailable, "the connection was lost"),
		"no answer in time":    context.DeadlineExceeded,
		"the inventory's bug":  remotely(t, rpc.Errorf(rpc.Internal, "a handler panicked")),
		"a refusal made here":  rpc.Errorf(rpc.InvalidArgument, "params cannot be encoded"),
		"the inventory's time": remotely(t, rpc.DeadlineExceeded),
	} {
		t.Run(name, func(t *testing.T) {
			inv := &fakeInventory{reserve: func(context.Context) error { return cause }}
			_, err := New(inv).PlaceOrder(t.Context(), &order)
			assert.ErrorIs(t, err, rpc.Aborted)
			assert.Equal(t, rpc.Aborted, rpc.CodeOf(err))
			assert.ErrorContains(t, err, "order order-1 is withdrawn")
			require.Len(t, inv.released, 1)
			assert.Equal(t, inventory.ReleaseRequest{Order: "order-1", Attempt: inv.reserved[0].Attempt}, inv.released[0])
		})
	}
}

func TestOrders_GivesBackAlsoWhenTheCustomerHasGone(t *testing.T) {
	ctx, leave := context.WithCancel(t.Context())
	inv := &fakeInventory{reserve: func(ctx context.Context) error {
		leave()
		<-ctx.Done()
		return ctx.Err()
	}}
	_, err := New(inv).PlaceOrder(ctx, &order)
	assert.Equal(t, rpc.Aborted, rpc.CodeOf(err), "the release had a context of its own")
	assert.Len(t, inv.released, 1)
}

func TestOrders_SaysWhenNobodyKnows(t *testing.T) {
	for name, release := range map[string]error{
		"no answer":       rpc.Errorf(rpc.Unavailable, "the connection was lost"),
		"another attempt": rpc.Errorf(rpc.FailedPrecondition, "another attempt has asked for it"),
	} {
		t.Run(name, func(t *testing.T) {
			inv := &fakeInventory{release: release, reserve: func(context.Context) error {
				return rpc.Errorf(rpc.Unavailable, "the connection was lost")
			}}
			_, err := New(inv).PlaceOrder(t.Context(), &order)
			assert.Equal(t, rpc.Unavailable, rpc.CodeOf(err))
			assert.ErrorContains(t, err, "send order order-1 again")
			assert.False(t, rpc.NeverRan(err))
		})
	}
}

// An order service that asks the inventory in JSON would make one key of two.
func TestOrders_RefusesAKeyThatJSONWouldChange(t *testing.T) {
	inv := &fakeInventory{reserve: func(context.Context) error { return nil }}
	for _, bad := range []Order{
		{"order-\xff", "ann", order.Lines},
		{"order-\ufffd", "ann", order.Lines},
		{"a", "ann\xfe", order.Lines},
		{"a", "ann", []Line{{Item: "item\xff", Quantity: 1}}},
		{"a", "ann", nil},
	} {
		_, err := New(inv).PlaceOrder(t.Context(), &bad)
		assert.ErrorIs(t, err, rpc.InvalidArgument)
	}
	assert.Empty(t, inv.reserved)
	assert.Empty(t, inv.released)
}
