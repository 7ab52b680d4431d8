// Package inventory is the shop's store room: how many units of each item there
// are, and which orders have reserved some. It keeps both in a database file,
// so that it may be killed at any moment: what it has answered is on the disk.
//
// An order's id is its idempotency key. Reserve may be sent as often as it takes
// to get an answer; the units are taken once, and each time the answer is the same.
package inventory

import (
	"example.com/rpc-from-scratch/final/rpc"
)

// The service's methods, for both sides. They are the same in JSON, gob and
// Protocol Buffers; the messages are in inventorypb.
var (
	CheckStock = rpc.IdempotentMethod[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")
	Reserve    = rpc.IdempotentMethod[ReserveRequest, ReserveReply]("Inventory.Reserve")
	Release    = rpc.IdempotentMethod[ReleaseRequest, ReleaseReply]("Inventory.Release")
	List       = rpc.IdempotentMethod[ListRequest, ListReply]("Inventory.List")
	Watch      = rpc.ServerStream[WatchRequest, Item]("Inventory.Watch")
)

// CheckStockRequest asks how many units of an item are left.
type CheckStockRequest struct {
	Item string `json:"item"`
}

// CheckStockReply says how many units are not reserved.
type CheckStockReply struct {
	Left int `json:"left"`
}

// A Line is a number of units of one item.
type Line struct {
	Item     string `json:"item"`
	Quantity int    `json:"quantity"` // 1 to MaxQuantity
}

// Limits of a reservation. Beyond them it is an InvalidArgument.
const (
	MaxLines    = 100
	MaxQuantity = 1_000_000
	MaxID       = 128 // bytes, of Order, Customer and Attempt
)

// ReserveRequest asks for all the units of an order, or none.
type ReserveRequest struct {
	Order    string `json:"order"` // the idempotency key
	Customer string `json:"customer,omitempty"`
	Lines    []Line `json:"lines"` // 1 to MaxLines

	// Attempt names the caller's attempt to place the order, so that it can give
	// up this attempt and no other: see ReleaseRequest. May be empty.
	Attempt string `json:"attempt,omitempty"`
}

// ReserveReply says that the units are reserved.
type ReserveReply struct {
	Units int `json:"units"`
}

// ReleaseRequest gives back what an order has reserved. From then on Reserve
// refuses the order, also if its first Reserve arrives later.
type ReleaseRequest struct {
	Order string `json:"order"`

	// Attempt, if it is not empty, releases only an order that no other attempt
	// has asked for. An attempt that gives up without an answer must not take the
	// units from another that got one.
	Attempt string `json:"attempt,omitempty"`
}

// ReleaseReply says how many units were given back, now or by an earlier Release.
type ReleaseReply struct {
	Units int `json:"units"`
}

// ListRequest asks for all items.
type ListRequest struct{}

// ListReply has all items, sorted by id.
type ListReply struct {
	Items []Item `json:"items"`
}

// An Item says how many units are left of an item, and how many are reserved.
type Item struct {
	ID       string `json:"id"`
	Left     int    `json:"left"`
	Reserved int    `json:"reserved"`
}

// WatchRequest asks for items as they change.
type WatchRequest struct {
	Items []string `json:"items,omitempty"` // their ids, at most MaxLines; none: all items
}

// Register publishes the service's methods on srv.
func (inv *Inventory) Register(srv *rpc.Server) error {
	for _, err := range []error{
		CheckStock.Handle(srv, inv.CheckStock),
		Reserve.Handle(srv, inv.Reserve),
		Release.Handle(srv, inv.Release),
		List.Handle(srv, inv.List),
		Watch.Handle(srv, inv.Watch),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}
