package demo

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// A verdict is what a customer is told about an order.
type verdict string

// The verdicts: one says yes.
const (
	ordered     verdict = "ordered"
	outOfStock  verdict = "out of stock"
	unknownItem verdict = "unknown item"
	withdrawn   verdict = "cancelled" // by the customer, who had to wait too long
)

// verdictOf reads PlaceOrder's error. ok is false if that is no answer.
func verdictOf(err error) (v verdict, ok bool) {
	switch rpc.CodeOf(err) {
	case rpc.OK:
		return ordered, true
	case rpc.FailedPrecondition:
		return outOfStock, true
	case rpc.NotFound:
		return unknownItem, true
	case rpc.Aborted:
		return withdrawn, true
	}
	return "", false
}

// recorded has the states that the database may have for an order of which a
// customer was told this; "" is no record. Unknown items leave none, but a
// customer who gave up leaves one of that.
var recorded = map[verdict][]inventory.State{
	ordered:     {inventory.Held},
	outOfStock:  {inventory.Refused},
	unknownItem: {"", inventory.Released},
	withdrawn:   {inventory.Released},
}

// An entry is what one customer was told about one order.
type entry struct {
	order   orders.Order
	verdict verdict
	begun   time.Time
	ended   time.Time
}

// The ledger holds what customers were told, to be compared with what the
// inventory's database says. Entries may be made concurrently.
type ledger struct {
	stock map[string]int // units by item, before the first order

	mu      sync.Mutex
	entries map[string]entry // by order
	wrong   []error          // answers that contradict themselves
}

func newLedger(stock map[string]int) *ledger {
	return &ledger{stock: stock, entries: map[string]entry{}}
}

// enter notes what a customer was told about an order.
func (l *ledger) enter(order orders.Order, receipt *orders.Receipt, v verdict, begun, ended time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.entries[order.ID]; ok {
		l.wrong = append(l.wrong, fmt.Errorf("%s: told twice", order.ID))
	}
	l.entries[order.ID] = entry{order, v, begun, ended}
	if want := (orders.Receipt{Order: order.ID, Units: units(order.Lines)}); v == ordered && *receipt != want {
		l.wrong = append(l.wrong, fmt.Errorf("%s: the receipt is for %d units of %s, not %d",
			order.ID, receipt.Units, receipt.Order, want.Units))
	}
}

func units(lines []orders.Line) (sum int) {
	for _, line := range lines {
		sum += line.Quantity
	}
	return sum
}

// count returns how many orders there are of each verdict.
func (l *ledger) count() map[verdict]int {
	n := map[verdict]int{}
	for _, e := range l.entries {
		n[e.verdict]++
	}
	return n
}

// sold returns how many units of each item customers were told that they have.
func (l *ledger) sold() map[string]int {
	n := map[string]int{}
	for _, e := range l.entries {
		for _, line := range e.order.Lines {
			if e.verdict == ordered {
				n[line.Item] += line.Quantity
			}
		}
	}
	return n
}

// balance returns what does not balance, if anything: every order is answered,
// every answer is what the database says, and the units add up for every item.
func (l *ledger) balance(list []wish, stock []inventory.Item, records []inventory.Reservation) error {
	errs := slices.Clone(l.wrong)
	byOrder := make(map[string]inventory.Reservation, len(records))
	for _, r := range records {
		byOrder[r.Order] = r
		if _, ok := l.entries[r.Order]; !ok {
			errs = append(errs, fmt.Errorf("%s: in the database, and nobody was told", r.Order))
		}
	}
	for _, w := range list {
		e, ok := l.entries[w.ID]
		if !ok {
			errs = append(errs, fmt.Errorf("%s: its customer does not know its outcome", w.ID))
			continue
		}
		errs = append(errs, e.compare(byOrder[w.ID]))
	}
	return errors.Join(append(errs, l.balanceItems(stock))...)
}

// compare compares what a customer was told with the database's record.
func (e *entry) compare(r inventory.Reservation) error {
	if !slices.Contains(recorded[e.verdict], r.State) {
		return fmt.Errorf("%s: the customer was told %q, the database says %q", e.order.ID, e.verdict, r.State)
	}
	if r.State == inventory.Held && (r.Customer != e.order.Customer || !slices.Equal(r.Lines, e.order.Lines)) {
		return fmt.Errorf("%s: the database has other content", e.order.ID)
	}
	return nil
}

// balanceItems compares, item by item, what customers have with what is gone.
func (l *ledger) balanceItems(stock []inventory.Item) error {
	var errs []error
	if len(stock) != len(l.stock) {
		errs = append(errs, fmt.Errorf("the inventory has %d items, not %d", len(stock), len(l.stock)))
	}
	sold := l.sold()
	for _, item := range stock {
		if item.Reserved != sold[item.ID] {
			errs = append(errs, fmt.Errorf("%s: customers have %d, the inventory reserved %d", item.ID, sold[item.ID], item.Reserved))
		}
		if item.Left < 0 || item.Left+item.Reserved != l.stock[item.ID] {
			errs = append(errs, fmt.Errorf("%s: of %d, %d are reserved and %d left", item.ID, l.stock[item.ID], item.Reserved, item.Left))
		}
	}
	return errors.Join(errs...)
}
