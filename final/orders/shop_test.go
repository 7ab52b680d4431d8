package orders

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// pipeTo returns a client of srv, over a pipe.
func pipeTo(srv *rpc.Server, opts ...rpc.ClientOption) *rpc.Client {
	here, there := net.Pipe()
	go srv.ServeConn(there)
	return rpc.NewClient(here, opts...)
}

// A shop is an inventory with its database, whose server can be lost and come back.
type shop struct {
	t    *testing.T
	path string

	mu  sync.Mutex
	srv *rpc.Server // nil: there is none now
	inv *inventory.Inventory
}

func newShop(t *testing.T, stock map[string]int) *shop {
	t.Helper()
	s := &shop{t: t, path: filepath.Join(t.TempDir(), "shop.db")}
	s.start(stock)
	return s
}

func (s *shop) start(stock map[string]int) {
	s.t.Helper()
	inv, err := inventory.Open(s.path, stock)
	require.NoError(s.t, err)
	srv := rpc.NewServer()
	require.NoError(s.t, inv.Register(srv))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.srv, s.inv = srv, inv
}

// crash cuts all connections. Answers that are on their way are lost, whether or
// not the database has them.
func (s *shop) crash() {
	s.t.Helper()
	s.mu.Lock()
	srv, inv := s.srv, s.inv
	s.srv = nil
	s.mu.Unlock()
	srv.Close()
	require.NoError(s.t, inv.Close())
}

// dial is for rpc.WithDialer.
func (s *shop) dial(context.Context, string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.srv == nil {
		return nil, errors.New("nobody is there")
	}
	here, there := net.Pipe()
	go s.srv.ServeConn(there)
	return here, nil
}

// checkGoroutines fails the test if, after all else, more goroutines run than now.
func checkGoroutines(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 100_000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
		}
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, there were %d:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
	})
}

// Several order servers place the same orders at the same time, and the inventory
// is lost under them again and again. Each order has one fate.
func TestOrders_OncePerOrderWhileTheInventoryComesAndGoes(t *testing.T) {
	const servers, each, units, stock = 3, 60, 2, 100
	checkGoroutines(t)
	s := newShop(t, map[string]int{"item1": stock})
	var retries Retries
	pool := Connect(&retries, rpc.StaticResolver{"shop"}, rpc.WithDialer(s.dial), rpc.WithConnsPerAddr(2))
	defer pool.Close()

	fates := make([]map[string]rpc.Code, servers)
	var done sync.WaitGroup
	for i := range fates {
		fates[i] = map[string]rpc.Code{}
		done.Go(func() {
			o := New(pool)
			for n := range each {
				id := fmt.Sprintf("order-%d", (n+i*each/servers)%each)
				_, err := o.PlaceOrder(t.Context(), &Order{ID: id, Customer: "c", Lines: []Line{{Item: "item1", Quantity: units}}})
				fates[i][id] = rpc.CodeOf(err)
				if n == each/4*(i+1) {
					s.crash()
					s.start(nil)
				}
			}
		})
	}
	done.Wait()

	placed := 0
	for id, fate := range fates[0] {
		assert.Contains(t, []rpc.Code{rpc.OK, rpc.FailedPrecondition}, fate, id)
		assert.Equal(t, fate, fates[1][id], id)
		assert.Equal(t, fate, fates[2][id], id)
		if fate == rpc.OK {
			placed++
		}
	}
	assert.Equal(t, stock/units, placed)
	reply, err := inventory.List.Call(t.Context(), pool, &inventory.ListRequest{})
	require.NoError(t, err)
	assert.Equal(t, []inventory.Item{{ID: "item1", Left: 0, Reserved: stock}}, reply.Items)
	s.crash()
}

// A customer who leaves and comes back is told what is so in the end.
func TestOrders_ACustomerOfTwoMinds(t *testing.T) {
	const n = 100
	checkGoroutines(t)
	s := newShop(t, map[string]int{"item1": n})
	var retries Retries
	pool := Connect(&retries, rpc.StaticResolver{"shop"}, rpc.WithDialer(s.dial))
	defer pool.Close()
	shops := []*Orders{New(pool), New(pool)}

	var mu sync.Mutex
	told := map[string]rpc.Code{}
	var done, left sync.WaitGroup
	for i := range n {
		done.Go(func() {
			order := &Order{ID: fmt.Sprintf("order-%d", i), Customer: "c", Lines: []Line{{Item: "item1", Quantity: 1}}}
			ctx, leave := context.WithCancel(t.Context())
			left.Go(func() { shops[0].PlaceOrder(ctx, order) })
			for range i { // leave a little later each time
				runtime.Gosched()
			}
			leave()
			_, err := shops[1].PlaceOrder(t.Context(), order)
			mu.Lock()
			defer mu.Unlock()
			told[order.ID] = rpc.CodeOf(err)
		})
	}
	done.Wait()
	left.Wait()

	want := map[inventory.State]rpc.Code{inventory.Held: rpc.OK, inventory.Released: rpc.Aborted}
	records := 0
	require.NoError(t, s.inv.Reservations(func(r inventory.Reservation) error {
		records++
		assert.Equal(t, want[r.State], told[r.Order], "%s is %s", r.Order, r.State)
		return nil
	}))
	assert.Equal(t, n, records)
	s.crash()
}
