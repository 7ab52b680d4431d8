package inventory

// Green here means: this weakness exists; each names the step and the test that
// lifts it.

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Lifted in final by TestReserve_CountsARepeatedOrderOnce.
func TestLimit_RepeatedReserveCountsTwice(t *testing.T) {
	inv := New(map[string]int{"item1": 5})
	for range 2 { // the answer to the first was lost, so the caller tries again
		_, err := inv.Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 2})
		require.NoError(t, err)
	}
	left, err := inv.CheckStock(t.Context(), "item1")
	require.NoError(t, err)
	assert.Equal(t, 1, left, "two were wanted, four are taken")
}

// Lifted in final by TestOpen_FindsWhatWasAnswered.
func TestLimit_RestartForgetsStock(t *testing.T) {
	stock := map[string]int{"item1": 5}
	_, err := New(stock).Reserve(t.Context(), Reservation{Order: "order-1", Item: "item1", Quantity: 5})
	require.NoError(t, err)
	left, err := New(stock).CheckStock(t.Context(), "item1") // as a new process would
	require.NoError(t, err)
	assert.Equal(t, 5, left, "what was sold is there again")
}
