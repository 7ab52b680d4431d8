package orders

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

func TestOrders_AnOrderThatIsTriedAgainTakesItsUnits(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5})
	orders := New(inv)
	_, err := orders.PlaceOrder(t.Context(), Order{"o", "", []Line{{"item1", 3}, {"item1", 3}}})
	require.ErrorIs(t, err, rpc.FailedPrecondition)
	require.Equal(t, 5, left(t, inv, "item1"), "the first line was given back")
	_, err = orders.PlaceOrder(t.Context(), Order{"o", "", []Line{{"item1", 3}}})
	require.NoError(t, err)
	assert.Equal(t, 2, left(t, inv, "item1"), "the receipt is for units that are reserved")
}
