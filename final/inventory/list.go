package inventory

import (
	"context"

	bolt "go.etcd.io/bbolt"
)

// CheckStock returns how many units of an item are left. The error's code is
// NotFound if there is no such item, InvalidArgument if there can be none.
func (inv *Inventory) CheckStock(_ context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
	if req.Item != "" {
		if err := checkItem(req.Item); err != nil {
			return nil, err
		}
	}
	item, err := inv.item(req.Item)
	if err != nil {
		return nil, err
	}
	return &CheckStockReply{Left: item.Left}, nil
}

// List returns all items, sorted by id, as they are at one moment.
func (inv *Inventory) List(context.Context, *ListRequest) (*ListReply, error) {
	reply := new(ListReply)
	err := inv.view(func(b *books) error {
		return b.eachLevel(func(item string, l level) error {
			reply.Items = append(reply.Items, Item{ID: item, Left: l.Left, Reserved: l.Reserved})
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// Reservations calls fn for each record, sorted by order, as they are at one
// moment, and stops at the first error, which it returns. fn must not call the
// Inventory. It is for auditing the books: no method publishes it.
func (inv *Inventory) Reservations(fn func(Reservation) error) error {
	return inv.db.View(func(tx *bolt.Tx) error { return newBooks(tx).eachReservation(fn) })
}

func (b *books) eachLevel(fn func(item string, l level) error) error {
	return b.stock.ForEach(func(key, data []byte) error {
		var l level
		if err := decode(string(key), data, &l); err != nil {
			return err
		}
		return fn(string(key), l)
	})
}

func (b *books) eachReservation(fn func(Reservation) error) error {
	return b.reservations.ForEach(func(key, data []byte) error {
		var r Reservation
		if err := decode(string(key), data, &r); err != nil {
			return err
		}
		r.Order = string(key)
		return fn(r)
	})
}
