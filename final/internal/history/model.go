package history

import (
	"hash/maphash"
	"slices"
	"time"

	"github.com/anishathalye/porcupine"

	"example.com/rpc-from-scratch/final/inventory"
)

// A step is a call as the model of a group sees it: items and orders are numbers.
type step struct {
	call   *Call // for messages
	lines  []quantity
	levels []quantity // Seen
	order  int        // the order's place in state.orders; -1: this is the only call about it
}

type quantity struct{ item, n int }

// A fate is what the inventory has noted about an order.
type fate byte

const (
	none     fate = iota // nothing
	held                 // its units are reserved
	refused              // there was not enough
	void                 // released before it was reserved
	returned             // released after it was reserved
)

// A state is a group of items at one moment. It is never changed: do returns another.
type state struct {
	left   []int  // by item
	orders []fate // of the orders about which there is more than one call
}

func (s *state) fate(order int) fate {
	if order < 0 {
		return none
	}
	return s.orders[order]
}

// with returns s after an order got that fate, and units moved: sign -1 takes the units
// of lines from the stock, +1 gives them back, 0 moves none.
func (s *state) with(order int, f fate, lines []quantity, sign int) *state {
	next := *s
	if sign != 0 {
		next.left = slices.Clone(s.left)
		for _, l := range lines {
			next.left[l.item] += sign * l.n
		}
	}
	if order >= 0 && s.orders[order] != f {
		next.orders = slices.Clone(s.orders)
		next.orders[order] = f
	}
	return &next
}

// short returns the first line of which there is not enough, as the inventory finds it.
// Several lines may want the same item.
func (s *state) short(lines []quantity) (line quantity, found bool) {
	for i, l := range lines {
		wanted := 0
		for _, before := range lines[:i+1] {
			if before.item == l.item {
				wanted += before.n
			}
		}
		if wanted > s.left[l.item] {
			return quantity{l.item, wanted}, true
		}
	}
	return quantity{}, false
}

// A group is a part of the shop: items that are connected by reservations, and all calls
// about them.
type group struct {
	items []string // sorted
	start []int    // how many there are at first
	steps []step
	count int // of the orders in a state
}

func (g *group) model() porcupine.Model {
	seed := maphash.MakeSeed()
	return porcupine.Model{
		Init: func() any { return &state{g.start, make([]fate, g.count)} },
		Step: func(s, in, _ any) (bool, any) {
			next := g.do(s.(*state), in.(*step))
			return next != nil, next
		},
		Equal: func(a, b any) bool {
			x, y := a.(*state), b.(*state)
			return slices.Equal(x.left, y.left) && slices.Equal(x.orders, y.orders)
		},
		Hash: func(s any) uint64 {
			x := s.(*state)
			var h maphash.Hash
			h.SetSeed(seed)
			for _, n := range x.left {
				maphash.WriteComparable(&h, n)
			}
			for _, f := range x.orders {
				h.WriteByte(byte(f))
			}
			return h.Sum64()
		},
	}
}

// do returns the state after a call; nil if a shop in state s would have answered it
// otherwise.
func (g *group) do(s *state, c *step) *state {
	switch c.call.Kind {
	case Look:
		for _, l := range c.levels {
			if s.left[l.item] != l.n {
				return nil
			}
		}
		return s
	case Release:
		return s.release(c)
	}
	return g.reserve(s, c)
}

func (g *group) reserve(s *state, c *step) *state {
	f := s.fate(c.order)
	if f != none {
		if c.call.Outcome == Unknown || c.call.Outcome == f.answer() {
			return s
		}
		return nil
	}
	short, isShort := s.short(c.lines)
	switch {
	case c.call.Outcome == Withdrawn:
		return nil
	case !isShort && c.call.Outcome != Refused:
		return s.with(c.order, held, c.lines, -1)
	case isShort && c.call.Outcome == Unknown:
		return s.with(c.order, refused, nil, 0)
	case isShort && c.call.Outcome == Refused:
		now := inventory.Shortage{Item: g.items[short.item], Left: s.left[short.item], Wanted: short.n}
		if now == c.call.Short {
			return s.with(c.order, refused, nil, 0)
		}
	}
	return nil
}

// answer is what Reserve answers once an order has that fate.
func (f fate) answer() Outcome {
	switch f {
	case held:
		return Held
	case refused:
		return Refused
	}
	return Withdrawn
}

func (s *state) release(c *step) *state {
	next, back := s, 0
	switch s.fate(c.order) {
	case none:
		next = s.with(c.order, void, nil, 0)
	case held:
		next, back = s.with(c.order, returned, c.lines, +1), units(c.call.Lines)
	case returned:
		back = units(c.call.Lines)
	}
	if c.call.Outcome == Released && c.call.Units != back {
		return nil
	}
	return next
}

// operations are the steps as package porcupine wants them.
func (g *group) operations() []porcupine.Operation {
	ops := make([]porcupine.Operation, len(g.steps))
	for i := range g.steps {
		s := &g.steps[i]
		ops[i] = porcupine.Operation{Input: s, Call: int64(s.call.Begun), Return: int64(s.call.Ended)}
	}
	return ops
}

// decide searches for an order of the steps for at most limit.
func (g *group) decide(limit time.Duration) porcupine.CheckResult {
	return porcupine.CheckOperationsTimeout(g.model(), g.operations(), limit)
}
