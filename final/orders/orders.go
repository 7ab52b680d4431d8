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

// The service's methods, for both sides. An order's id is its idempotency key.
var (
	PlaceOrder = rpc.IdempotentMethod[Order, Receipt]("Orders.PlaceOrder")
	Import     = rpc.ClientStream[Order, ImportReport]("Orders.Import")
)

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
// how long it then tries to give back what the order may hold. Once the server drains,
// each ends soon, so that an inventory that is not there does not keep it running.
const (
	patience      = 30 * time.Second
	lastPatience  = 10 * time.Second
	drainPatience = 2 * time.Second
	answerTime    = time.Second // at most so much of a customer's time is left for the answer
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

// Register publishes the service's methods on srv.
func (o *Orders) Register(srv *rpc.Server) error {
	if err := PlaceOrder.Handle(srv, o.PlaceOrder); err != nil {
		return err
	}
	return Import.Handle(srv, o.Import)
}

// PlaceOrder reserves all units of an order, or none. The same order may be sent
// again until an answer comes; it is placed once.
//
// The error's code is InvalidArgument, NotFound (no such item),
// FailedPrecondition (out of stock), AlreadyExists (the id is that of another
// order), Aborted (given up, and nothing is reserved: order again under a new id),
// or Unavailable (the inventory was not reached, or the outcome is not known: send the
// same order again).
func (o *Orders) PlaceOrder(ctx context.Context, order *Order) (*Receipt, error) {
	attempt := rand.Text()
	req := &inventory.ReserveRequest{Order: order.ID, Customer: order.Customer, Lines: order.Lines, Attempt: attempt}
	if err := req.Check(); err != nil {
		return nil, err // before the codec of another connection changes what is wrong
	}
	ctx, cancel := asking(ctx, patience)
	defer cancel()
	reply, err := inventory.Reserve.Call(ctx, o.inventory, req)
	switch {
	case err == nil:
		return &Receipt{Order: order.ID, Units: reply.Units}, nil
	case decided(err):
		return nil, err
	case rpc.NeverRan(err): // there is nothing to give back
		return nil, rpc.Errorf(rpc.Unavailable, "send order %s again, it has not reached the inventory: %w", order.ID, err)
	}
	return nil, o.giveBack(ctx, order.ID, attempt, err)
}

// asking returns a context in which the inventory is asked for at most so long. It leaves
// time to answer before the deadline of ctx, and ends soon after the server has begun to
// drain.
func asking(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		most = min(most, left-min(left/10, answerTime))
	}
	ctx, cancel := context.WithTimeout(ctx, most)
	if draining := rpc.DrainingFrom(ctx); draining != nil {
		go cancelAfter(ctx, cancel, draining)
	}
	return ctx, cancel
}

// cancelAfter calls cancel drainPatience after draining has begun. It returns when ctx ends.
func cancelAfter(ctx context.Context, cancel func(), draining <-chan struct{}) {
	select {
	case <-draining:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(drainPatience)
	defer timer.Stop()
	select {
	case <-timer.C:
		cancel()
	case <-ctx.Done():
	}
}

// decided reports whether err is the inventory's answer to the order. Any other error of a
// call that may have run leaves open whether the units are reserved.
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
	ctx, cancel := asking(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	_, err := inventory.Release.Call(ctx, o.inventory, &inventory.ReleaseRequest{
		Order: order, Attempt: attempt,
	})
	if err != nil {
		return rpc.Errorf(rpc.Unavailable, "send order %s again, nobody knows whether it is placed: %w", order, cause)
	}
	return rpc.Errorf(rpc.Aborted, "order %s is withdrawn: %w", order, cause)
}
