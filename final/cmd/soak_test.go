package cmd_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/history"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// soakTime is 2 s, or what the environment variable RPC_SOAK says.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if s := os.Getenv("RPC_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		require.NoError(t, err)
		return d
	}
	return 2 * time.Second
}

// The real server is killed again and again, and its connections are cut. Whatever each
// call was told, and whatever was seen of the stock, is true of one stock.
func TestSoak_TheShopsHistoryIsLinearizable(t *testing.T) {
	const callers, shelves, eachLife = 8, 4, 400 * time.Millisecond
	took := soakTime(t)
	dir := t.TempDir()
	stock := map[string]int{}
	for i := range 2 * shelves {
		stock[fmt.Sprint("item", i)] = int(200 * took.Seconds()) // some of it runs out
	}
	server := newKillable(t, dir, stock)
	proxy, err := newCutter(server.addr)
	require.NoError(t, err)
	var recorder history.Recorder
	pool := rpc.NewPool(rpc.StaticResolver{proxy.ln.Addr().String()}, rpc.WithConnsPerAddr(3), rpc.WithMaxAttempts(1),
		rpc.WithBackoff(time.Millisecond, 50*time.Millisecond), rpc.WithClientInterceptors(recorder.Intercept))

	ctx, cancel := context.WithTimeout(t.Context(), took)
	defer cancel()
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				trade(t.Context(), pool, fmt.Sprint(c, "-", n), 2*rand.IntN(shelves))
			}
		})
	}
	kills := 0
	for life := time.NewTimer(eachLife); ctx.Err() == nil; kills++ {
		<-life.C
		server.again(t)
		proxy.target.Store(&server.addr)
		life.Reset(eachLife) // from when it is back, which can take longer
	}
	wg.Wait()
	pool.Close()
	proxy.close()
	server.kill()

	inv, err := inventory.Open(filepath.Join(dir, "shop.db"), nil)
	require.NoError(t, err)
	list, err := inv.List(t.Context(), &inventory.ListRequest{})
	require.NoError(t, err)
	require.NoError(t, inv.Close())
	recorder.Saw(list.Items)
	told := map[history.Outcome]int{}
	calls := recorder.Calls()
	for _, c := range calls {
		told[c.Outcome]++
	}
	t.Logf("%d calls, %d kills, %d cuts: %v", len(calls), kills, proxy.cuts.Load(), told)
	assert.Positive(t, told[history.Unknown])
	assert.Positive(t, told[history.Held])
	assert.NoError(t, history.Check(stock, calls, time.Minute))
}

// trade makes one order of one or two items of a shelf, and gives some of them back. It
// asks until it is answered, and now and then leaves early. Then it looks at the stock.
func trade(ctx context.Context, c rpc.Caller, order string, shelf int) {
	req := &inventory.ReserveRequest{Order: order}
	for i := range 1 + rand.IntN(2) {
		req.Lines = append(req.Lines, inventory.Line{Item: fmt.Sprint("item", shelf+i), Quantity: 1 + rand.IntN(3)})
	}
	insist(ctx, func(ctx context.Context) error {
		_, err := inventory.Reserve.Call(ctx, c, req)
		return err
	})
	if rand.IntN(4) == 0 {
		insist(ctx, func(ctx context.Context) error {
			_, err := inventory.Release.Call(ctx, c, &inventory.ReleaseRequest{Order: order})
			return err
		})
	}
	insist(ctx, func(ctx context.Context) error {
		if rand.IntN(10) == 0 {
			_, err := inventory.List.Call(ctx, c, &inventory.ListRequest{})
			return err
		}
		_, err := inventory.CheckStock.Call(ctx, c, &inventory.CheckStockRequest{Item: req.Lines[0].Item})
		return err
	})
}

// insist makes a call until it is answered, for a minute at most.
func insist(ctx context.Context, call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		limit := 5 * time.Second
		if rand.IntN(10) == 0 {
			limit = time.Duration(1+rand.IntN(5)) * time.Millisecond
		}
		once, leave := context.WithTimeout(ctx, limit)
		err := call(once)
		leave()
		switch rpc.CodeOf(err) {
		case rpc.Unavailable, rpc.DeadlineExceeded, rpc.Canceled, rpc.ResourceExhausted:
			continue
		}
		return
	}
}

// A killable is an inventory server that comes back with the same database, at another
// address: a client that still dials the old one can take that port.
type killable struct {
	*process
	dir  string
	args []string
}

func newKillable(t *testing.T, dir string, stock map[string]int) *killable {
	t.Helper()
	data, err := json.Marshal(stock)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "stock.json"), data, 0o600))
	k := &killable{dir: dir, args: []string{"-db", filepath.Join(dir, "shop.db"), "-stock", filepath.Join(dir, "stock.json")}}
	k.process, err = startProcess(dir, io.Discard, "inventory", k.args...)
	require.NoError(t, err)
	t.Cleanup(func() { k.kill() })
	return k
}

// again kills the server and starts it again.
func (k *killable) again(t *testing.T) {
	t.Helper()
	k.kill()
	next, err := startProcess(k.dir, io.Discard, "inventory", k.args...)
	require.NoError(t, err)
	k.process = next
}
