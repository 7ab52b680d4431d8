package rpc

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shelves starts a server for each name on n. They end with the bubble's test.
func shelves(t *testing.T, n *network, names ...string) []*inventory {
	t.Helper()
	var invs []*inventory
	for _, name := range names {
		inv := newInventory()
		srv := inv.server(t)
		t.Cleanup(func() { srv.Close() })
		n.set(name, srv)
		invs = append(invs, inv)
	}
	return invs
}

func runsOf(invs []*inventory, item string) (counts []int) {
	for _, inv := range invs {
		counts = append(counts, inv.runs(item))
	}
	return counts
}

// warm makes pool connect to all its servers, in a bubble.
func warm(t *testing.T, pool *Pool) {
	t.Helper()
	_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "warm"})
	require.NoError(t, err)
	synctest.Wait()
}

func TestPool_RoundRobinSpreadsEvenly(t *testing.T) {
	for _, c := range []struct {
		name string
		down string
		want []int
	}{
		{"all are up", "", []int{20, 20, 20}},
		{"one is down", "b", []int{30, 0, 30}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				invs := shelves(t, n, "a", "b", "c")
				if c.down != "" {
					n.set(c.down, nil)
				}
				pool := newPool(t, StaticResolver{"a", "b", "c"}, WithDialer(n.dial), WithBalancing(RoundRobin))
				warm(t, pool)
				for range 60 {
					_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
					require.NoError(t, err)
				}
				assert.Equal(t, c.want, runsOf(invs, "item1"))
			})
		})
	}
}

func TestPool_TwoChoicesSpreadWithoutLooking(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		invs := shelves(t, n, "a", "b", "c", "d")
		pool := newPool(t, StaticResolver{"a", "b", "c", "d"}, WithDialer(n.dial), WithBalancing(TwoChoices))
		warm(t, pool)
		for range 4000 {
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		}
		for i, runs := range runsOf(invs, "item1") {
			assert.InDelta(t, 1000, runs, 200, "server %d: 7 standard deviations", i)
		}
	})
}

func TestPool_SlowServerGetsLess(t *testing.T) {
	const callers, calls = 12, 3000
	for _, c := range []struct {
		balancing Balancing
		slow      [2]int // the bounds of its share in percent
	}{
		{LeastInFlight, [2]int{1, 20}},
		{TwoChoices, [2]int{1, 20}},
		{RoundRobin, [2]int{33, 34}},
	} {
		t.Run(c.balancing.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				addrs := StaticResolver{"slow", "quick", "quicker"}
				var runs [3]atomic.Int32
				for i, pause := range []time.Duration{10 * time.Millisecond, time.Millisecond, time.Millisecond} {
					inv := newInventory()
					inv.saw = func(context.Context) { runs[i].Add(1); <-time.After(pause) }
					srv := inv.server(t)
					n.set(addrs[i], srv)
				}
				pool := newPool(t, addrs, WithDialer(n.dial), WithBalancing(c.balancing))
				warm(t, pool)
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for range calls / callers {
							_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
							assert.NoError(t, err)
						}
					})
				}
				wg.Wait()
				share := int(runs[0].Load()) * 100 / calls
				assert.GreaterOrEqual(t, share, c.slow[0])
				assert.LessOrEqual(t, share, c.slow[1])
			})
		})
	}
}

func TestPool_BalancesWhatRemains(t *testing.T) {
	for _, b := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		bubble(t, func(t *testing.T) {
			n := newNetwork()
			invs := shelves(t, n, "up")
			pool := newPool(t, StaticResolver{"down", "up", "away"}, WithDialer(n.dial), WithBalancing(b))
			for range 100 {
				_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
				require.NoError(t, err)
			}
			assert.Equal(t, 100, invs[0].runs("item1"))
		})
	}
}

// A member whose limits a call exceeds is no reason to fail it while another one would
// take it, as during an upgrade that raises the limit.
func TestPool_ACallTooLargeForOneMemberGoesToAnother(t *testing.T) {
	for name, small := range map[string]ServerOption{"message": WithMaxMessage(1 << 10), "metadata": WithMaxMetadata(16)} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n := newNetwork()
				for addr, opts := range map[string][]ServerOption{"a": {small}, "b": nil} {
					srv := newInventory().server(t, opts...)
					n.set(addr, srv)
				}
				pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial), WithBalancing(RoundRobin))
				ctx := AddMetadata(timeout(t, time.Minute), Metadata{"key": strings.Repeat("x", 100)})
				for range 8 {
					_, err := checkStock.Call(ctx, pool, &stockRequest{Item: "item1" + strings.Repeat(" ", 2<<10)})
					assert.NotErrorIs(t, err, ResourceExhausted)
				}
			})
		})
	}
}
