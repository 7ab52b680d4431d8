package orders

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// unreachable returns a client of an order server whose inventory nobody can connect to.
func unreachable(t *testing.T) (*rpc.Client, *rpc.Server) {
	t.Helper()
	nobody := func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody is there") }
	pool := Connect(new(Retries), rpc.StaticResolver{"shop:7001"}, rpc.WithDialer(nobody))
	t.Cleanup(func() { pool.Close() })
	return importer(t, pool)
}

func TestPlaceOrder_SaysInTimeThatTheInventoryIsNotReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := unreachable(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		_, err := PlaceOrder.Call(ctx, client, &order)
		assert.Equal(t, rpc.Unavailable, rpc.CodeOf(err))
		assert.ErrorContains(t, err, "send order order-1 again, it has not reached the inventory: ")
		assert.ErrorContains(t, err, "shop:7001")
		assert.ErrorContains(t, err, "nobody is there")
		assert.NoError(t, ctx.Err())
	})
}

// The orders that wait for an inventory do not keep their server from ending.
func TestImport_EndsSoonAfterDrainingBegins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, srv := unreachable(t)
		stream := send(t, client, manyOrders(3*importAtOnce)...)
		synctest.Wait()
		begun := time.Now()
		ended := make(chan error)
		go func() { ended <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		report, err := stream.CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[string]int{"unavailable": 3 * importAtOnce}, report.Failed)
		require.Len(t, report.Failures, MaxFailures)
		assert.Contains(t, report.Failures[0].Message, "nobody is there")
		require.NoError(t, <-ended)
		assert.LessOrEqual(t, time.Since(begun), 4*time.Second)
	})
}

// With an inventory, the orders that it was asked for are placed while the server drains.
func TestPlaceOrder_IsCompletedWhileItsServerDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inv := &fakeInventory{reserve: func(context.Context) error {
			<-time.After(time.Second)
			return nil
		}}
		client, srv := importer(t, inv)
		placed := make(chan error)
		go func() {
			_, err := PlaceOrder.Call(t.Context(), client, &order)
			placed <- err
		}()
		synctest.Wait()
		go srv.Shutdown(context.Background())
		assert.NoError(t, <-placed)
	})
}

// A try that may have run makes the whole call one that may have.
func TestRetries_OfACallThatMayHaveRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		notReached := unran(t)
		for name, c := range map[string]struct {
			first    error
			neverRan bool
		}{
			"lost":        {rpc.Errorf(rpc.Unavailable, "the connection was lost"), false},
			"not reached": {notReached, true},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			tries := 0
			err := new(Retries).Insist(rpc.CallerFunc(func(context.Context, string, any, any) error {
				if tries++; tries == 1 {
					return c.first
				}
				return notReached
			})).Call(ctx, "Inventory.Reserve", nil, nil)
			cancel()
			assert.Greater(t, tries, 1, name)
			assert.ErrorIs(t, err, rpc.Unavailable, name)
			assert.ErrorContains(t, err, "nobody is there", name)
			assert.Equal(t, c.neverRan, rpc.NeverRan(err), name)
		}
	})
}

// unran returns the error of a call for which there was no connection.
func unran(t *testing.T) error {
	t.Helper()
	nobody := func(context.Context, string) (net.Conn, error) { return nil, errors.New("nobody is there") }
	pool := rpc.NewPool(rpc.StaticResolver{"shop"}, rpc.WithClientOptions(rpc.WithDialer(nobody), rpc.WithMaxWait(time.Second)))
	defer pool.Close()
	err := pool.Call(t.Context(), "Test.None", nil, nil)
	require.True(t, rpc.NeverRan(err))
	return err
}
