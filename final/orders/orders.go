// Package orders places the orders of a shop, with units that it reserves from
// an inventory. It keeps nothing itself: any number of order servers may run
// beside each other, and an order may be sent to any of them, and to another one
// if no answer comes.
package orders

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// PlaceOrder is the service's method, for both sides. An order's id is its
// idempotency key.
var PlaceOrder = rpc.IdempotentMethod[Order, Receipt]("Orders.PlaceOrder")

// An Order is what a customer wants: all of it, or nothing.
type Order struct {
	ID       string `json:"id"` // each order has its own
	Customer string `json:"customer"`
	Lines    []Line `json:"lines"` // one or more
}

// A Line is a number of units of one item.
type Line = inventory.Line

// A Receipt confirms that an order is placed.
type Receipt struct {
	Order string `json:"order"`
	Units int    `json:"units"`
}

// How long an order server asks the inventory before it gives an order up, and
// how long it then tries to give back what the order may hold.
const (
	patience     = 30 * time.Second
	lastPatience = 10 * time.Second
)

// Orders is the service Orders. It may be used concurrently.
type Orders struct {
	inventory rpc.Caller
}

// New returns a service that reserves from that inventory: see [Connect].
func New(inventory rpc.Caller) *Orders {
	misuse.NotNil("orders: New", "caller", inventory)
	return &Orders{inventory}
}

// Register publishes the service's method on srv.
func (o *Orders) Register(srv *rpc.Server) error {
	return PlaceOrder.Handle(srv, o.PlaceOrder)
}

// PlaceOrder reserves all units of an order, or none. The same order may be sent
// again until an answer comes; it is placed once.
//
// The error's code is InvalidArgument, NotFound (no such item),
// FailedPrecondition (out of stock), AlreadyExists (the id is that of another
// order), Aborted (given up, and nothing is reserved: order again under a new id),
// or Unavailable (the outcome is not known: send the same order again).
func (o *Orders) PlaceOrder(ctx context.Context, order *Order) (*Receipt, error) {
	attempt := rand.Text()
	req := &inventory.ReserveRequest{Order: order.ID, Customer: order.Customer, Lines: order.Lines, Attempt: attempt}
	if err := req.Check(); err != nil {
		return nil, err // before the codec of another connection changes what is wrong
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := inventory.Reserve.Call(ctx, o.inventory, req)
	switch {
	case err == nil:
		return &Receipt{Order: order.ID, Units: reply.Units}, nil
	case decided(err):
		return nil, err
	}
	return nil, o.giveBack(ctx, order.ID, attempt, err)
}

// decided reports whether err is the inventory's answer to the order. Any other
// error leaves open whether the units are reserved, also one of a call that never
// ran, for an earlier try of the same call may have.
func decided(err error) bool {
	var e *rpc.Error
	if !errors.As(err, &e) || !e.Remote() {
		return false
	}
	switch e.Code {
	case rpc.InvalidArgument, rpc.NotFound, rpc.FailedPrecondition, rpc.AlreadyExists, rpc.Aborted:
		return true
	}
	return false
}

// giveBack gives up this attempt to place an order, whether or not its customer
// still waits, and returns what the customer is told. The order may be placed all
// the same, by another attempt: the customer may have sent it again elsewhere.
func (o *Orders) giveBack(ctx context.Context, order, attempt string, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	_, err := inventory.Release.Call(ctx, o.inventory, &inventory.ReleaseRequest{
		Order: order, Attempt: attempt,
	})
	if err != nil {
		return rpc.Errorf(rpc.Unavailable, "send order %s again, nobody knows whether it is placed: %w", order, cause)
	}
	return rpc.Errorf(rpc.Aborted, "order %s is withdrawn: %w", order, cause)
}
