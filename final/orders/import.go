package orders

import (
	"context"
	"errors"
	"io"
	"log"
	"runtime/debug"
	"sync"

	"example.com/rpc-from-scratch/final/rpc"
)

// Limits of an import.
const (
	importAtOnce = 64 // orders that are being placed
	MaxFailures  = 10 // failures that a report describes
)

// An ImportReport says what has become of the orders of an import.
type ImportReport struct {
	Placed   int            `json:"placed"`
	Units    int            `json:"units"`              // of the placed orders
	Failed   map[string]int `json:"failed,omitempty"`   // how many orders, by the error's code
	Failures []Failure      `json:"failures,omitempty"` // at most MaxFailures of them
}

// A Failure is an order that an import has not placed.
type Failure struct {
	Order   string `json:"order"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Import places each order of a stream, as PlaceOrder does, several at once and in no
// order, and reports when the caller has sent them all. An order that fails does not end
// the import. A caller that gets no report sends all orders again, to this or another
// server: those that are placed already count as placed.
//
// Orders that were received are placed, or given up, even if the caller leaves. Once the
// server drains, it places no further ones, and reports them as Unavailable; if the caller
// has not sent them all by then, the import fails with Unavailable.
func (o *Orders) Import(ctx context.Context, in *rpc.Receiver[Order]) (*ImportReport, error) {
	report := new(ImportReport)
	if err := o.placeAll(ctx, in, report.add); err != nil {
		return nil, err
	}
	return report, nil
}

// placeAll places the orders that it receives and calls done with each result, one at a
// time. It returns when all calls have ended, with the error that ended the stream.
func (o *Orders) placeAll(ctx context.Context, in *rpc.Receiver[Order], done func(*Order, *Receipt, error)) (err error) {
	placing := context.WithoutCancel(ctx) // PlaceOrder has a deadline of its own
	orders := make(chan *Order)
	var mu sync.Mutex
	var workers sync.WaitGroup
	for range importAtOnce {
		workers.Go(func() {
			for order := range orders {
				receipt, err := o.placeNext(placing, order)
				mu.Lock()
				done(order, receipt, err)
				mu.Unlock()
			}
		})
	}
	defer workers.Wait()
	defer close(orders)
	receiving, stop := untilDraining(ctx)
	defer stop()
	for {
		order, err := in.Receive(receiving)
		switch {
		case err == io.EOF:
			return nil
		case err != nil && context.Cause(receiving) == errDraining:
			return errDraining
		case err != nil:
			return err
		}
		orders <- order
	}
}

// errDraining ends an import whose caller has not sent all when the server drains.
var errDraining = rpc.Errorf(rpc.Unavailable, "the server is about to end: send all orders again")

// untilDraining returns a context that also ends, because of errDraining, when the server
// begins to drain. The caller of untilDraining must call stop.
func untilDraining(ctx context.Context) (receiving context.Context, stop func()) {
	receiving, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-rpc.DrainingFrom(ctx):
			cancel(errDraining)
		case <-receiving.Done():
		}
	}()
	return receiving, func() { cancel(nil) }
}

// placeNext places an order, unless the server has begun to drain.
func (o *Orders) placeNext(ctx context.Context, order *Order) (*Receipt, error) {
	select {
	case <-rpc.DrainingFrom(ctx):
		return nil, rpc.Errorf(rpc.Unavailable, "the server is about to end: send order %s again", order.ID)
	default:
		return o.placeSoundly(ctx, order)
	}
}

// placeSoundly places an order in a goroutine of the import, where a panic would end the
// process: the framework handles those of a handler's own goroutine only.
func (o *Orders) placeSoundly(ctx context.Context, order *Order) (receipt *Receipt, err error) {
	defer func() {
		if reason := recover(); reason != nil {
			log.Printf("orders: panic while order %q was placed: %v\n%s", order.ID, reason, debug.Stack())
			err = rpc.Errorf(rpc.Internal, "a fault of the server: whether the order is placed is not known")
		}
	}()
	return o.PlaceOrder(ctx, order)
}

func (r *ImportReport) add(order *Order, receipt *Receipt, err error) {
	if err == nil {
		r.Placed++
		r.Units += receipt.Units
		return
	}
	code := rpc.CodeOf(err).String()
	if r.Failed == nil {
		r.Failed = map[string]int{}
	}
	r.Failed[code]++
	if len(r.Failures) == MaxFailures {
		return
	}
	message := err.Error()
	if e, ok := errors.AsType[*rpc.Error](err); ok {
		message = e.Message
	}
	r.Failures = append(r.Failures, Failure{Order: order.ID, Code: code, Message: message})
}
