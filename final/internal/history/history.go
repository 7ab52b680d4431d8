// Package history proves what callers of the shop were told. A [Recorder] notes every
// call with its times and its outcome, unknown outcomes included. [Check] then looks for
// one order of the calls, each at one moment between its beginning and its end, in which
// a shop that has a single copy of the stock would have given the same answers. Such a
// history is called linearizable. If there is no such order, the shop has lied: it has
// reserved twice, lost what it had answered, or answered before it knew.
//
// The search is done by [github.com/anishathalye/porcupine]. Its time grows with the
// calls that are under way at once, so the history is cut into groups of items: two items
// are in one group if a reservation has lines of both. A history that is not decided in
// time fails, too.
//
// A call without an answer may have run or not, then or later. The order's id, which is
// its idempotency key, settles that: callers ask again with the same id until they get an
// answer, and the effect of all these calls lies before the end of that answer. A call
// about which nobody has asked again may take effect at any later time, or never.
package history

import (
	"fmt"
	"math"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
)

// Kind is what a call asks for.
type Kind string

// The kinds, by the method that is called.
const (
	Reserve Kind = "reserve" // Inventory.Reserve
	Release Kind = "release" // Inventory.Release
	Look    Kind = "look"    // Inventory.CheckStock and Inventory.List
	Place   Kind = "place"   // Orders.PlaceOrder, which reserves, and may release
)

// Outcome is what a caller was told.
type Outcome string

// The outcomes.
const (
	Unknown    Outcome = "unknown"      // no answer: it may have run, or may run later
	Held       Outcome = "held"         // the units are reserved
	Refused    Outcome = "refused"      // there was not enough: see Call.Short
	Withdrawn  Outcome = "withdrawn"    // the order was released, before or after it was reserved
	NoSuchItem Outcome = "no such item" // and nothing is noted
	Released   Outcome = "released"     // a Release: nothing is reserved any more
	Seen       Outcome = "seen"         // a Look: see Call.Levels
	NoEffect   Outcome = "no effect"    // it was answered, and has changed nothing
	Conflict   Outcome = "conflict"     // the order's id has other lines
)

// Never is when a call ended that had no end yet when the history was taken.
const Never time.Duration = math.MaxInt64

// A Call is a call that a caller has made, and what the caller was told.
type Call struct {
	Kind    Kind
	Order   string           // of all but a Look
	Lines   []inventory.Line // of a Reserve and a Place
	Outcome Outcome
	Units   int                // Held: how many are reserved. Released: how many were given back
	Short   inventory.Shortage // Refused: why
	Levels  []Level            // Seen
	Begun   time.Duration      // since the recorder's first call
	Ended   time.Duration      // or Never
}

// A Level is how many units of an item were left.
type Level struct {
	Item string
	Left int
}

// String describes the call in a line.
func (c Call) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s", c.Kind, c.Order)
	for _, l := range c.Lines {
		fmt.Fprintf(&b, " %d×%s", l.Quantity, l.Item)
	}
	fmt.Fprintf(&b, ": %s", c.Outcome)
	switch c.Outcome {
	case Refused:
		fmt.Fprintf(&b, " (%s: %d left, %d wanted)", c.Short.Item, c.Short.Left, c.Short.Wanted)
	case Seen:
		for _, l := range c.Levels {
			fmt.Fprintf(&b, " %s=%d", l.Item, l.Left)
		}
	case Released:
		fmt.Fprintf(&b, " %d", c.Units)
	}
	end := "never"
	if c.Ended != Never {
		end = fmt.Sprint(c.Ended)
	}
	fmt.Fprintf(&b, ", from %s to %s", c.Begun, end)
	return b.String()
}
