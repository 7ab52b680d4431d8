package demo

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// A day's books, which balance: of ten units three are ordered.
func testBooks() (l *ledger, list []wish, items []inventory.Item, records []inventory.Reservation) {
	l = newLedger(map[string]int{"item1": 10})
	for i, v := range []verdict{ordered, outOfStock, unknownItem, withdrawn} {
		order := orders.Order{ID: string(v), Customer: "a", Lines: []orders.Line{{Item: "item1", Quantity: 3 + i}}}
		list = append(list, wish{Order: order})
		l.enter(order, &orders.Receipt{Order: order.ID, Units: 3}, v, time.Time{}, time.Time{})
		if state := recorded[v][0]; state != "" {
			records = append(records, inventory.Reservation{Order: order.ID, Customer: "a", State: state, Lines: order.Lines})
		}
	}
	return l, list, []inventory.Item{{ID: "item1", Left: 7, Reserved: 3}}, records
}

func TestLedger_Balances(t *testing.T) {
	l, list, items, records := testBooks()
	assert.NoError(t, l.balance(list, items, records))
	assert.Equal(t, map[verdict]int{ordered: 1, outOfStock: 1, unknownItem: 1, withdrawn: 1}, l.count())
}

func TestLedger_FindsWhatDoesNotBalance(t *testing.T) {
	order := orders.Order{ID: "x", Lines: []orders.Line{{Item: "item1", Quantity: 1}}}
	for _, test := range []struct {
		name string
		harm func(l *ledger, list *[]wish, item *inventory.Item, records *[]inventory.Reservation)
		text string
	}{
		{"an order without an answer", func(l *ledger, list *[]wish, _ *inventory.Item, _ *[]inventory.Reservation) {
			*list = append(*list, wish{Order: order})
		}, "x: its customer does not know its outcome"},
		{"an answer lost", func(_ *ledger, _ *[]wish, _ *inventory.Item, records *[]inventory.Reservation) {
			*records = (*records)[1:]
		}, `ordered: the customer was told "ordered", the database says ""`},
		{"a reservation of nobody's", func(_ *ledger, _ *[]wish, _ *inventory.Item, records *[]inventory.Reservation) {
			*records = append(*records, inventory.Reservation{Order: "x"})
		}, "x: in the database, and nobody was told"},
		{"a reservation of something else", func(_ *ledger, _ *[]wish, _ *inventory.Item, records *[]inventory.Reservation) {
			(*records)[0].Customer = "b"
		}, "ordered: the database has other content"},
		{"units counted twice", func(_ *ledger, _ *[]wish, item *inventory.Item, _ *[]inventory.Reservation) {
			item.Left, item.Reserved = 4, 6
		}, "item1: customers have 3, the inventory reserved 6"},
		{"units lost", func(_ *ledger, _ *[]wish, item *inventory.Item, _ *[]inventory.Reservation) {
			item.Left = 6
		}, "item1: of 10, 3 are reserved and 6 left"},
		{"less than nothing", func(_ *ledger, _ *[]wish, item *inventory.Item, _ *[]inventory.Reservation) {
			item.Left = -1
		}, "item1: of 10, 3 are reserved and -1 left"},
		{"two answers", func(l *ledger, list *[]wish, _ *inventory.Item, _ *[]inventory.Reservation) {
			l.enter((*list)[1].Order, nil, outOfStock, time.Time{}, time.Time{})
		}, "out of stock: told twice"},
		{"a wrong receipt", func(l *ledger, list *[]wish, _ *inventory.Item, _ *[]inventory.Reservation) {
			l.enter(order, &orders.Receipt{Order: "x", Units: 2}, ordered, time.Time{}, time.Time{})
		}, "x: the receipt is for 2 units of x, not 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, list, items, records := testBooks()
			test.harm(l, &list, &items[0], &records)
			assert.ErrorContains(t, l.balance(list, items, records), test.text)
		})
	}
	l, list, _, records := testBooks()
	assert.ErrorContains(t, l.balance(list, nil, records), "the inventory has 0 items, not 1")
}

func TestVerdictOf_IsAnAnswerOrNone(t *testing.T) {
	for code, want := range map[rpc.Code]verdict{
		rpc.OK: ordered, rpc.FailedPrecondition: outOfStock, rpc.NotFound: unknownItem, rpc.Aborted: withdrawn,
		rpc.Unavailable: "", rpc.DeadlineExceeded: "", rpc.AlreadyExists: "",
	} {
		var err error
		if code != rpc.OK {
			err = rpc.Errorf(code, "so it is")
		}
		v, ok := verdictOf(err)
		assert.Equal(t, want, v)
		assert.Equal(t, want != "", ok)
	}
}
