// Package inventory keeps the stock of a shop, and its reservations.
package inventory

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// DefaultStock is the stock that the programs begin with, as ParseStock wants it.
//
//go:embed stock.json
var DefaultStock []byte

// ParseStock reads a JSON object of item ids and quantities. A quantity below 0
// is an error, and so is an id that is not UTF-8.
func ParseStock(data []byte) (map[string]int, error) {
	var stock map[string]int
	if err := json.Unmarshal(data, &stock); err != nil {
		return nil, fmt.Errorf("stock: %w", err)
	}
	for item, quantity := range stock {
		if quantity < 0 {
			return nil, fmt.Errorf("stock: %s: quantity is %d", item, quantity)
		}
		if !IsText(item) {
			return nil, fmt.Errorf("stock: %q: the id is not UTF-8", item)
		}
	}
	return stock, nil
}

// An Inventory is the service Inventory. It may be used concurrently, and never
// reserves more than there is. It forgets everything when its process ends.
type Inventory struct {
	mu       sync.Mutex
	left     map[string]int            // units that are not reserved, by item
	reserved map[string]map[string]int // units, by order and then by item
}

// New returns an inventory with that stock: units by item.
func New(stock map[string]int) *Inventory {
	return &Inventory{left: maps.Clone(stock), reserved: make(map[string]map[string]int)}
}

// A Reservation asks for units of an item on behalf of an order.
type Reservation struct {
	Order    string `json:"order"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity"` // 1 or more
}

// An Item says how many units are left of an item, and how many are reserved.
type Item struct {
	ID       string `json:"id"`
	Left     int    `json:"left"`
	Reserved int    `json:"reserved"`
}

// IsText reports whether s is the same in every codec. JSON puts U+FFFD in the
// place of each byte that is not UTF-8, so that two keys become one.
func IsText(s string) bool { return !strings.ContainsRune(s, utf8.RuneError) }

// CheckStock returns how many units of an item are left. The error's code is
// NotFound if there is no such item.
func (inv *Inventory) CheckStock(_ context.Context, itemID string) (int, error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	left, ok := inv.left[itemID]
	if !ok {
		return 0, rpc.Errorf(rpc.NotFound, "unknown item: %s", itemID)
	}
	return left, nil
}

// Reserve takes the units from the stock, all or none, and returns how many are
// left. The error's code is NotFound, FailedPrecondition if there are not
// enough, or InvalidArgument.
func (inv *Inventory) Reserve(_ context.Context, r Reservation) (int, error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	left, ok := inv.left[r.Item]
	switch {
	case r.Order == "":
		return 0, rpc.Errorf(rpc.InvalidArgument, "order is missing")
	case !IsText(r.Order):
		return 0, rpc.Errorf(rpc.InvalidArgument, "order %q is not UTF-8", r.Order)
	case !ok:
		return 0, rpc.Errorf(rpc.NotFound, "unknown item: %s", r.Item)
	case r.Quantity < 1:
		return 0, rpc.Errorf(rpc.InvalidArgument, "bad quantity: %d", r.Quantity)
	case r.Quantity > left:
		return 0, rpc.Errorf(rpc.FailedPrecondition, "out of stock: %s: %d left, %d wanted", r.Item, left, r.Quantity)
	}
	if inv.reserved[r.Order] == nil {
		inv.reserved[r.Order] = make(map[string]int)
	}
	inv.reserved[r.Order][r.Item] += r.Quantity
	inv.left[r.Item] -= r.Quantity
	return inv.left[r.Item], nil
}

// Release gives back all that an order has reserved, and returns how many units
// that was: 0 for an order that has nothing reserved.
func (inv *Inventory) Release(_ context.Context, order string) (int, error) {
	if !IsText(order) {
		return 0, rpc.Errorf(rpc.InvalidArgument, "order %q is not UTF-8", order)
	}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	units := 0
	for item, quantity := range inv.reserved[order] {
		inv.left[item] += quantity
		units += quantity
	}
	delete(inv.reserved, order)
	return units, nil
}

// List returns all items, sorted by id.
func (inv *Inventory) List(context.Context) ([]Item, error) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	reserved := make(map[string]int)
	for _, lines := range inv.reserved {
		for item, quantity := range lines {
			reserved[item] += quantity
		}
	}
	var items []Item
	for _, id := range slices.Sorted(maps.Keys(inv.left)) {
		items = append(items, Item{id, inv.left[id], reserved[id]})
	}
	return items, nil
}
