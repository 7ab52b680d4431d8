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

// ToProto returns r as an orderspb.ImportReport.
func (r *ImportReport) ToProto() proto.Message {
	out := &orderspb.ImportReport{Placed: int64(r.Placed), Units: int64(r.Units)}
	for code, n := range r.Failed {
		if out.Failed == nil {
			out.Failed = map[string]int64{}
		}
		out.Failed[code] = int64(n)
	}
	for _, f := range r.Failures {
		out.Failures = append(out.Failures, &orderspb.Failure{Order: f.Order, Code: f.Code, Message: f.Message})
	}
	return out
}

// FromProto sets r to an orderspb.ImportReport.
func (r *ImportReport) FromProto(m proto.Message) (err error) {
	in := m.(*orderspb.ImportReport)
	*r = ImportReport{}
	if r.Placed, err = inventorypb.Int(in.GetPlaced()); err != nil {
		return err
	}
	if r.Units, err = inventorypb.Int(in.GetUnits()); err != nil {
		return err
	}
	for code, n := range in.GetFailed() {
		if r.Failed == nil {
			r.Failed = map[string]int{}
		}
		if r.Failed[code], err = inventorypb.Int(n); err != nil {
			return err
		}
	}
	for _, f := range in.GetFailures() {
		r.Failures = append(r.Failures, Failure{Order: f.GetOrder(), Code: f.GetCode(), Message: f.GetMessage()})
	}
	return nil
}
