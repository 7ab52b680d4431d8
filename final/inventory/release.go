package inventory

import (
	"context"

	"example.com/rpc-from-scratch/final/rpc"
)

// Release gives back what an order has reserved; when it returns, that is on
// the disk. It may be repeated. An order that is not known is noted, so that
// a Reserve that was sent earlier and arrives later takes nothing.
//
// The error's code is InvalidArgument, or FailedPrecondition if the request names
// an attempt and the order is not that attempt's alone.
func (inv *Inventory) Release(ctx context.Context, req *ReleaseRequest) (*ReleaseReply, error) {
	if err := checkIDs(req.Order, req.Attempt); err != nil {
		return nil, err
	}
	reply := new(ReleaseReply)
	err := inv.change(ctx, func(b *books) (answer, err error) {
		*reply = ReleaseReply{}
		r, ok, err := b.reservation(req.Order)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, b.setReservation(&Reservation{Order: req.Order, State: Released})
		case r.State == Held && req.Attempt != "" && req.Attempt != r.Attempt:
			return rpc.Errorf(rpc.FailedPrecondition, "another attempt has asked for order %s", req.Order), nil
		case r.State == Refused:
			return nil, nil
		}
		reply.Units = units(r.Lines)
		return nil, b.release(r)
	})
	if err != nil {
		return nil, err
	}
	return reply, nil
}

// release gives back the units, once.
func (b *books) release(r *Reservation) error {
	if r.State == Released {
		return nil
	}
	if err := b.move(r.Lines, -1); err != nil {
		return err
	}
	r.State = Released
	return b.setReservation(r)
}
