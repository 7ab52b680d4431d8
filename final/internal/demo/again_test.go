package demo

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

func TestSendAgain_SendsAllOrdersInOneStream(t *testing.T) {
	list := planOrders(200, 4, 1)
	var got []wish
	fake := rpctest.NewFake(t)
	rpctest.StubClientStream(fake, orders.Import, func(_ context.Context, in *rpc.Receiver[orders.Order]) (*orders.ImportReport, error) {
		for order, err := range in.All() {
			if err != nil {
				return nil, err
			}
			got = append(got, wish{Order: *order, giveUp: list[len(got)].giveUp})
		}
		return &orders.ImportReport{Placed: len(got)}, nil
	})
	again, err := sendAgain(t.Context(), fake, list)
	require.NoError(t, err)
	assert.Equal(t, &orders.ImportReport{Placed: 200}, again.report)
	assert.Equal(t, list, got)
	assert.Len(t, fake.Calls(), 1)
}

// The books of testBooks: one order of each verdict, and three units are sold.
func TestConfirm_TheSameOrdersGetTheSameAnswers(t *testing.T) {
	for name, failed := range map[string]map[string]int{
		"as they were": {"failed_precondition": 1, "not_found": 1, "aborted": 1},
		"a customer who gave up an order of unknown items": {"failed_precondition": 1, "aborted": 2},
	} {
		l, _, _, _ := testBooks()
		assert.NoError(t, l.confirm(&orders.ImportReport{Placed: 1, Units: 3, Failed: failed}), name)
	}
	for name, r := range map[string]orders.ImportReport{
		"sold twice":         {Placed: 2, Units: 6, Failed: map[string]int{"not_found": 1, "aborted": 1}},
		"other units":        {Placed: 1, Units: 4, Failed: map[string]int{"failed_precondition": 1, "not_found": 1, "aborted": 1}},
		"one without answer": {Placed: 1, Units: 3, Failed: map[string]int{"failed_precondition": 1, "not_found": 1}},
		"an outage":          {Placed: 1, Units: 3, Failed: map[string]int{"failed_precondition": 1, "not_found": 1, "unavailable": 1}},
	} {
		l, _, _, _ := testBooks()
		assert.ErrorContains(t, l.confirm(&r), "the orders sent again: answers are", name)
	}
}
