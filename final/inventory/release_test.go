package inventory

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestRelease_GivesBackOnce(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5, "item2": 1})
	mustReserve(t, inv, "a", Line{"item1", 2}, Line{"item2", 1}, Line{"item1", 1})
	for range 2 {
		reply, err := inv.Release(t.Context(), &ReleaseRequest{Order: "a"})
		require.NoError(t, err)
		assert.Equal(t, 4, reply.Units, "the same answer each time")
		assert.Equal(t, []Item{{"item1", 5, 0}, {"item2", 1, 0}}, list(t, inv))
	}
	_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: "a", Lines: []Line{{"item1", 2}}})
	assert.ErrorIs(t, err, rpc.Aborted)
	assert.EqualError(t, err, "rpc: aborted: order a is withdrawn")
}

// The network may turn the two round.
func TestRelease_RefusesAReserveThatComesLater(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	reply, err := inv.Release(t.Context(), &ReleaseRequest{Order: "a", Attempt: "1"})
	require.NoError(t, err)
	assert.Zero(t, reply.Units)
	_, err = inv.Reserve(t.Context(), &ReserveRequest{Order: "a", Attempt: "1", Lines: []Line{{"item1", 2}}})
	assert.ErrorIs(t, err, rpc.Aborted)
	assert.Equal(t, 5, left(t, inv, "item1"))
}

func TestRelease_LeavesARefusalAsItIs(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	order := &ReserveRequest{Order: "a", Lines: []Line{{"item1", 6}}}
	_, refused := inv.Reserve(t.Context(), order)
	reply, err := inv.Release(t.Context(), &ReleaseRequest{Order: "a"})
	require.NoError(t, err)
	assert.Zero(t, reply.Units)
	_, again := inv.Reserve(t.Context(), order)
	assert.Equal(t, refused, again)
}

func TestRelease_OfAnAttempt(t *testing.T) {
	lines := []Line{{"item1", 2}}
	for _, test := range []struct {
		name     string
		attempts []string // to reserve, one after the other
		release  string
		released bool
	}{
		{"the only one", []string{"1"}, "1", true},
		{"the only one, repeated", []string{"1", "1"}, "1", true},
		{"another one", []string{"1"}, "2", false},
		{"the first of two", []string{"1", "2"}, "1", false},
		{"the second of two", []string{"1", "2"}, "2", false},
		{"a late repetition of the first", []string{"1", "2", "1"}, "1", false},
		{"one beside one without a name", []string{"1", ""}, "1", false},
		{"whichever there are", []string{"1", "2"}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			inv := openTest(t, map[string]int{"item1": 5})
			for _, attempt := range test.attempts {
				_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: "a", Lines: lines, Attempt: attempt})
				require.NoError(t, err)
			}
			_, err := inv.Release(t.Context(), &ReleaseRequest{Order: "a", Attempt: test.release})
			if test.released {
				assert.NoError(t, err)
				assert.Equal(t, 5, left(t, inv, "item1"))
			} else {
				assert.ErrorIs(t, err, rpc.FailedPrecondition)
				assert.Equal(t, 3, left(t, inv, "item1"))
			}
		})
	}
}

func TestRelease_RefusesBadIDs(t *testing.T) {
	inv := openTest(t, map[string]int{"item1": 5})
	_, err := inv.Release(t.Context(), &ReleaseRequest{})
	assert.ErrorIs(t, err, rpc.InvalidArgument)
}
