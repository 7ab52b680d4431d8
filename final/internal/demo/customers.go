package demo

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/internal/history"
	"example.com/rpc-from-scratch/final/internal/shop"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// answerWithin bounds how long a customer asks for an answer to one order. That
// no server answers for so long means that the demo has failed.
const answerWithin = time.Minute

// customers are the demo's customers. They share a pool of the order servers,
// and enter in the books what they are told.
type customers struct {
	pool  *rpc.Pool
	books *ledger
	told  func(answered int) // called after each answer, by many goroutines

	answered atomic.Int64
	calls    atomic.Int64
	again    atomic.Int64   // by customers who had given up
	retries  orders.Retries // by the pool
	conns    shop.Connections
}

func newCustomers(
	servers []*part, codec rpc.Codec, reach []rpc.ClientOption,
	history *history.Recorder, books *ledger, told func(answered int),
) *customers {
	c := &customers{books: books, told: told}
	var addrs rpc.StaticResolver
	for _, p := range servers {
		addrs = append(addrs, p.addr)
	}
	c.pool = orders.Connect(&c.retries, addrs, rpc.WithCodec(codec), rpc.WithObserver(c.conns.Observer()),
		rpc.WithClientInterceptors(history.Intercept), rpc.WithClientOptions(reach...))
	return c
}

func (c *customers) saw() shop.Seen {
	return shop.Seen{Calls: c.calls.Load(), Retries: c.retries.Count() + c.again.Load(), Reconnects: c.conns.Again(orderServers)}
}

// placeAll has n customers place all orders, each one after the other, pace a second at
// most; 0: no limit. It returns the first error that is not an answer, or ctx's.
func (c *customers) placeAll(ctx context.Context, n, pace int, list []wish) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan wish)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for w := range queue {
				if err := c.place(ctx, w); err != nil {
					cancel(err)
				}
			}
		})
	}
	feed(ctx, queue, pace, list)
	wg.Wait()
	return context.Cause(ctx)
}

// feed sends the list to queue, pace a second at most, until ctx ends, and closes it.
func feed(ctx context.Context, queue chan<- wish, pace int, list []wish) {
	defer close(queue)
	limit := rate.NewLimiter(rate.Inf, 1)
	if pace > 0 {
		limit.SetLimit(rate.Limit(pace))
	}
	for _, w := range list {
		if limit.Wait(ctx) != nil {
			return
		}
		select {
		case queue <- w:
		case <-ctx.Done():
			return
		}
	}
}

// place places one order and enters the answer in the books. An error is not an
// answer: the order's outcome is unknown.
func (c *customers) place(ctx context.Context, w wish) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	begun := time.Now()
	receipt, err := c.tryOnce(ctx, w)
	if errors.Is(err, rpc.Canceled) && ctx.Err() == nil {
		c.again.Add(1)
		receipt, err = c.call(ctx, &w.Order)
	}
	v, ok := verdictOf(err)
	if !ok {
		return fmt.Errorf("%s: %w", w.ID, err)
	}
	c.books.enter(w.Order, receipt, v, begun, time.Now())
	c.told(int(c.answered.Add(1)))
	return nil
}

// tryOnce is a call that an impatient customer cancels.
func (c *customers) tryOnce(ctx context.Context, w wish) (*orders.Receipt, error) {
	if w.giveUp > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		defer time.AfterFunc(w.giveUp, cancel).Stop()
	}
	return c.call(ctx, &w.Order)
}

func (c *customers) call(ctx context.Context, order *orders.Order) (*orders.Receipt, error) {
	c.calls.Add(1)
	return orders.PlaceOrder.Call(ctx, c.pool, order)
}
