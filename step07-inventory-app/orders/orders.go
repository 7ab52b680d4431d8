// Package orders places the orders of a shop, with units that it reserves from
// an inventory.
package orders

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// DefaultOrders are the orders that cmd/shop places, as ParseOrders wants them.
//
//go:embed orders.json
var DefaultOrders []byte

// ParseOrders reads a JSON array of orders.
func ParseOrders(data []byte) ([]Order, error) {
	var list []Order
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	return list, nil
}

// An Order is what a customer wants: all of it, or nothing.
type Order struct {
	ID       string `json:"id"` // each order has its own
	Customer string `json:"customer"`
	Lines    []Line `json:"lines"` // one or more
}

// A Line is a number of units of one item.
type Line struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"`
}

// A Receipt confirms that an order is placed.
type Receipt struct {
	Order string `json:"order"`
	Units int    `json:"units"`
}

// A Caller calls methods of an inventory; *rpc.Client is one.
type Caller interface {
	Call(ctx context.Context, method string, params, result any) error
}

// Orders is the service Orders. It may be used concurrently.
type Orders struct {
	inventory Caller

	mu    sync.Mutex
	known map[string]bool // the orders that are placed or being placed, by id
}

// New returns a service that reserves from that inventory.
func New(inventory Caller) *Orders {
	return &Orders{inventory: inventory, known: make(map[string]bool)}
}

// PlaceOrder checks and reserves every line of order. If one fails, it gives
// back what it has reserved for the others.
//
// The error's code is that of the inventory, or InvalidArgument for an order
// without lines, or whose id is empty, not UTF-8, or already taken.
func (o *Orders) PlaceOrder(ctx context.Context, order Order) (Receipt, error) {
	if order.ID == "" || len(order.Lines) == 0 {
		return Receipt{}, rpc.Errorf(rpc.InvalidArgument, "an order needs an id and lines")
	}
	if !inventory.IsText(order.ID) { // which the inventory's codec would change
		return Receipt{}, rpc.Errorf(rpc.InvalidArgument, "order %q is not UTF-8", order.ID)
	}
	if !o.begin(order.ID) {
		return Receipt{}, rpc.Errorf(rpc.InvalidArgument, "order %s is placed already", order.ID)
	}
	err := o.check(ctx, order)
	if err == nil {
		err = o.reserve(ctx, order)
	}
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{order.ID, units(order)}, nil
}

// check asks for all lines before the first is reserved: to ask is cheaper than
// to give back. Even so, what was there a moment ago may be gone.
func (o *Orders) check(ctx context.Context, order Order) error {
	for _, line := range order.Lines {
		var left int
		err := o.inventory.Call(ctx, "Inventory.CheckStock", line.Item, &left)
		if err == nil && line.Quantity > left {
			err = rpc.Errorf(rpc.FailedPrecondition, "out of stock: %s: %d left, %d wanted", line.Item, left, line.Quantity)
		}
		if err != nil {
			o.forget(order.ID)
			return err
		}
	}
	return nil
}

// reserve reserves every line or none. If the reservations cannot be given back,
// the order's id stays known, so that no other order can take them for its own.
func (o *Orders) reserve(ctx context.Context, order Order) error {
	for _, line := range order.Lines {
		err := o.reserveLine(ctx, inventory.Reservation{Order: order.ID, Item: line.Item, Quantity: line.Quantity})
		if err == nil {
			continue
		}
		if backErr := o.giveBack(ctx, order.ID); backErr != nil {
			return fmt.Errorf("%w; %w", err, backErr)
		}
		o.forget(order.ID)
		return err
	}
	return nil
}

// reserveLine waits for the inventory's answer even if ctx ends. Otherwise a
// release could overtake the reservation, and give nothing back.
func (o *Orders) reserveLine(ctx context.Context, r inventory.Reservation) error {
	wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := o.inventory.Call(wait, "Inventory.Reserve", r, nil); err != nil {
		return err
	}
	return ctx.Err()
}

func units(order Order) (sum int) {
	for _, line := range order.Lines {
		sum += line.Quantity
	}
	return sum
}

// giveBack releases all that the order has reserved, even if ctx has ended.
func (o *Orders) giveBack(ctx context.Context, order string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := o.inventory.Call(ctx, "Inventory.Release", order, nil); err != nil {
		return fmt.Errorf("order %s may still hold reservations: %w", order, err)
	}
	return nil
}

// begin notes that an order is being placed, unless it is known already.
func (o *Orders) begin(id string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.known[id] {
		return false
	}
	o.known[id] = true
	return true
}

func (o *Orders) forget(id string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.known, id)
}
