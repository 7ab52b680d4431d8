package inventory

import (
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

// A naiveInventory is the article's: a map, and a check that is over before the
// units are taken.
type naiveInventory struct {
	mu    sync.Mutex // keeps the map whole, which is not the same as the stock
	stock map[string]int
}

func (inv *naiveInventory) CheckStock(item string) int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.stock[item]
}

func (inv *naiveInventory) Take(item string, quantity int) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.stock[item] -= quantity
}

func TestNaive_CheckThenTakeSellsTheLastUnitTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inv := &naiveInventory{stock: map[string]int{"item1": 1}}
		checked := make(chan struct{})
		var customers sync.WaitGroup
		for range 2 {
			customers.Go(func() {
				if inv.CheckStock("item1") > 0 {
					<-checked // the network takes a moment
					inv.Take("item1", 1)
				}
			})
		}
		synctest.Wait()
		close(checked)
		customers.Wait()
		t.Logf("there was 1 unit, and 2 customers took it: %d left", inv.CheckStock("item1"))
		assert.Equal(t, -1, inv.CheckStock("item1"))
	})
}
