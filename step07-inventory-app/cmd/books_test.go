package cmd

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/orders"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

func TestBooks_FindWhatDoesNotBalance(t *testing.T) {
	order := orders.Order{ID: "1", Lines: []orders.Line{{Item: "pen", Quantity: 2}}}
	for _, test := range []struct {
		name    string
		receipt orders.Receipt
		item    inventory.Item
		want    string
	}{
		{"sold twice", orders.Receipt{Order: "1", Units: 2}, inventory.Item{ID: "pen", Left: 1, Reserved: 4}, "pen: customers bought 2, the inventory sold 4"},
		{"lost", orders.Receipt{Order: "1", Units: 2}, inventory.Item{ID: "pen", Left: 2, Reserved: 2}, "pen: of 5, 2 are sold and 2 left"},
		{"oversold", orders.Receipt{Order: "1", Units: 2}, inventory.Item{ID: "pen", Left: -1, Reserved: 6}, "pen: of 5, 6 are sold and -1 left"},
		{"another's receipt", orders.Receipt{Order: "2", Units: 2}, inventory.Item{ID: "pen", Left: 3, Reserved: 2}, "order 1 of 2 units has a receipt for 2 of 2"},
		{"another item", orders.Receipt{Order: "1", Units: 2}, inventory.Item{ID: "ink", Left: 3, Reserved: 2}, "ink: customers bought 0, the inventory sold 2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBooks(map[string]int{"pen": 5})
			b.enter(order, test.receipt, nil)
			items := []inventory.Item{test.item}
			assert.ErrorContains(t, b.check(items), test.want)
			var out bytes.Buffer
			b.print(&out, items)
			assert.NotContains(t, out.String(), "books balance")
		})
	}
}

func TestBooks_CountRefusalsByReason(t *testing.T) {
	b := newBooks(map[string]int{"pen": 5})
	for _, code := range []rpc.Code{rpc.NotFound, rpc.FailedPrecondition, rpc.FailedPrecondition, rpc.InvalidArgument} {
		b.enter(orders.Order{}, orders.Receipt{}, rpc.Errorf(code, "no"))
	}
	assert.Equal(t, map[string]int{"unknown item": 1, "out of stock": 2, "bad order": 1}, b.refused)
	require.NoError(t, b.check([]inventory.Item{{ID: "pen", Left: 5}}))
}
