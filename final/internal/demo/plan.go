package demo

import (
	"fmt"
	"math/rand/v2"
	"time"

	"example.com/rpc-from-scratch/final/orders"
)

// A wish is an order that a customer will place.
type wish struct {
	orders.Order
	// giveUp is after what time an impatient customer cancels the order and then,
	// of two minds, sends it again. 0: never.
	giveUp time.Duration
}

// items of the demo's shop. Nothing else is in stock. An order has items of one shelf, so
// that the history of each shelf can be checked alone: the time that this takes grows
// with the orders that are under way at once.
const (
	items    = 12
	perShelf = 2
)

// planOrders makes the wishes of that many customers, the same for the same seed:
// one in a hundred wants what the shop has never had, one in fifty is impatient.
func planOrders(n, customers int, seed uint64) []wish {
	random := rand.New(rand.NewPCG(seed, 0))
	list := make([]wish, n)
	for i := range list {
		w := &list[i]
		w.ID = fmt.Sprintf("order-%06d", i+1)
		w.Customer = fmt.Sprintf("customer-%02d", 1+random.IntN(customers))
		shelf := perShelf * random.IntN(items/perShelf)
		for range 1 + random.IntN(3) {
			w.Lines = append(w.Lines, orders.Line{Item: itemID(shelf + random.IntN(perShelf)), Quantity: 1 + random.IntN(5)})
		}
		if random.IntN(100) == 0 {
			w.Lines[0].Item = "unicorn"
		}
		if random.IntN(50) == 0 {
			w.giveUp = time.Duration(1 + random.Int64N(int64(5*time.Millisecond)))
		}
	}
	return list
}

// planStock returns a stock that does not quite do: of some items there is less
// than is wanted.
func planStock(list []wish) map[string]int {
	stock := map[string]int{}
	for i := range items {
		stock[itemID(i)] = 0
	}
	for _, w := range list {
		for _, line := range w.Lines {
			if _, ok := stock[line.Item]; ok {
				stock[line.Item] += line.Quantity
			}
		}
	}
	for i := range items {
		stock[itemID(i)] = stock[itemID(i)] * (88 + 2*i) / 100
	}
	return stock
}

func itemID(i int) string { return fmt.Sprintf("item%d", i+1) }
