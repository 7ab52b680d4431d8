package rpc_test

import (
	"testing"
	"testing/synctest"
)

// TestStorm_SeedsKeepThePromises runs storms: clients, pools, resolvers and servers on a
// simulated network that splits, cuts, delays and loses connections, leaves them half
// open, and stops and starts hosts. After each step it checks what was promised: one
// end of a call and in time, at most one run unless it is idempotent, NeverRan exact,
// limits and budgets kept, no caller harmed by another one's faults; at the end, that
// all recovers, and that nothing is left behind. The frames on the network are checked,
// too: see storm_wire_test.go.
//
// A seed makes the operations, the faults, their times, jitter and balancing. The order
// of goroutines stays free, so a failure may come again only in some of many runs.
// RPC_STORM has the form of RPC_MODEL: see [TestModel_RandomProgramsKeepThePromises].
// This runs storms for an hour, with one processor and with all at the same time:
//
//	RPC_STORM=1h go test -v -count=1 -timeout 2h -run '^TestStorm_Seeds' ./rpc
func TestStorm_SeedsKeepThePromises(t *testing.T) { stormSeeds.test(t) }

var stormSeeds = seeded{
	name: "TestStorm_SeedsKeepThePromises", variable: "RPC_STORM", what: "storm", short: 15, batch: 100,
	parts: func(seed int) int { return len(newStormProgram(seed).steps) },
	run: func(t *testing.T, seed int, keep []int, _ bool) {
		p := newStormProgram(seed)
		p.only(keep)
		synctest.Test(t, func(t *testing.T) { p.run(t) })
	},
}
