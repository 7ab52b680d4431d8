package cmd

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"sync"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/orders"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// The books hold what customers were told, to be compared with what the
// inventory says.
type books struct {
	stock map[string]int // units by item, before the first order

	mu      sync.Mutex
	placed  int            // orders
	refused map[string]int // orders, by reason
	sold    map[string]int // units by item
	wrong   error          // receipts that do not fit their orders
}

func newBooks(stock map[string]int) *books {
	return &books{stock: stock, refused: make(map[string]int), sold: make(map[string]int)}
}

// enter notes what became of an order. It may be called concurrently.
func (b *books) enter(order orders.Order, receipt orders.Receipt, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.refused[reason(err)]++
		return
	}
	b.placed++
	units := 0
	for _, line := range order.Lines {
		b.sold[line.Item] += line.Quantity
		units += line.Quantity
	}
	if receipt.Order != order.ID || receipt.Units != units {
		b.wrong = errors.Join(b.wrong, fmt.Errorf("order %s of %d units has a receipt for %d of %s",
			order.ID, units, receipt.Units, receipt.Order))
	}
}

// reason returns why an order was refused, in words that are the same for all
// orders refused for that reason.
func reason(err error) string {
	switch {
	case errors.Is(err, rpc.NotFound):
		return "unknown item"
	case errors.Is(err, rpc.FailedPrecondition):
		return "out of stock"
	}
	return "bad order"
}

// print prints what was ordered and what is left, according to items.
func (b *books) print(w io.Writer, items []inventory.Item) {
	fmt.Fprintf(w, "orders placed: %d\n", b.placed)
	for _, reason := range slices.Sorted(maps.Keys(b.refused)) {
		fmt.Fprintf(w, "orders refused, %s: %d\n", reason, b.refused[reason])
	}
	fmt.Fprintf(w, "%-8s %6s %6s\n", "item", "sold", "left")
	for _, item := range items {
		fmt.Fprintf(w, "%-8s %6d %6d\n", plain(item.ID), item.Reserved, item.Left)
	}
	if b.check(items) == nil {
		fmt.Fprintln(w, "books balance")
	}
}

// check returns what does not balance, if anything: for each item, the units
// sold must be those of the orders placed, and the rest must be left.
func (b *books) check(items []inventory.Item) error {
	err := b.wrong
	if len(items) != len(b.stock) {
		err = errors.Join(err, fmt.Errorf("the inventory has %d items, not %d", len(items), len(b.stock)))
	}
	for _, item := range items {
		if item.Reserved != b.sold[item.ID] {
			err = errors.Join(err, fmt.Errorf("%s: customers bought %d, the inventory sold %d",
				item.ID, b.sold[item.ID], item.Reserved))
		}
		if item.Left < 0 || item.Left+item.Reserved != b.stock[item.ID] {
			err = errors.Join(err, fmt.Errorf("%s: of %d, %d are sold and %d left",
				item.ID, b.stock[item.ID], item.Reserved, item.Left))
		}
	}
	return err
}
