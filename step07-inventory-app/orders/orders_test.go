package orders

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// serveInventory serves an inventory over TCP and returns a client of it.
func serveInventory(t *testing.T, stock map[string]int) *rpc.Client {
	t.Helper()
	srv := &rpc.Server{}
	require.NoError(t, srv.Register("Inventory", inventory.New(stock)))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	c, err := rpc.Dial(t.Context(), ln.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() {
		c.Close()
		srv.Close()
		assert.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return c
}

func left(t *testing.T, c Caller, item string) (quantity int) {
	t.Helper()
	require.NoError(t, c.Call(t.Context(), "Inventory.CheckStock", item, &quantity))
	return quantity
}

func TestOrders_PlacesAnOrder(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
	receipt, err := New(inv).PlaceOrder(t.Context(), Order{"order-1", "customer-1", []Line{{"item1", 2}, {"item2", 1}}})
	require.NoError(t, err)
	assert.Equal(t, Receipt{"order-1", 3}, receipt)
	assert.Equal(t, 3, left(t, inv, "item1"))
	assert.Equal(t, 4, left(t, inv, "item2"))
}

func TestOrders_RefusesWithACodeAndTakesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		order Order
		code  rpc.Code
	}{
		{"unknown item", Order{"o", "", []Line{{"item1", 1}, {"item9", 1}}}, rpc.NotFound},
		{"out of stock", Order{"o", "", []Line{{"item1", 1}, {"item2", 9}}}, rpc.FailedPrecondition},
		{"out of stock by two lines of one item", Order{"o", "", []Line{{"item1", 3}, {"item1", 3}}}, rpc.FailedPrecondition},
		{"bad quantity", Order{"o", "", []Line{{"item1", 1}, {"item2", 0}}}, rpc.InvalidArgument},
		{"no lines", Order{"o", "", nil}, rpc.InvalidArgument},
		{"no id", Order{"", "", []Line{{"item1", 1}}}, rpc.InvalidArgument},
		{"an id that JSON changes", Order{"order-\xff", "", []Line{{"item1", 1}}}, rpc.InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
			orders := New(inv)
			for range 2 { // a refused order may be tried again
				_, err := orders.PlaceOrder(t.Context(), test.order)
				assert.ErrorIs(t, err, test.code)
			}
			assert.Equal(t, 5, left(t, inv, "item1"))
			assert.Equal(t, 5, left(t, inv, "item2"))
		})
	}
}

func TestOrders_PlacesAnOrderOnce(t *testing.T) {
	const rounds = 50 // in a single one, the customers may happen to take turns
	inv := serveInventory(t, map[string]int{"item1": 2*rounds + 1})
	orders := New(inv)
	for round := range rounds {
		order := Order{fmt.Sprint("order-", round), "customer-1", []Line{{"item1", 2}}}
		var placed atomic.Int64
		var customers sync.WaitGroup
		for range 10 { // who send it at the same time
			customers.Go(func() {
				if _, err := orders.PlaceOrder(t.Context(), order); err == nil {
					placed.Add(1)
				} else {
					assert.ErrorIs(t, err, rpc.InvalidArgument)
				}
			})
		}
		customers.Wait()
		require.EqualValues(t, 1, placed.Load())
		_, err := orders.PlaceOrder(t.Context(), order)
		require.ErrorIs(t, err, rpc.InvalidArgument, "nor later")
	}
	assert.Equal(t, 1, left(t, inv, "item1"))
}

// A flaky inventory fails the calls that fail says.
type flaky struct {
	Caller
	fail func(method string, call int) error

	mu    sync.Mutex
	calls map[string]int
}

func (f *flaky) Call(ctx context.Context, method string, params, result any) error {
	f.mu.Lock()
	if f.calls == nil {
		f.calls = make(map[string]int)
	}
	f.calls[method]++
	n := f.calls[method]
	f.mu.Unlock()
	if err := f.fail(method, n); err != nil {
		return err
	}
	return f.Caller.Call(ctx, method, params, result)
}

var errGone = errors.New("rpc: connection broken: EOF")

func TestOrders_GivesBackWhenALaterLineFails(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
	orders := New(&flaky{Caller: inv, fail: func(method string, call int) error {
		if method == "Inventory.Reserve" && call == 2 {
			return errGone
		}
		return nil
	}})
	_, err := orders.PlaceOrder(t.Context(), Order{"order-1", "", []Line{{"item1", 2}, {"item2", 2}}})
	assert.ErrorIs(t, err, errGone)
	assert.Equal(t, 5, left(t, inv, "item1"))
	assert.Equal(t, 5, left(t, inv, "item2"))
}

func TestOrders_ReservesNothingOfAnOrderThatCannotBeFilled(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
	asked := &flaky{Caller: inv, fail: func(string, int) error { return nil }}
	_, err := New(asked).PlaceOrder(t.Context(), Order{"order-1", "", []Line{{"item1", 2}, {"item2", 6}}})
	assert.ErrorIs(t, err, rpc.FailedPrecondition)
	assert.Equal(t, map[string]int{"Inventory.CheckStock": 2}, asked.calls)
}

// In an overtaken inventory the customer gives up while a reservation is on its
// way. One that nobody waits for arrives after the release that follows it.
type overtaken struct {
	Caller
	giveUp func()
	late   func() error
}

func (o *overtaken) Call(ctx context.Context, method string, params, result any) error {
	if method == "Inventory.Reserve" {
		o.giveUp()
		if ctx.Err() != nil {
			o.late = func() error { return o.Caller.Call(context.WithoutCancel(ctx), method, params, nil) }
			return ctx.Err()
		}
	}
	err := o.Caller.Call(ctx, method, params, result)
	if method == "Inventory.Release" && o.late != nil {
		return o.late()
	}
	return err
}

func TestOrders_AReleaseDoesNotOvertakeItsReservation(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5})
	ctx, cancel := context.WithCancel(t.Context())
	orders := New(&overtaken{Caller: inv, giveUp: cancel})
	_, err := orders.PlaceOrder(ctx, Order{"order-1", "", []Line{{"item1", 2}}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 5, left(t, inv, "item1"))
}

func TestOrders_GivesBackAlsoWhenItsCallerHasGone(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
	ctx, cancel := context.WithCancel(t.Context())
	orders := New(&flaky{Caller: inv, fail: func(method string, call int) error {
		if method == "Inventory.Reserve" && call == 2 {
			cancel()
		}
		return nil
	}})
	_, err := orders.PlaceOrder(ctx, Order{"order-1", "", []Line{{"item1", 2}, {"item2", 2}}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 5, left(t, inv, "item1"))
	assert.Equal(t, 5, left(t, inv, "item2"))
}

func TestOrders_SaysWhenItCouldNotGiveBack(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 5, "item2": 5})
	gone := false
	orders := New(&flaky{Caller: inv, fail: func(method string, call int) error {
		gone = gone || method == "Inventory.Reserve" && call == 2
		if gone {
			return errGone
		}
		return nil
	}})
	order := Order{"order-1", "", []Line{{"item1", 2}, {"item2", 2}}}
	_, err := orders.PlaceOrder(t.Context(), order)
	assert.ErrorIs(t, err, errGone)
	assert.ErrorContains(t, err, "order-1", "which order may still hold reservations")
	_, err = orders.PlaceOrder(t.Context(), order)
	assert.ErrorIs(t, err, rpc.InvalidArgument, "its id is not used again")
}

// A silent inventory has enough of everything, and never answers one method.
type silent struct {
	method string
	end    chan struct{} // closed when the test is over
}

func (s silent) Call(ctx context.Context, method string, params, result any) error {
	if left, ok := result.(*int); ok {
		*left = 5
	}
	if method != s.method {
		return nil
	}
	select {
	case <-ctx.Done():
	case <-s.end:
	}
	return errGone
}

func TestOrders_GivesUpOnASilentInventory(t *testing.T) {
	for _, method := range []string{"Inventory.Reserve", "Inventory.Release"} {
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			defer close(end)
			orders := New(&flaky{Caller: silent{method, end}, fail: func(method string, call int) error {
				if method == "Inventory.Reserve" && call == 2 {
					return errGone
				}
				return nil
			}})
			done := make(chan error, 1)
			go func() {
				_, err := orders.PlaceOrder(t.Context(), Order{"order-1", "", []Line{{"item1", 2}, {"item2", 2}}})
				done <- err
			}()
			select {
			case err := <-done:
				assert.Error(t, err)
			case <-time.After(time.Hour): // of the bubble's clock
				assert.Fail(t, "the customer waits for ever", "%s is not answered", method)
			}
		})
	}
}

func TestOrders_ManyCustomersAtOnceNeverGetMoreThanThereIs(t *testing.T) {
	inv := serveInventory(t, map[string]int{"item1": 30, "item2": 40})
	orders := New(inv)
	var mu sync.Mutex
	placed := 0
	var customers sync.WaitGroup
	for customer := range 16 {
		customers.Go(func() {
			for n := range 5 {
				_, err := orders.PlaceOrder(t.Context(),
					Order{fmt.Sprint(customer, "-", n), "", []Line{{"item1", 1}, {"item2", 1}}})
				if err == nil {
					mu.Lock()
					placed++
					mu.Unlock()
				} else {
					assert.ErrorIs(t, err, rpc.FailedPrecondition)
				}
			}
		})
	}
	customers.Wait()
	assert.Equal(t, 30, placed)
	assert.Equal(t, 0, left(t, inv, "item1"))
	assert.Equal(t, 10, left(t, inv, "item2"))
}

func TestDefaultOrders_AreThoseOfTheWorkspace(t *testing.T) {
	shared, err := os.ReadFile("../../testdata/orders.json")
	require.NoError(t, err)
	assert.Equal(t, string(shared), string(DefaultOrders))
	list, err := ParseOrders(DefaultOrders)
	require.NoError(t, err)
	assert.Len(t, list, 200)
	_, err = ParseOrders([]byte(`{}`))
	assert.Error(t, err)
}
