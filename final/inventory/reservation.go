package inventory

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/rpc"
)

// State is where a reservation stands.
type State string

// The states. Held may become Released; nothing else changes.
const (
	Held     State = "held"     // its units are taken from the stock
	Refused  State = "refused"  // there was not enough; nothing is taken
	Released State = "released" // given back, or given up before it arrived
)

// A Reservation is the inventory's record of one order. It is never deleted:
// it is what makes a repeated request harmless. (A shop that runs for years
// would delete those that no client can ask for any more.)
type Reservation struct {
	Order    string    `json:"order"`
	Customer string    `json:"customer,omitempty"`
	State    State     `json:"state"`
	Lines    []Line    `json:"lines,omitempty"` // none if it was released before it arrived
	Attempt  string    `json:"attempt,omitempty"`
	Shortage *Shortage `json:"shortage,omitempty"` // why it is Refused
}

// A Shortage is why an order was refused, as it was at that moment.
type Shortage struct {
	Item   string `json:"item"`
	Left   int    `json:"left"`
	Wanted int    `json:"wanted"`
}

// err is what the caller of Reserve gets, each time.
func (s *Shortage) err() error {
	err := rpc.Errorf(rpc.FailedPrecondition, "out of stock: %s: %d left, %d wanted", s.Item, s.Left, s.Wanted)
	err.Details = map[string]string{"item": s.Item, "left": strconv.Itoa(s.Left), "wanted": strconv.Itoa(s.Wanted)}
	return err
}

// again answers a request for an order that has this record already.
func (r *Reservation) again(req *ReserveRequest) error {
	switch {
	case r.State == Released:
		return rpc.Errorf(rpc.Aborted, "order %s is withdrawn", r.Order)
	case r.Customer != req.Customer || !slices.Equal(r.Lines, req.Lines):
		return rpc.Errorf(rpc.AlreadyExists, "order %s exists with other content", r.Order)
	case r.State == Refused:
		return r.Shortage.err()
	}
	return nil
}

func units(lines []Line) (sum int) {
	for _, line := range lines {
		sum += line.Quantity
	}
	return sum
}

// Check returns an InvalidArgument if the request is wrong, whatever the stock.
func (req *ReserveRequest) Check() error {
	if err := checkIDs(req.Order, req.Customer, req.Attempt); err != nil {
		return err
	}
	if n := len(req.Lines); n < 1 || n > MaxLines {
		return rpc.Errorf(rpc.InvalidArgument, "an order has 1 to %d lines, not %d", MaxLines, n)
	}
	for _, line := range req.Lines {
		if err := checkItem(line.Item); err != nil {
			return err
		}
		if line.Quantity < 1 || line.Quantity > MaxQuantity {
			return rpc.Errorf(rpc.InvalidArgument, "bad quantity: %d", line.Quantity)
		}
	}
	return nil
}

func checkIDs(order string, others ...string) error {
	if order == "" {
		return rpc.Errorf(rpc.InvalidArgument, "order is missing")
	}
	for _, id := range append(others, order) {
		if len(id) > MaxID {
			return rpc.Errorf(rpc.InvalidArgument, "id of %d bytes: at most %d", len(id), MaxID)
		}
		if !isSteady(id) {
			return rpc.Errorf(rpc.InvalidArgument, "id %q is not UTF-8, or holds U+FFFD in place of what was not", id)
		}
	}
	return nil
}

func checkItem(id string) error {
	if id == "" || len(id) > MaxID {
		return rpc.Errorf(rpc.InvalidArgument, "item id of %d bytes", len(id))
	}
	if !isSteady(id) {
		return rpc.Errorf(rpc.InvalidArgument, "item id %q is not UTF-8, or holds U+FFFD in place of what was not", id)
	}
	return nil
}

// isSteady reports whether a text is the same in every encoding. JSON, in which the
// database and most clients write, turns each byte that is not UTF-8 into U+FFFD, so
// that two keys become one: a new order would be taken for a repeated one.
func isSteady(text string) bool { return !strings.ContainsRune(text, utf8.RuneError) }
