package cmd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// The real server is killed again and again while reservations are made. What it
// has answered is in its database, and each reservation once.
func TestInventory_SurvivesBeingKilledBetweenReservations(t *testing.T) {
	const callers, each, kills, stock = 8, 40, 4, 300
	dir := t.TempDir()
	db := filepath.Join(dir, "shop.db")
	stockFile := filepath.Join(dir, "stock.json")
	require.NoError(t, os.WriteFile(stockFile, fmt.Appendf(nil, `{"item1": %d}`, stock), 0o600))
	server, err := startProcess(dir, os.Stderr, "inventory", "-db", db, "-stock", stockFile)
	require.NoError(t, err)
	t.Cleanup(func() { server.kill() })

	var retries orders.Retries
	pool := orders.Connect(&retries, rpc.StaticResolver{server.addr})
	defer pool.Close()
	var answered atomic.Int64
	due := make(chan struct{}, kills)
	told := reserveAll(t.Context(), pool, callers, each, func() {
		if n := answered.Add(1); n%(callers*each/(kills+1)) == 0 && n < callers*each {
			due <- struct{}{}
		}
	})
	for range kills {
		<-due
		server.kill()
		server, err = startProcess(dir, os.Stderr, "inventory", "-db", db, "-stock", stockFile, "-addr", server.addr)
		require.NoError(t, err)
	}
	fates := <-told
	server.kill()

	inv, err := inventory.Open(db, nil)
	require.NoError(t, err)
	defer inv.Close()
	assert.Len(t, fates, callers*each)
	held := compare(t, inv, fates)
	assert.Equal(t, stock, held, "there were more orders than units")
	list, err := inv.List(t.Context(), &inventory.ListRequest{})
	require.NoError(t, err)
	assert.Equal(t, []inventory.Item{{ID: "item1", Left: 0, Reserved: stock}}, list.Items)
}

// reserveAll has callers reserve one unit in each of their orders, and sends what
// each order was told when all are answered.
func reserveAll(ctx context.Context, c rpc.Caller, callers, each int, answered func()) <-chan map[string]error {
	var mu sync.Mutex
	fates := map[string]error{}
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			for n := range each {
				id := fmt.Sprintf("order-%d-%d", i, n)
				_, err := inventory.Reserve.Call(ctx, c, &inventory.ReserveRequest{
					Order: id, Lines: []inventory.Line{{Item: "item1", Quantity: 1}},
				})
				mu.Lock()
				fates[id] = err
				mu.Unlock()
				answered()
			}
		})
	}
	all := make(chan map[string]error, 1)
	go func() {
		wg.Wait()
		all <- fates
	}()
	return all
}

// compare compares what callers were told with the database, and returns how many
// orders hold units.
func compare(t *testing.T, inv *inventory.Inventory, fates map[string]error) (held int) {
	t.Helper()
	require.NoError(t, inv.Reservations(func(r inventory.Reservation) error {
		err, ok := fates[r.Order]
		switch {
		case !ok:
			t.Errorf("%s is in the database, and nobody has sent it", r.Order)
		case r.State == inventory.Held:
			held++
			assert.NoError(t, err, r.Order)
		default:
			assert.True(t, errors.Is(err, rpc.FailedPrecondition), "%s is %s: %v", r.Order, r.State, err)
		}
		return nil
	}))
	return held
}
