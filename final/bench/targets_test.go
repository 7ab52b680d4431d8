package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// verdictOn judges one target on r.
func verdictOn(r *results, t target) verdict { return judge(r, []target{t})[0] }

func TestTargets_CompareMedians(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {125, 130, 1}, netRPC.name: {100, 100, 500}, grpcPeer.name: {50}})
	for _, c := range []struct {
		name     string
		target   target
		measured string
		reached  string
	}{
		{"a named peer, met exactly", ratioTarget("", oursProtobuf, netRPC.name, "c1", 1.25), "1.25 (net/rpc)", reached},
		{"a named peer, missed", ratioTarget("", oursProtobuf, netRPC.name, "c1", 1.3), "1.25 (net/rpc)", notReached},
		{"the fastest peer", ratioTarget("", oursProtobuf, "", "c1", 1.25), "1.25 (net/rpc)", reached},
		{"a peer left out", ratioTarget("", oursProtobuf, rawTCP.name, "c1", 1), "—", notMeasured},
		{"a workload left out", ratioTarget("", oursProtobuf, "", "c64", 1), "—", notMeasured},
		{"ours left out", ratioTarget("", oursGob, netRPC.name, "c1", 1), "—", notMeasured},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := verdictOn(r, c.target)
			assert.Equal(t, c.measured, v.Measured)
			assert.Equal(t, c.reached, v.Reached)
		})
	}
}

func TestTargets_AllocationsAndLatencyHaveAnUpperBound(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {800}})
	assert.Equal(t, reached, verdictOn(r, allocsTarget("c1", 8)).Reached)
	assert.Equal(t, notReached, verdictOn(r, allocsTarget("c1", 7)).Reached)
	assert.Equal(t, reached, verdictOn(r, p99Target("c1", 2*time.Millisecond)).Reached)
	assert.Equal(t, notReached, verdictOn(r, p99Target("c1", time.Millisecond)).Reached)
	assert.Equal(t, notMeasured, verdictOn(r, p99Target("c64", time.Millisecond)).Reached)
}

func TestTargets_IdleMemoryIsOfBothSides(t *testing.T) {
	r := &results{}
	assert.Equal(t, notMeasured, verdictOn(r, idleTarget(24<<10)).Reached)
	r.Idle = []idleCost{{Peer: oursProtobuf, Server: memory{Resident: 12 << 10}, Client: memory{Resident: 12 << 10}}}
	assert.Equal(t, notReached, verdictOn(r, idleTarget(24<<10)).Reached)
	r.Idle[0].Client.Resident--
	assert.Equal(t, reached, verdictOn(r, idleTarget(24<<10)).Reached)
}

func TestTargets_RateHoldsUnderMoreCallers(t *testing.T) {
	r := &results{Rounds: []round{
		{Peer: oursProtobuf, Workload: "sweep64", CallsPerSec: 300},
		{Peer: oursProtobuf, Workload: "sweep4096", CallsPerSec: 210},
	}}
	v := verdictOn(r, holdsTarget("sweep64", "sweep4096", 2.0/3))
	assert.Equal(t, "0.70", v.Measured)
	assert.Equal(t, reached, v.Reached)
	r.Rounds[1].CallsPerSec = 190
	assert.Equal(t, notReached, verdictOn(r, holdsTarget("sweep64", "sweep4096", 2.0/3)).Reached)
}

// A target on a workload or a peer that is not there would be notMeasured for ever.
func TestTargets_SpeakOfWhatIsMeasured(t *testing.T) {
	for _, row := range ratioRows {
		assert.Len(t, row.wanted, len(ratioColumns))
	}
	for _, id := range append([]string{"c1", "c64", "sweep64", "sweep4096"}, ratioColumns...) {
		assert.NotEqual(t, id, titleOf(id))
	}
}
