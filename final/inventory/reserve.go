package inventory

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// Reserve takes an order's units from the stock, all or none; when it returns,
// that is on the disk. For an order that it knows it returns what it returned
// before.
//
// The error's code is InvalidArgument, NotFound (no such item), FailedPrecondition
// (not enough; Details have item, left and wanted), AlreadyExists (the order is
// known with other lines or another customer) or Aborted (it was released).
func (inv *Inventory) Reserve(ctx context.Context, req *ReserveRequest) (*ReserveReply, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	var known bool
	err := inv.change(ctx, func(b *books) (answer, err error) {
		r, ok, err := b.reservation(req.Order)
		known = ok
		switch {
		case err != nil:
			return nil, err
		case ok:
			return r.again(req), b.share(r, req.Attempt)
		}
		return b.reserve(req)
	})
	if known {
		inv.repeated.Add(1)
	}
	if err != nil {
		return nil, err
	}
	return &ReserveReply{Units: units(req.Lines)}, nil
}

// share notes that more than one attempt has asked for an order that is held, so
// that none of them can give it up alone.
func (b *books) share(r *Reservation, attempt string) error {
	if r.State != Held || r.Attempt == "" || r.Attempt == attempt {
		return nil
	}
	r.Attempt = ""
	return b.setReservation(r)
}

// reserve makes a new reservation, or records that there is not enough.
func (b *books) reserve(req *ReserveRequest) (answer, err error) {
	r := &Reservation{
		Order: req.Order, Customer: req.Customer, State: Held, Lines: req.Lines, Attempt: req.Attempt,
	}
	if r.Shortage, answer, err = b.shortage(req.Lines); answer != nil || err != nil {
		return answer, err
	}
	if r.Shortage != nil {
		r.State = Refused
		return r.Shortage.err(), b.setReservation(r)
	}
	if err := b.move(r.Lines, +1); err != nil {
		return nil, err
	}
	return nil, b.setReservation(r)
}

// shortage returns the first item of which there is not enough; nil if there is
// enough of all. Two lines may want the same item. An item that does not exist
// is an answer without a record: items do not come and go.
func (b *books) shortage(lines []Line) (short *Shortage, answer, err error) {
	wanted := make(map[string]int, len(lines))
	for _, line := range lines {
		l, ok, err := b.level(line.Item)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			return nil, rpc.Errorf(rpc.NotFound, "unknown item: %s", line.Item), nil
		}
		wanted[line.Item] += line.Quantity
		if n := wanted[line.Item]; n > l.Left && short == nil {
			short = &Shortage{Item: line.Item, Left: l.Left, Wanted: n}
		}
	}
	return short, nil, nil
}
