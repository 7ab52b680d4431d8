package inventory

import (
	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/inventory/inventorypb"
)

// The params and replies turn themselves into messages and back, so that the
// methods may be called over Protocol Buffers, too: they are
// [example.com/rpc-from-scratch/final/codec/protobuf.Convertible].

// ToProto returns r as an inventorypb.CheckStockRequest.
func (r *CheckStockRequest) ToProto() proto.Message {
	return &inventorypb.CheckStockRequest{Item: r.Item}
}

// FromProto sets r to an inventorypb.CheckStockRequest.
func (r *CheckStockRequest) FromProto(m proto.Message) error {
	*r = CheckStockRequest{Item: m.(*inventorypb.CheckStockRequest).GetItem()}
	return nil
}

// ToProto returns r as an inventorypb.CheckStockReply.
func (r *CheckStockReply) ToProto() proto.Message {
	return &inventorypb.CheckStockReply{Left: int64(r.Left)}
}

// FromProto sets r to an inventorypb.CheckStockReply.
func (r *CheckStockReply) FromProto(m proto.Message) (err error) {
	r.Left, err = inventorypb.Int(m.(*inventorypb.CheckStockReply).GetLeft())
	return err
}

// ToProto returns r as an inventorypb.ReserveRequest.
func (r *ReserveRequest) ToProto() proto.Message {
	return &inventorypb.ReserveRequest{
		Order: r.Order, Customer: r.Customer, Lines: LinesToProto(r.Lines), Attempt: r.Attempt,
	}
}

// FromProto sets r to an inventorypb.ReserveRequest.
func (r *ReserveRequest) FromProto(m proto.Message) error {
	in := m.(*inventorypb.ReserveRequest)
	lines, err := LinesFromProto(in.GetLines())
	*r = ReserveRequest{Order: in.GetOrder(), Customer: in.GetCustomer(), Lines: lines, Attempt: in.GetAttempt()}
	return err
}

// LinesToProto returns lines as messages.
func LinesToProto(lines []Line) []*inventorypb.Line {
	var list []*inventorypb.Line
	for _, l := range lines {
		list = append(list, &inventorypb.Line{Item: l.Item, Quantity: int64(l.Quantity)})
	}
	return list
}

// LinesFromProto returns the lines that the messages are.
func LinesFromProto(list []*inventorypb.Line) ([]Line, error) {
	var lines []Line
	for _, l := range list {
		quantity, err := inventorypb.Int(l.GetQuantity())
		if err != nil {
			return nil, err
		}
		lines = append(lines, Line{Item: l.GetItem(), Quantity: quantity})
	}
	return lines, nil
}

// ToProto returns r as an inventorypb.ReserveReply.
func (r *ReserveReply) ToProto() proto.Message {
	return &inventorypb.ReserveReply{Units: int64(r.Units)}
}

// FromProto sets r to an inventorypb.ReserveReply.
func (r *ReserveReply) FromProto(m proto.Message) (err error) {
	r.Units, err = inventorypb.Int(m.(*inventorypb.ReserveReply).GetUnits())
	return err
}

// ToProto returns r as an inventorypb.ReleaseRequest.
func (r *ReleaseRequest) ToProto() proto.Message {
	return &inventorypb.ReleaseRequest{Order: r.Order, Attempt: r.Attempt}
}

// FromProto sets r to an inventorypb.ReleaseRequest.
func (r *ReleaseRequest) FromProto(m proto.Message) error {
	in := m.(*inventorypb.ReleaseRequest)
	*r = ReleaseRequest{Order: in.GetOrder(), Attempt: in.GetAttempt()}
	return nil
}

// ToProto returns r as an inventorypb.ReleaseReply.
func (r *ReleaseReply) ToProto() proto.Message {
	return &inventorypb.ReleaseReply{Units: int64(r.Units)}
}

// FromProto sets r to an inventorypb.ReleaseReply.
func (r *ReleaseReply) FromProto(m proto.Message) (err error) {
	r.Units, err = inventorypb.Int(m.(*inventorypb.ReleaseReply).GetUnits())
	return err
}

// ToProto returns an inventorypb.ListRequest, which has no fields either.
func (r *ListRequest) ToProto() proto.Message { return &inventorypb.ListRequest{} }

// FromProto takes an inventorypb.ListRequest.
func (r *ListRequest) FromProto(proto.Message) error { return nil }

// ToProto returns r as an inventorypb.ListReply.
func (r *ListReply) ToProto() proto.Message {
	out := new(inventorypb.ListReply)
	for _, it := range r.Items {
		out.Items = append(out.Items, it.message())
	}
	return out
}

// FromProto sets r to an inventorypb.ListReply.
func (r *ListReply) FromProto(m proto.Message) error {
	*r = ListReply{}
	for _, message := range m.(*inventorypb.ListReply).GetItems() {
		var it Item
		if err := it.FromProto(message); err != nil {
			return err
		}
		r.Items = append(r.Items, it)
	}
	return nil
}

// ToProto returns it as an inventorypb.Item.
func (it *Item) ToProto() proto.Message { return it.message() }

func (it *Item) message() *inventorypb.Item {
	return &inventorypb.Item{Id: it.ID, Left: int64(it.Left), Reserved: int64(it.Reserved)}
}

// FromProto sets it to an inventorypb.Item.
func (it *Item) FromProto(m proto.Message) (err error) {
	in := m.(*inventorypb.Item)
	*it = Item{ID: in.GetId()}
	if it.Left, err = inventorypb.Int(in.GetLeft()); err != nil {
		return err
	}
	it.Reserved, err = inventorypb.Int(in.GetReserved())
	return err
}

// ToProto returns r as an inventorypb.WatchRequest.
func (r *WatchRequest) ToProto() proto.Message {
	return &inventorypb.WatchRequest{Items: r.Items}
}

// FromProto sets r to an inventorypb.WatchRequest.
func (r *WatchRequest) FromProto(m proto.Message) error {
	*r = WatchRequest{Items: m.(*inventorypb.WatchRequest).GetItems()}
	return nil
}
