package inventory

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestReserve_TakesAllLinesOrNone(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5, "item2": 1})
	reply, err := inv.Reserve(t.Context(), &ReserveRequest{Order: "a", Lines: []Line{{"item1", 2}, {"item2", 1}}})
	require.NoError(t, err)
	assert.Equal(t, 3, reply.Units)
	assert.Equal(t, []Item{{"item1", 3, 2}, {"item2", 0, 1}}, list(t, inv))

	_, err = inv.Reserve(t.Context(), &ReserveRequest{Order: "b", Lines: []Line{{"item1", 2}, {"item2", 1}}})
	assert.ErrorIs(t, err, rpc.FailedPrecondition)
	assert.Equal(t, []Item{{"item1", 3, 2}, {"item2", 0, 1}}, list(t, inv), "nothing of b is taken")
}

func TestReserve_RefusesWithACode(t *testing.T) {
	for _, test := range []struct {
		name string
		req  ReserveRequest
		code rpc.Code
		text string
	}{
		{"unknown item", ReserveRequest{Order: "a", Lines: []Line{{"item1", 9}, {"item9", 1}}}, rpc.NotFound, "unknown item: item9"},
		{"out of stock", ReserveRequest{Order: "a", Lines: []Line{{"item1", 6}}}, rpc.FailedPrecondition, "out of stock: item1: 5 left, 6 wanted"},
		{"out of stock by two lines", ReserveRequest{Order: "a", Lines: []Line{{"item1", 3}, {"item1", 3}}}, rpc.FailedPrecondition, "out of stock: item1: 5 left, 6 wanted"},
		{"none", ReserveRequest{Order: "a", Lines: []Line{{"item1", 0}}}, rpc.InvalidArgument, "bad quantity: 0"},
		{"fewer than none", ReserveRequest{Order: "a", Lines: []Line{{"item1", -3}}}, rpc.InvalidArgument, "bad quantity: -3"},
		{"more than anything", ReserveRequest{Order: "a", Lines: []Line{{"item1", MaxQuantity + 1}}}, rpc.InvalidArgument, "bad quantity: 1000001"},
		{"no order", ReserveRequest{Lines: []Line{{"item1", 1}}}, rpc.InvalidArgument, "order is missing"},
		{"no lines", ReserveRequest{Order: "a"}, rpc.InvalidArgument, "an order has 1 to 100 lines, not 0"},
		{"too many lines", ReserveRequest{Order: "a", Lines: make([]Line, 101)}, rpc.InvalidArgument, "an order has 1 to 100 lines, not 101"},
		{"no item", ReserveRequest{Order: "a", Lines: []Line{{"", 1}}}, rpc.InvalidArgument, "item id of 0 bytes"},
		{"long id", ReserveRequest{Order: strings.Repeat("a", 129), Lines: []Line{{"item1", 1}}}, rpc.InvalidArgument, "id of 129 bytes: at most 128"},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := openTest(t, map[string]int{"item1": 5})
			_, err := inv.Reserve(t.Context(), &test.req)
			assert.ErrorIs(t, err, test.code)
			assert.ErrorContains(t, err, test.text)
			assert.Equal(t, 5, left(t, inv, "item1"), "nothing is taken")
		})
	}
}

func TestReserve_CountsARepeatedOrderOnce(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	for range 3 {
		mustReserve(t, inv, "a", Line{"item1", 2})
	}
	assert.Equal(t, 3, left(t, inv, "item1"))
	counts, err := inv.Counts()
	require.NoError(t, err)
	assert.Equal(t, Counts{Repeated: 2, Commits: 3}, counts)
}

func TestReserve_RepeatsARefusalThoughThereIsEnoughNow(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	mustReserve(t, inv, "a", Line{"item1", 4})
	b := &ReserveRequest{Order: "b", Lines: []Line{{"item1", 3}}}
	_, first := inv.Reserve(t.Context(), b)
	_, err := inv.Release(t.Context(), &ReleaseRequest{Order: "a"})
	require.NoError(t, err)

	_, second := inv.Reserve(t.Context(), b)
	assert.Equal(t, first, second)
	var refused *rpc.Error
	require.ErrorAs(t, second, &refused)
	assert.Equal(t, map[string]string{"item": "item1", "left": "1", "wanted": "3"}, refused.Details)
	assert.Equal(t, 5, left(t, inv, "item1"))
}

func TestReserve_RefusesAnIDWithOtherContent(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	mustReserve(t, inv, "a", Line{"item1", 2})
	for _, req := range []ReserveRequest{
		{Order: "a", Lines: []Line{{"item1", 3}}},
		{Order: "a", Lines: []Line{{"item1", 2}, {"item1", 2}}},
		{Order: "a", Customer: "somebody else", Lines: []Line{{"item1", 2}}},
	} {
		_, err := inv.Reserve(t.Context(), &req)
		assert.ErrorIs(t, err, rpc.AlreadyExists)
	}
	mustReserve(t, inv, "a", Line{"item1", 2})
	assert.Equal(t, 3, left(t, inv, "item1"))
}

func TestReserve_DoesNothingForACallerThatHasGone(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := inv.Reserve(ctx, &ReserveRequest{Order: "a", Lines: []Line{{"item1", 2}}})
	assert.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, 5, left(t, inv, "item1"))
}

func TestReserve_NeverSellsMoreThanThereIs(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 100})
	var sold atomic.Int64
	var customers sync.WaitGroup
	for c := range 20 {
		customers.Go(func() {
			for i := range 9 {
				order := &ReserveRequest{Order: fmt.Sprintf("%d-%d", c, i), Lines: []Line{{"item1", 1}}}
				_, err := inv.Reserve(t.Context(), order)
				_, again := inv.Reserve(t.Context(), order)
				assert.Equal(t, err, again)
				if err == nil {
					sold.Add(1)
				} else {
					assert.ErrorIs(t, err, rpc.FailedPrecondition)
				}
			}
		})
	}
	customers.Wait()
	assert.EqualValues(t, 100, sold.Load())
	assert.Equal(t, []Item{{"item1", 0, 100}}, list(t, inv))
}

// Requests that come together are one write to the disk.
func TestReserve_SharesACommit(t *testing.T) {
	const together = 200
	inv := openTest(t, map[string]int{"item1": together})
	var begin, done sync.WaitGroup
	begin.Add(1)
	for i := range together {
		done.Go(func() {
			begin.Wait()
			_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: fmt.Sprint(i), Lines: []Line{{"item1", 1}}})
			assert.NoError(t, err)
		})
	}
	begin.Done()
	done.Wait()
	counts, err := inv.Counts()
	require.NoError(t, err)
	assert.Less(t, counts.Commits, together)
	assert.Zero(t, left(t, inv, "item1"))
}

func TestInventory_FailsAfterClose(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	require.NoError(t, inv.Close())
	_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: "a", Lines: []Line{{"item1", 2}}})
	assert.ErrorIs(t, err, rpc.Internal)
	_, err = inv.CheckStock(t.Context(), &CheckStockRequest{Item: "item1"})
	assert.ErrorIs(t, err, rpc.Internal)
}

func TestCheckStock_KnowsWhatThereIsNot(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	_, err := inv.CheckStock(t.Context(), &CheckStockRequest{Item: "item9"})
	assert.ErrorIs(t, err, rpc.NotFound)
	assert.EqualError(t, err, "rpc: not_found: unknown item: item9")
	_, err = inv.CheckStock(t.Context(), &CheckStockRequest{})
	assert.ErrorIs(t, err, rpc.NotFound)
}
