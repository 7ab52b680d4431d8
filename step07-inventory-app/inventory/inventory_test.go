package inventory

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

func TestDefaultStock_IsThatOfTheWorkspace(t *testing.T) {
	shared, err := os.ReadFile("../../testdata/stock.json")
	require.NoError(t, err)
	assert.Equal(t, string(shared), string(DefaultStock))
	stock, err := ParseStock(DefaultStock)
	require.NoError(t, err)
	assert.Equal(t, 100, stock["item1"])
}

func TestParseStock_RefusesWhatIsNoStock(t *testing.T) {
	_, err := ParseStock([]byte(`{"item1":-1}`))
	assert.ErrorContains(t, err, "item1")
	_, err = ParseStock([]byte(`{"item1":"many"}`))
	assert.Error(t, err)
	_, err = ParseStock([]byte("{\"item\xff\":1}"))
	assert.Error(t, err)
}

func TestInventory_ReservesAndReleases(t *testing.T) {
	inv := New(map[string]int{"item1": 5, "item2": 1})
	left, err := inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 2})
	require.NoError(t, err)
	assert.Equal(t, 3, left)
	left, err = inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 1})
	require.NoError(t, err)
	assert.Equal(t, 2, left, "an order may want more of the same")
	_, err = inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item2", Quantity: 1})
	require.NoError(t, err)

	items, err := inv.List(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []Item{{"item1", 2, 3}, {"item2", 0, 1}}, items)

	units, err := inv.Release(t.Context(), "order-1")
	require.NoError(t, err)
	assert.Equal(t, 4, units)
	units, err = inv.Release(t.Context(), "order-1")
	require.NoError(t, err)
	assert.Zero(t, units, "once is enough")
	left, err = inv.CheckStock(t.Context(), "item2")
	require.NoError(t, err)
	assert.Equal(t, 1, left)
}

func TestInventory_RefusesWithACode(t *testing.T) {
	inv := New(map[string]int{"item1": 5})
	for _, test := range []struct {
		name string
		r    Reservation
		code rpc.Code
	}{
		{"unknown item", Reservation{Order: "order-1", Item: "item9", Quantity: 1}, rpc.NotFound},
		{"out of stock", Reservation{Order: "order-1", Item: "item1", Quantity: 6}, rpc.FailedPrecondition},
		{"none", Reservation{Order: "order-1", Item: "item1", Quantity: 0}, rpc.InvalidArgument},
		{"fewer than none", Reservation{Order: "order-1", Item: "item1", Quantity: -3}, rpc.InvalidArgument},
		{"no order", Reservation{Order: "", Item: "item1", Quantity: 1}, rpc.InvalidArgument},
		{"no text", Reservation{Order: "order-\xff", Item: "item1", Quantity: 1}, rpc.InvalidArgument},
		{"what JSON makes of it", Reservation{Order: "order-\ufffd", Item: "item1", Quantity: 1}, rpc.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := inv.Reserve(t.Context(), test.r)
			assert.ErrorIs(t, err, test.code)
			left, err := inv.CheckStock(t.Context(), "item1")
			require.NoError(t, err)
			assert.Equal(t, 5, left, "nothing is taken")
		})
	}
	_, err := inv.CheckStock(t.Context(), "item9")
	assert.ErrorIs(t, err, rpc.NotFound)
	_, err = inv.Release(t.Context(), "order-\xff")
	assert.ErrorIs(t, err, rpc.InvalidArgument)
}

func TestInventory_NeverSellsMoreThanThereIs(t *testing.T) {
	inv := New(map[string]int{"item1": 100})
	var sold atomic.Int64
	var customers sync.WaitGroup
	for range 50 {
		customers.Go(func() {
			for range 3 {
				if _, err := inv.Reserve(t.Context(), Reservation{Order: "order", Item: "item1", Quantity: 1}); err == nil {
					sold.Add(1)
				} else {
					assert.ErrorIs(t, err, rpc.FailedPrecondition)
				}
			}
		})
	}
	customers.Wait()
	assert.EqualValues(t, 100, sold.Load())
	left, err := inv.CheckStock(t.Context(), "item1")
	require.NoError(t, err)
	assert.Zero(t, left)
}

// The list is long, so that the customers queue for the lock. An inventory that
// unlocks between the check and the change lets all of them check first. One
// processor is too few to see that.
func TestInventory_ChecksAndTakesAtOnce(t *testing.T) {
	stock := map[string]int{"item1": 10}
	for i := range 3000 {
		stock["other"+string(rune('A'+i))] = 1
	}
	inv := New(stock)
	var sold atomic.Int64
	var customers sync.WaitGroup
	for range 20 {
		customers.Go(func() {
			for range 2 {
				inv.List(t.Context())
			}
			if _, err := inv.Reserve(t.Context(), Reservation{Order: "order", Item: "item1", Quantity: 1}); err == nil {
				sold.Add(1)
			}
		})
	}
	customers.Wait()
	assert.EqualValues(t, 10, sold.Load())
}

func TestInventory_DoesNotShareItsStock(t *testing.T) {
	stock := map[string]int{"item1": 5}
	inv := New(stock)
	stock["item1"] = 0
	left, err := inv.CheckStock(t.Context(), "item1")
	require.NoError(t, err)
	assert.Equal(t, 5, left)
}
