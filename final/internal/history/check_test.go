package history

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/inventory"
)

// at returns a call of an order for n units of item1 that took from begun to ended.
func at(kind Kind, order string, n int, begun, ended time.Duration, o Outcome) Call {
	c := Call{Kind: kind, Order: order, Outcome: o, Begun: begun, Ended: ended}
	if kind != Release {
		c.Lines = []inventory.Line{{Item: "item1", Quantity: n}}
	}
	if o == Held || o == Released {
		c.Units = n
	}
	return c
}

// look returns a call that saw how much was left of item1.
func look(left int, begun, ended time.Duration) Call {
	return Call{Kind: Look, Outcome: Seen, Levels: []Level{{"item1", left}}, Begun: begun, Ended: ended}
}

// short returns a Reserve that was refused.
func short(order string, n, left int, begun, ended time.Duration) Call {
	c := at(Reserve, order, n, begun, ended, Refused)
	c.Short = inventory.Shortage{Item: "item1", Left: left, Wanted: n}
	return c
}

// Of item1 there are five units.
func TestCheck_TellsWhatIsPossible(t *testing.T) {
	for _, test := range []struct {
		name  string
		calls []Call
		text  string // "": it is possible
	}{
		{"nothing", nil, ""},
		{"one after the other", []Call{
			at(Reserve, "a", 2, 0, 1, Held), look(3, 2, 3), short("b", 4, 3, 4, 5),
		}, ""},
		{"more than there is", []Call{
			at(Reserve, "a", 3, 0, 9, Held), at(Reserve, "b", 3, 0, 9, Held),
		}, "items item1: no order of the 2 calls explains all answers; 1 are explained, and then not: reserve"},
		{"at the same time, in either order", []Call{
			at(Reserve, "a", 3, 0, 9, Held), short("b", 3, 2, 0, 9), at(Reserve, "c", 2, 0, 9, Held),
		}, ""},
		{"refused with what was never left", []Call{
			at(Reserve, "a", 3, 0, 9, Held), short("b", 3, 1, 0, 9),
		}, "no order"},
		{"refused though there was enough", []Call{
			at(Reserve, "a", 3, 10, 11, Held), short("b", 3, 2, 0, 9),
		}, "no order"},
		{"an old stock is seen", []Call{
			at(Reserve, "a", 3, 0, 1, Held), look(5, 2, 3),
		}, "1 are explained, and then not: look"},

		{"applied twice", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), at(Reserve, "a", 2, 2, 3, Held), look(1, 4, 5),
		}, "no order"},
		{"applied once, asked twice", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), at(Reserve, "a", 2, 2, 3, Held), look(3, 4, 5),
		}, ""},
		{"an answer that was lost in a crash", []Call{
			at(Reserve, "a", 2, 0, 1, Held), look(5, 4, 5),
		}, "no order"},
		{"another answer after a crash", []Call{
			at(Reserve, "a", 2, 0, 1, Held), short("a", 2, 1, 4, 5),
		}, "no order"},

		{"unknown, and it has run", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), look(3, 4, 5),
		}, ""},
		{"unknown, and it has not run", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), look(5, 4, 5),
		}, ""},
		{"unknown, and it runs later", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), look(5, 4, 5), look(3, 6, 7),
		}, ""},
		{"unknown, and it runs after somebody was answered", []Call{
			at(Reserve, "a", 2, 0, 1, Unknown), at(Reserve, "a", 2, 2, 3, Held), look(5, 4, 5), look(3, 6, 7),
		}, "no order"},
		{"unknown, and what begins after the answer is over", []Call{
			at(Reserve, "a", 2, 0, 1, Held), at(Reserve, "a", 2, 2, 3, Unknown), look(1, 4, 5),
		}, "no order"},
		{"unknown, and never ended", []Call{
			at(Reserve, "a", 2, 0, Never, Unknown), look(3, 4, 5),
		}, ""},

		{"given back", []Call{
			at(Reserve, "a", 2, 0, 1, Held), look(3, 2, 3), at(Release, "a", 2, 4, 5, Released), look(5, 6, 7),
			at(Reserve, "a", 2, 8, 9, Withdrawn),
		}, ""},
		{"given back twice", []Call{
			at(Reserve, "a", 2, 0, 1, Held), at(Reserve, "b", 3, 0, 1, Held),
			at(Release, "a", 2, 4, 5, Unknown), at(Release, "a", 2, 6, 7, Released), look(4, 8, 9),
		}, "no order"},
		{"given back before it was there", []Call{
			at(Release, "a", 0, 0, 1, Released), at(Reserve, "a", 2, 2, 3, Withdrawn), look(5, 4, 5),
		}, ""},
		{"reserved though it was withdrawn", []Call{
			at(Release, "a", 0, 0, 1, Released), at(Reserve, "a", 2, 2, 3, Held),
		}, "no order"},
		{"perhaps given back", []Call{
			at(Reserve, "a", 2, 0, 1, Held), at(Release, "a", 2, 2, 3, Unknown), look(3, 4, 5), look(5, 6, 7),
		}, ""},

		{"placed at the second try", []Call{
			at(Place, "a", 2, 0, 1, Unknown), at(Place, "a", 2, 2, 9, Held), look(5, 3, 4), look(3, 10, 11),
		}, ""},
		{"withdrawn, and held for a while", []Call{
			at(Place, "a", 2, 0, 9, Withdrawn), look(3, 2, 3), look(5, 4, 5),
		}, ""},
		{"withdrawn, and held for ever", []Call{
			at(Place, "a", 2, 0, 9, Withdrawn), look(3, 10, 11),
		}, "no order"},
		{"placed, and withdrawn", []Call{
			at(Place, "a", 2, 0, 1, Held), at(Place, "a", 2, 2, 3, Withdrawn),
		}, "order a has two fates"},

		{"refused for two reasons", []Call{short("a", 6, 5, 0, 1), short("a", 6, 4, 0, 1)}, "order a was refused for two reasons"},
		{"another order's units", []Call{{
			Kind: Reserve, Order: "a", Lines: []inventory.Line{{Item: "item1", Quantity: 2}}, Outcome: Held, Units: 3,
		}}, "order a is for 2 units"},
		{"an item that is there", []Call{at(Reserve, "a", 2, 0, 1, NoSuchItem)}, "an answer that the stock does not allow"},
		{"a conflict that is none", []Call{at(Reserve, "a", 2, 0, 1, Conflict)}, "order a has never had other lines"},
		{"other lines", []Call{at(Reserve, "a", 2, 0, 1, Held), at(Reserve, "a", 3, 0, 1, Held)}, "order a was sent with other lines"},
		{"an item from nowhere", []Call{{Kind: Look, Outcome: Seen, Levels: []Level{{"unicorn", 1}}}}, "an item that was never in the stock"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := Check(map[string]int{"item1": 5}, test.calls, time.Minute)
			if test.text == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, test.text)
			}
		})
	}
}

// What is not in the stock cannot be ordered, and the rest of that order is not touched.
func TestCheck_AnOrderOfAnUnknownItem(t *testing.T) {
	stock := map[string]int{"item1": 5}
	order := Call{Kind: Reserve, Order: "a", Lines: []inventory.Line{{Item: "item1", Quantity: 2}, {Item: "unicorn", Quantity: 1}}}
	order.Outcome = NoSuchItem
	assert.NoError(t, Check(stock, []Call{order, look(5, 0, 1)}, time.Minute))
	order.Outcome, order.Units = Held, 3
	assert.ErrorContains(t, Check(stock, []Call{order}, time.Minute), "an answer that the stock does not allow")
}

// A reservation of two items joins their groups, and takes both at one moment.
func TestCheck_TakesConnectedItemsTogether(t *testing.T) {
	stock := map[string]int{"a": 1, "b": 1, "c": 1}
	both := Call{Kind: Reserve, Order: "both", Outcome: Held, Units: 2, Ended: 9,
		Lines: []inventory.Line{{Item: "a", Quantity: 1}, {Item: "b", Quantity: 1}}}
	groups, err := groupsOf(stock, []Call{both, {Kind: Look, Outcome: Seen, Levels: []Level{{"a", 1}, {"c", 1}}}})
	assert.NoError(t, err)
	if assert.Len(t, groups, 2) {
		assert.Equal(t, []string{"a", "b"}, groups[0].items)
		assert.Equal(t, []string{"c"}, groups[1].items)
		assert.Len(t, groups[0].steps, 2)
		assert.Len(t, groups[1].steps, 1, "the look is in both groups")
	}
	seen := func(item string, left int, begun, ended time.Duration) Call {
		return Call{Kind: Look, Outcome: Seen, Levels: []Level{{item, left}}, Begun: begun, Ended: ended}
	}
	assert.NoError(t, Check(stock, []Call{both, seen("a", 0, 4, 5), seen("b", 0, 6, 7)}, time.Minute))
	assert.Error(t, Check(stock, []Call{both, seen("a", 0, 4, 5), seen("b", 1, 6, 7)}, time.Minute), "half of it is seen")
}

// Forty orders at once, and a look that no subset of them explains.
func TestCheck_FailsIfItRunsOutOfTime(t *testing.T) {
	var calls []Call
	for i := range 40 {
		calls = append(calls, at(Reserve, fmt.Sprint(i), 1<<(i%20)*2, 0, 9, Held))
	}
	calls = append(calls, look(1, 0, 9))
	err := Check(map[string]int{"item1": 1 << 24}, calls, 50*time.Millisecond)
	assert.ErrorIs(t, err, ErrNotDecided)
	assert.ErrorContains(t, err, "items item1: not decided within 50ms")
}

// An order of which the callers heard nothing is asked for again and again. Which of
// these calls has run makes no difference.
func TestCheck_DecidesHoweverOftenIsAskedAgain(t *testing.T) {
	var calls []Call
	for _, order := range []string{"a", "b", "c"} {
		for i := range 30 {
			calls = append(calls,
				at(Reserve, order, 1, time.Duration(i), 40, Unknown),
				at(Release, order, 1, time.Duration(i), 40, Unknown))
		}
		calls = append(calls, at(Reserve, order, 1, 35, 50, Held), at(Release, order, 1, 55, 60, Released))
	}
	stock := map[string]int{"item1": 5}
	assert.NoError(t, Check(stock, append(calls, look(2, 30, 32)), time.Minute))
	assert.ErrorContains(t, Check(stock, append(calls, look(1, 30, 32)), time.Minute), "no order")
}
