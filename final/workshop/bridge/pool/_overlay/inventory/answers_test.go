package inventory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

func TestReserve_SameKeyCountsOnce(t *testing.T) {
	inv := New(map[string]int{"item1": 5})
	for range 2 { // the answer to the first was lost, so the caller tries again
		left, err := inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 2, Key: "order-1/0"})
		require.NoError(t, err)
		assert.Equal(t, 3, left)
	}
	left, err := inv.CheckStock(t.Context(), "item1")
	require.NoError(t, err)
	assert.Equal(t, 3, left)
}

func TestReserve_SameKeyGetsTheSameRefusal(t *testing.T) {
	inv := New(map[string]int{"item1": 1})
	refused := Reservation{Order: "order-2", Item: "item1", Quantity: 1, Key: "order-2/0"}
	_, err := inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 1})
	require.NoError(t, err)
	_, first := inv.Reserve(t.Context(), refused)
	require.ErrorIs(t, first, rpc.FailedPrecondition)
	_, err = inv.Release(t.Context(), "order-1")
	require.NoError(t, err)
	_, again := inv.Reserve(t.Context(), refused)
	assert.Equal(t, first, again, "there is one now, but the caller may have acted on the refusal")
}

func TestReserve_KeyBelongsToOneReservation(t *testing.T) {
	inv := New(map[string]int{"item1": 5})
	_, err := inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 1, Key: "k"})
	require.NoError(t, err)
	_, err = inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 2, Key: "k"})
	assert.ErrorIs(t, err, rpc.InvalidArgument)
}
