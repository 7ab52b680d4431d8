package orders

import (
	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/inventory/inventorypb"
	"example.com/rpc-from-scratch/final/orders/orderspb"
)

// ToProto returns o as an orderspb.Order, for connections that speak Protocol
// Buffers.
func (o *Order) ToProto() proto.Message {
	return &orderspb.Order{Id: o.ID, Customer: o.Customer, Lines: inventory.LinesToProto(o.Lines)}
}

// FromProto sets o to an orderspb.Order.
func (o *Order) FromProto(m proto.Message) error {
	in := m.(*orderspb.Order)
	lines, err := inventory.LinesFromProto(in.GetLines())
	*o = Order{ID: in.GetId(), Customer: in.GetCustomer(), Lines: lines}
	return err
}

// ToProto returns r as an orderspb.Receipt.
func (r *Receipt) ToProto() proto.Message {
	return &orderspb.Receipt{Order: r.Order, Units: int64(r.Units)}
}

// FromProto sets r to an orderspb.Receipt.
func (r *Receipt) FromProto(m proto.Message) error {
	in := m.(*orderspb.Receipt)
	units, err := inventorypb.Int(in.GetUnits())
	*r = Receipt{Order: in.GetOrder(), Units: units}
	return err
}
