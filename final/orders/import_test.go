package orders

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// importer returns a client of an order server that reserves from inv.
func importer(t *testing.T, inv rpc.Caller, opts ...rpc.ClientOption) (*rpc.Client, *rpc.Server) {
	t.Helper()
	srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
	require.NoError(t, New(inv).Register(srv))
	client := pipeTo(srv, opts...)
	t.Cleanup(func() {
		client.Close()
		srv.Close()
	})
	return client, srv
}

// send opens an import and sends orders.
func send(t *testing.T, client *rpc.Client, orders ...*Order) *rpc.SendStream[Order, ImportReport] {
	t.Helper()
	stream, err := Import.Open(t.Context(), client)
	require.NoError(t, err)
	for _, order := range orders {
		require.NoError(t, stream.Send(t.Context(), order))
	}
	return stream
}

func manyOrders(n int) []*Order {
	orders := make([]*Order, n)
	for i := range orders {
		orders[i] = &Order{ID: fmt.Sprintf("order-%d", i), Customer: "c", Lines: []Line{{Item: "item1", Quantity: 2}}}
	}
	return orders
}

func TestImport_TakesTenThousandOrders(t *testing.T) {
	const n = 10_000
	inv := &fakeInventory{reserve: func(context.Context) error { return nil }}
	client, _ := importer(t, inv)
	report, err := send(t, client, manyOrders(n)...).CloseAndReceive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, &ImportReport{Placed: n, Units: 3 * n}, report)
	seen := map[string]bool{}
	for _, req := range inv.reserved {
		seen[req.Order] = true
	}
	assert.Len(t, seen, n)
	assert.Len(t, inv.reserved, n)
}

// The same orders in two streams: each is placed once, and the books balance.
func TestImport_MayBeRepeated(t *testing.T) {
	const n = 200
	s := newShop(t, map[string]int{"item1": 3 * n})
	pool := Connect(new(Retries), rpc.StaticResolver{"shop"}, rpc.WithDialer(s.dial))
	defer pool.Close()
	client, _ := importer(t, pool)
	orders := manyOrders(n)
	for range 2 {
		report, err := send(t, client, orders...).CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, &ImportReport{Placed: n, Units: 2 * n}, report)
	}
	reply, err := s.inv.List(t.Context(), &inventory.ListRequest{})
	require.NoError(t, err)
	assert.Equal(t, []inventory.Item{{ID: "item1", Left: n, Reserved: 2 * n}}, reply.Items)
	s.crash()
}

func TestImport_ReportsWhatItHasNotPlaced(t *testing.T) {
	s := newShop(t, map[string]int{"item1": 4})
	pool := Connect(new(Retries), rpc.StaticResolver{"shop"}, rpc.WithDialer(s.dial))
	defer pool.Close()
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		client, _ := importer(t, pool, rpc.WithCodec(codec))
		orders := append(manyOrders(2), &Order{ID: "", Lines: []Line{{Item: "item1", Quantity: 1}}},
			&Order{ID: "unknown", Lines: []Line{{Item: "item9", Quantity: 1}}})
		for i := range MaxFailures {
			orders = append(orders, &Order{ID: fmt.Sprint("large-", i), Lines: []Line{{Item: "item1", Quantity: 5}}})
		}
		report, err := send(t, client, orders...).CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, report.Placed, codec.Name())
		assert.Equal(t, 4, report.Units)
		assert.Equal(t, map[string]int{"invalid_argument": 1, "not_found": 1, "failed_precondition": MaxFailures}, report.Failed)
		assert.Len(t, report.Failures, MaxFailures)
		for _, f := range report.Failures {
			if f.Order == "unknown" {
				assert.Equal(t, Failure{"unknown", "not_found", "unknown item: item9"}, f)
			}
		}
	}
	s.crash()
}

// A panic is that of one order: neither the process nor the import ends with it.
func TestImport_SurvivesAPanic(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	var calls atomic.Int64
	client, _ := importer(t, &fakeInventory{reserve: func(context.Context) error {
		if calls.Add(1) == 3 {
			panic("a bug")
		}
		return nil
	}})
	report, err := send(t, client, manyOrders(100)...).CloseAndReceive(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 99, report.Placed)
	assert.Equal(t, map[string]int{"internal": 1}, report.Failed)
	assert.Equal(t, "a fault of the server: whether the order is placed is not known", report.Failures[0].Message)
	assert.Regexp(t, `orders: panic while order "order-\d+" was placed: a bug\n(?s:.*)PlaceOrder`, logged.String())
}

// A caller who leaves in the middle: each order that was received has one fate, and
// the handler ends.
func TestImport_ACallerWhoLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := make(chan struct{})
		answer := make(chan struct{})
		inv := &blockedInventory{began: began, answer: answer}
		client, srv := importer(t, inv)
		stream := send(t, client, manyOrders(3)...)
		for range 3 {
			<-began
		}
		stream.Close()
		synctest.Wait()
		for range 3 {
			answer <- struct{}{}
		}
		require.NoError(t, srv.Shutdown(t.Context()))
		assert.EqualValues(t, 3, inv.reserved.Load())
	})
}

// A caller who is silent does not delay a shutdown: the order that runs is placed, and
// the caller is told to send them all again.
func TestImport_EndsWhenTheServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inv := &blockedInventory{began: make(chan struct{}), answer: make(chan struct{})}
		client, srv := importer(t, inv)
		stream := send(t, client, manyOrders(1)...)
		defer stream.Close()
		<-inv.began
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		inv.answer <- struct{}{}
		synctest.Wait()
		require.Len(t, down, 1, "the shutdown waits for a silent caller")
		require.NoError(t, <-down)
		assert.EqualValues(t, 1, inv.reserved.Load())
		_, err := stream.CloseAndReceive(t.Context())
		assert.ErrorIs(t, err, rpc.Unavailable)
		assert.ErrorContains(t, err, "the server is about to end: send all orders again")
	})
}

// Orders that wait when the server begins to drain are not placed.
func TestImport_PlacesNoFurtherOrdersWhenTheServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inv := &blockedInventory{began: make(chan struct{}, importAtOnce), answer: make(chan struct{})}
		client, srv := importer(t, inv)
		stream := send(t, client, manyOrders(2*importAtOnce)...)
		defer stream.Close()
		synctest.Wait()
		down := make(chan error, 1)
		go func() { down <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		close(inv.answer)
		require.NoError(t, <-down)
		assert.EqualValues(t, importAtOnce, inv.reserved.Load())
	})
}

// Imports that have ended leave no goroutines that wait until the server drains.
func TestImport_LeavesNoGoroutine(t *testing.T) {
	const n = 50
	synctest.Test(t, func(t *testing.T) {
		client, _ := importer(t, &fakeInventory{reserve: func(context.Context) error { return nil }})
		before := runtime.NumGoroutine()
		for range n {
			_, err := send(t, client, manyOrders(1)...).CloseAndReceive(t.Context())
			require.NoError(t, err)
		}
		synctest.Wait()
		assert.Less(t, runtime.NumGoroutine()-before, n/2) // those of the connection, and of other tests
	})
}

// A blockedInventory reserves when it is told to.
type blockedInventory struct {
	began, answer chan struct{}
	reserved      atomic.Int32
}

func (b *blockedInventory) Call(ctx context.Context, _ string, _, reply any) error {
	b.began <- struct{}{}
	<-b.answer
	if err := ctx.Err(); err != nil {
		return err
	}
	b.reserved.Add(1)
	*reply.(*inventory.ReserveReply) = inventory.ReserveReply{Units: 2}
	return nil
}

// A field that is added to the report and forgotten in its message would get lost.
func TestImportReport_EveryFieldTravels(t *testing.T) {
	report := &ImportReport{Placed: 1, Units: 2, Failed: map[string]int{"aborted": 3}, Failures: []Failure{{"order", "aborted", "message"}}}
	for i := range reflect.TypeFor[ImportReport]().NumField() {
		require.False(t, reflect.ValueOf(*report).Field(i).IsZero())
	}
	data, err := protobuf.Codec.Append(nil, report)
	require.NoError(t, err)
	got := new(ImportReport)
	require.NoError(t, protobuf.Codec.Decode(data, got))
	assert.Equal(t, report, got)
}
