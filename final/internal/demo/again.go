package demo

import (
	"context"
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// resent is the result of sending the orders again.
type resent struct {
	report *orders.ImportReport
	took   time.Duration
}

// sendAgain sends all orders once more, in one stream to one order server, as who has
// lost all answers would.
func sendAgain(ctx context.Context, server rpc.Caller, list []wish) (resent, error) {
	begun := time.Now()
	stream, err := orders.Import.Open(ctx, server)
	if err != nil {
		return resent{}, err
	}
	defer stream.Close()
	for i := range list {
		if err := stream.Send(ctx, &list[i].Order); err != nil {
			return resent{}, fmt.Errorf("the stream of orders, at order %d: %w", i+1, err)
		}
	}
	report, err := stream.CloseAndReceive(ctx)
	return resent{report, time.Since(begun)}, err
}

// A tally counts answers.
type tally struct{ placed, units, outOfStock, others int }

// confirm compares the report about orders that were sent again with the books: each
// order gets the answer that its customer got, and nothing is sold twice.
func (l *ledger) confirm(r *orders.ImportReport) error {
	n := l.count()
	want := tally{placed: n[ordered], outOfStock: n[outOfStock], others: n[unknownItem] + n[withdrawn]}
	for _, sold := range l.sold() {
		want.units += sold
	}
	refused := func(code rpc.Code) int { return r.Failed[code.String()] }
	// An order of unknown items is now an aborted one, if its customer gave up once.
	got := tally{r.Placed, r.Units, refused(rpc.FailedPrecondition), refused(rpc.NotFound) + refused(rpc.Aborted)}
	if got != want {
		return fmt.Errorf("the orders sent again: answers are %+v, and were %+v: %v", got, want, r.Failures)
	}
	return nil
}
