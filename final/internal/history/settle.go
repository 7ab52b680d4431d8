package history

import (
	"fmt"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
)

// An account is what callers did about one order.
type account struct {
	order string
	lines []inventory.Line // nil: only Releases are known
	calls []Call           // Reserves and Releases that may have an effect, as they began
}

// settle sorts calls by their orders, and bounds the time in which those with an unknown
// outcome may have run. It returns the Looks apart. What no stock could explain is an
// error already here.
func settle(stock map[string]int, calls []Call) (accounts []*account, looks []Call, err error) {
	byOrder := map[string]*account{}
	for _, c := range calls {
		switch {
		case c.Outcome == NoEffect || c.Kind == Look && c.Outcome != Seen:
			continue
		case c.Kind == Look:
			looks = append(looks, c)
			continue
		}
		a := byOrder[c.Order]
		if a == nil {
			a = &account{order: c.Order}
			byOrder[c.Order] = a
			accounts = append(accounts, a)
		}
		if err := a.add(c); err != nil {
			return nil, nil, err
		}
	}
	for _, a := range accounts {
		if err := a.check(stock); err != nil {
			return nil, nil, err
		}
		a.unfold()
		a.bound()
	}
	return accounts, looks, nil
}

func (a *account) add(c Call) error {
	if c.Kind != Release {
		if a.lines == nil {
			a.lines = c.Lines
		}
		if !slices.Equal(a.lines, c.Lines) {
			return fmt.Errorf("order %s was sent with other lines, which this package does not follow: %v", a.order, c)
		}
	}
	a.calls = append(a.calls, c)
	return nil
}

// check compares the answers about one order with each other, and with its lines.
func (a *account) check(stock map[string]int) error {
	var refused, placed *Call
	for i := range a.calls {
		c := &a.calls[i]
		known := !slices.ContainsFunc(a.lines, func(l inventory.Line) bool {
			_, ok := stock[l.Item]
			return !ok
		})
		switch {
		case c.Outcome == Conflict:
			return fmt.Errorf("order %s has never had other lines: %v", a.order, c)
		case c.Outcome == Held && c.Units != units(a.lines):
			return fmt.Errorf("order %s is for %d units: %v is for %d", a.order, units(a.lines), c, c.Units)
		case c.Outcome == NoSuchItem && known, (c.Outcome == Held || c.Outcome == Refused) && !known:
			return fmt.Errorf("an answer that the stock does not allow: %v", c)
		case c.Outcome == Refused && refused != nil && refused.Short != c.Short:
			return fmt.Errorf("order %s was refused for two reasons: %v, and %v", a.order, refused, c)
		case c.Kind == Place && c.Outcome != Unknown && placed != nil && placed.Outcome != c.Outcome:
			return fmt.Errorf("order %s has two fates: %v, and %v", a.order, placed, c)
		}
		if c.Outcome == Refused {
			refused = c
		}
		if c.Kind == Place && c.Outcome != Unknown {
			placed = c
		}
	}
	return nil
}

func units(lines []inventory.Line) (sum int) {
	for _, l := range lines {
		sum += l.Quantity
	}
	return sum
}

// unfold puts Reserves and Releases in the place of Places. An order server that gives up
// releases what it may have reserved before it answers Withdrawn, and an order that was
// placed or refused was not released: nobody can take that back later.
func (a *account) unfold() {
	first, last := Never, Never
	var fate Call
	for _, c := range a.calls {
		if c.Kind != Place {
			continue
		}
		first = min(first, c.Begun)
		if c.Outcome != Unknown && c.Ended <= last {
			fate, last = c, c.Ended
		}
	}
	if first == Never {
		return
	}
	a.calls = slices.DeleteFunc(a.calls, func(c Call) bool { return c.Kind == Place })
	fate.Order, fate.Lines, fate.Begun, fate.Ended = a.order, a.lines, first, last
	fate.Kind = Reserve
	switch fate.Outcome {
	case Held, Refused, NoSuchItem:
		a.calls = append(a.calls, fate)
		return
	}
	release := Unknown
	if fate.Outcome == Withdrawn {
		release = Withdrawn
	}
	fate.Outcome = Unknown
	a.calls = append(a.calls, fate)
	fate.Kind, fate.Outcome = Release, release
	a.calls = append(a.calls, fate)
}

// bound ends each call without an answer where a later answer shows that it can have no
// effect any more, and removes those that never had one. Of several it keeps the first:
// no more than one of them can have had an effect, at any time since the first began.
// Each one more would double what [Check] has to search.
func (a *account) bound() {
	var kept []Call
	first := map[Kind]int{} // of those without an answer, in kept
	for _, c := range a.calls {
		if c.Outcome != Unknown {
			kept = append(kept, c)
			continue
		}
		c.Ended = a.settled(c)
		if c.Ended < c.Begun {
			continue
		}
		if n, ok := first[c.Kind]; ok {
			kept[n].Begun = min(kept[n].Begun, c.Begun)
			continue
		}
		first[c.Kind] = len(kept)
		kept = append(kept, c)
	}
	a.calls = kept
}

// settled returns from when on a call without an answer has no effect: for a Reserve,
// from when on the inventory has a record of the order, and for a Release, from when on
// that says "released".
func (a *account) settled(c Call) time.Duration {
	at := Never
	for _, d := range a.calls {
		record := d.Outcome == Held || d.Outcome == Refused
		released := d.Outcome == Released || d.Outcome == Withdrawn
		if released || record && c.Kind == Reserve {
			at = min(at, d.Ended)
		}
	}
	return at
}
