package main

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// verdictOn judges one target on r.
func verdictOn(r *results, t target) verdict { return judge(r, []target{t})[0] }

func TestTargets_CompareMedians(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {125, 130, 1}, netRPC.name: {100, 100, 500}, grpcPeer.name: {50}})
	ratio := func(ours, against, workloadID string, wanted float64) target {
		return ratioTarget(ratioRow{ours: ours, against: against}, workloadID, wanted)
	}
	cost := func(wanted float64) target {
		return ratioTarget(ratioRow{ours: oursProtobuf, against: netRPC.name, cost: true}, "c1", wanted)
	}
	for _, c := range []struct {
		name   string
		target target
		cell   string
	}{
		{"a named peer, met exactly", ratio(oursProtobuf, netRPC.name, "c1", 1.25), "1.25 (≥ 1.25)"},
		{"a named peer, missed", ratio(oursProtobuf, netRPC.name, "c1", 1.3), "**1.25 (≥ 1.3)**"},
		{"the fastest peer", ratio(oursProtobuf, "", "c1", 1.25), "1.25, net/rpc (≥ 1.25)"},
		{"processor time, met", cost(1.3), "1.25 (≤ 1.3)"},
		{"processor time, missed", cost(1.2), "**1.25 (≤ 1.2)**"},
		{"a peer left out", ratio(oursProtobuf, rawTCP.name, "c1", 1), "— (≥ 1)"},
		{"a workload left out", ratio(oursProtobuf, "", "c64", 1), "— (≥ 1)"},
		{"ours left out", ratio(oursGob, netRPC.name, "c1", 1), "— (≥ 1)"},
	} {
		t.Run(c.name, func(t *testing.T) { assert.Equal(t, c.cell, verdictOn(r, c.target).String()) })
	}
}

// A system that does not tell the processor time reaches no target about it.
func TestTargets_NoProcessorTimeIsNotMeasured(t *testing.T) {
	r := &results{Machine: machine{GOMAXPROCS: 2}, Rounds: []round{
		{Peer: oursProtobuf, Workload: "c1", Cores: 2, CallsPerSec: 1}, {Peer: netRPC.name, Workload: "c1", Cores: 2, CallsPerSec: 1},
	}}
	row := ratioRow{ours: oursProtobuf, against: netRPC.name, cost: true}
	assert.Equal(t, notMeasured, verdictOn(r, ratioTarget(row, "c1", 1)).reached)
}

// On an overloaded machine, a short round may end without a call.
func TestTargets_NothingIsComparedWithARoundWithoutCalls(t *testing.T) {
	none := &results{Machine: machine{GOMAXPROCS: 2}, Rounds: []round{{Peer: oursProtobuf, Workload: "c1", Cores: 1}}}
	for _, w := range workloads {
		for _, p := range peers {
			none.Rounds = append(none.Rounds, round{Peer: p.name, Workload: w.id, Cores: 2}, round{Peer: p.name, Workload: w.id, Cores: 1})
		}
	}
	for _, v := range judge(none, targets()) {
		assert.NotRegexp(t, "NaN|Inf", v.String())
	}
}

func TestTargets_MoreCoresBringMoreCalls(t *testing.T) {
	r := &results{Machine: machine{GOMAXPROCS: 2}, Rounds: []round{
		{Peer: oursProtobuf, Workload: "c1", Cores: 2, CallsPerSec: 120}, {Peer: oursProtobuf, Workload: "c1", Cores: 1, CallsPerSec: 100},
	}}
	assert.Equal(t, "1.20 (≥ 1.2)", verdictOn(r, coresTarget("c1", 1.2)).String())
	assert.Equal(t, "**1.20 (≥ 1.4)**", verdictOn(r, coresTarget("c1", 1.4)).String())
	assert.Equal(t, notMeasured, verdictOn(r, coresTarget("c1", 0)).reached, "without raw TCP")

	r.Rounds = append(r.Rounds, round{Peer: rawTCP.name, Workload: "c1", Cores: 2, CallsPerSec: 110}, round{Peer: rawTCP.name, Workload: "c1", Cores: 1, CallsPerSec: 100})
	assert.Equal(t, "1.20 (≥ raw TCP's)", verdictOn(r, coresTarget("c1", 0)).String())

	r.Machine.GOMAXPROCS = 1
	assert.Equal(t, notMeasured, verdictOn(r, coresTarget("c1", 1.2)).reached, "a machine with one core")
}

func TestTargets_AllocationsAndLatencyHaveAnUpperBound(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {800}, netRPC.name: {1700}})
	assert.Equal(t, reached, verdictOn(r, allocsTarget("", "c1", 8)).reached)
	assert.Equal(t, notReached, verdictOn(r, allocsTarget("", "c1", 7)).reached)
	assert.Equal(t, reached, verdictOn(r, p99Target("c1")).reached)
	assert.Equal(t, notMeasured, verdictOn(r, p99Target("c64")).reached)

	r = sample(map[string][]float64{oursProtobuf: {800}, netRPC.name: {1600}})
	assert.Equal(t, notReached, verdictOn(r, p99Target("c1")).reached, "as much is not below")
}

func TestTargets_IdleMemoryIsOfBothSides(t *testing.T) {
	r := &results{}
	assert.Equal(t, notMeasured, verdictOn(r, idleTarget(18<<10)).reached)
	r.Idle = []idleCost{{Peer: oursProtobuf, Server: memory{Resident: 9 << 10}, Client: memory{Resident: 9 << 10}}}
	assert.Equal(t, reached, verdictOn(r, idleTarget(18<<10)).reached)
	r.Idle[0].Client.Resident++
	assert.Equal(t, notReached, verdictOn(r, idleTarget(18<<10)).reached)
}

func TestTargets_IdleStreamsAreMeasuredByTheirHeap(t *testing.T) {
	r := &results{IdleStreams: []idleCost{{Peer: oursProtobuf, Server: memory{Resident: 9 << 10, Heap: 1 << 10}, Client: memory{Heap: 1 << 10}}}}
	assert.Equal(t, "2.0 KiB (≤ 2.0 KiB)", verdictOn(r, idleStreamTarget(2<<10)).String())
	assert.Equal(t, notReached, verdictOn(r, idleStreamTarget(2<<10-1)).reached)
}

func TestTargets_OneCoreIsComparedWithOneCore(t *testing.T) {
	r := &results{Machine: machine{GOMAXPROCS: 2}, Rounds: []round{
		{Peer: oursProtobuf, Workload: "stream", Cores: 2, CallsPerSec: 400}, {Peer: oursProtobuf, Workload: "stream", Cores: 1, CallsPerSec: 300},
		{Peer: grpcPeer.name, Workload: "stream", Cores: 2, CallsPerSec: 200}, {Peer: grpcPeer.name, Workload: "stream", Cores: 1, CallsPerSec: 100},
		{Peer: drpcFlushed.name, Workload: "stream", Cores: 1, CallsPerSec: 500},
	}}
	row := ratioRow{ours: oursProtobuf, oneCore: true}
	assert.Equal(t, "3.00, gRPC-Go (≥ 3)", verdictOn(r, ratioTarget(row, "stream", 3)).String())
	row.against = drpcFlushed.name
	assert.Equal(t, "**0.60 (≥ 1)**", verdictOn(r, ratioTarget(row, "stream", 1)).String(), "it holds back, and is compared by name only")
}

func TestTargets_RateHoldsUnderMoreCallers(t *testing.T) {
	r := &results{Machine: machine{GOMAXPROCS: 2}, Rounds: []round{
		{Peer: oursProtobuf, Workload: "sweep64", Cores: 2, CallsPerSec: 300},
		{Peer: oursProtobuf, Workload: "sweep4096", Cores: 2, CallsPerSec: 210},
	}}
	v := verdictOn(r, holdsTarget("sweep64", "sweep4096", 2.0/3))
	assert.Equal(t, "0.70", v.measured)
	assert.Equal(t, reached, v.reached)
	r.Rounds[1].CallsPerSec = 190
	assert.Equal(t, notReached, verdictOn(r, holdsTarget("sweep64", "sweep4096", 2.0/3)).reached)
}

// A target on a workload or a peer that is not there would be notMeasured for ever.
func TestTargets_SpeakOfWhatIsMeasured(t *testing.T) {
	for _, id := range slices.Concat([]string{"c64", "sweep64", "sweep4096"}, targetColumns, streamColumns) {
		assert.Equal(t, id, workloadNamed(id).id)
	}
	for _, row := range append(ratioRows, streamRatioRows...) {
		for _, name := range []string{row.ours, row.against} {
			_, ok := peerNamed(name)
			assert.True(t, ok || name == "", name)
		}
	}
}
