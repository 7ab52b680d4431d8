package main

import "fmt"

// Names of the peers that the targets speak of.
const (
	oursProtobuf = "final: protobuf"
	oursUnmarked = "final: protobuf, unmarked"
	oursGob      = "final: gob"
	oursJSON     = "final: JSON"
)

// A target is one thing that the framework is to reach in the same run as its peers, with all cores.
type target struct {
	what   string
	where  string // a workload's id; empty where there is none of the table's columns
	wanted string

	// measure returns what was reached, in words, and whether that is enough; known is false when the run left out what it
	// needs.
	measure func(r *results) (measured string, enough, known bool)
}

// A verdict is a target with what a run says of it.
type verdict struct {
	target
	measured string
	reached  string // one of the three below
}

const (
	reached     = "reached"
	notReached  = "not reached"
	notMeasured = "not measured"
)

// String is the figure and the bound, in bold type where the target was not reached.
func (v verdict) String() string {
	if v.reached == notReached {
		return fmt.Sprintf("**%s (%s)**", v.measured, v.wanted)
	}
	return fmt.Sprintf("%s (%s)", v.measured, v.wanted)
}

func judge(r *results, targets []target) []verdict {
	var verdicts []verdict
	for _, t := range targets {
		v := verdict{t, "—", notMeasured}
		if measured, enough, known := t.measure(r); known {
			v.measured, v.reached = measured, notReached
			if enough {
				v.reached = reached
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// A ratioRow is the ratios to reach between two peers, per workload of targetColumns or streamColumns; 0 means none.
type ratioRow struct {
	what, ours, against string // an empty against is the fastest peer
	wanted              [5]float64

	// cost compares processor time per call, which has to be at most what is wanted. Else calls per second have to be at least
	// that.
	cost bool

	// oneCore compares rounds with one core.
	oneCore bool
}

// cores is how many cores the row's rounds have.
func (row ratioRow) cores(r *results) int {
	if row.oneCore {
		return 1
	}
	return r.all()
}

// With one caller, the limit is the system calls, which raw TCP makes as well: it is what protobuf and JSON are measured by.
var (
	targetColumns = []string{"c1", "c64", "c512", "echo1k", "echo64k"}
	ratioRows     = []ratioRow{
		{what: "protobuf / fastest peer", ours: oursProtobuf, wanted: [5]float64{0, 4, 3, 3.2, 1.5}},
		{what: "protobuf / raw TCP", ours: oursProtobuf, against: rawTCP.name, wanted: [5]float64{0.75, 0, 0, 0, 0.45}},
		{what: "JSON / raw TCP", ours: oursJSON, against: rawTCP.name, wanted: [5]float64{0.65}},
		{what: "gob / net/rpc", ours: oursGob, against: netRPC.name, wanted: [5]float64{1.4, 3, 2.5, 2.2, 1.1}},
		{what: "JSON / net/rpc/jsonrpc", ours: oursJSON, against: netRPCJSON.name, wanted: [5]float64{1.8, 3, 2.5, 2.2, 2}},
		{what: "protobuf, unmarked / NonBlocking", ours: oursUnmarked, against: oursProtobuf, wanted: [5]float64{0, 0.8, 0.8}},
		{what: "CPU per call, protobuf / raw TCP", ours: oursProtobuf, against: rawTCP.name, wanted: [5]float64{1.3}, cost: true},
		{what: "CPU per call, protobuf / net/rpc", ours: oursProtobuf, against: netRPC.name, wanted: [5]float64{0, 0.25, 0.25, 0.35, 0.6}, cost: true},
	}
	// A round trip of ping-pong is two messages.
	streamColumns      = []string{"stream", "stream64", "streamping", "stream64k"}
	streamAllocsWanted = []float64{3, 3, 6, 3}
	streamRatioRows    = []ratioRow{
		{what: "streams, protobuf / fastest peer", ours: oursProtobuf, wanted: [5]float64{3, 3, 1.3, 1.2}},
		{what: "streams, protobuf / fastest peer, 1 core", ours: oursProtobuf, wanted: [5]float64{3, 3, 1.3, 1.2}, oneCore: true},
		{what: "streams, protobuf / DRPC flushed by hand", ours: oursProtobuf, against: drpcFlushed.name, wanted: [5]float64{1, 1}},
	}
	coresWanted = [5]float64{0, 1.4, 1.5, 1.4, 1.4} // calls per second with all cores / with one; 0: raw TCP's own ratio
)

// targets returns all that is to be reached.
func targets() []target {
	all := ratioTargets(ratioRows, targetColumns)
	for i, id := range targetColumns {
		all = append(all, coresTarget(id, coresWanted[i]))
	}
	for _, id := range targetColumns {
		all = append(all, allocsTarget("protobuf, allocations per call", id, 5))
	}
	all = append(all, p99Target("c64"), idleTarget(18<<10), holdsTarget("sweep64", "sweep4096", 2.0/3))
	all = append(all, ratioTargets(streamRatioRows, streamColumns)...)
	for i, id := range streamColumns {
		all = append(all, allocsTarget("streams, protobuf, allocations per message or round trip", id, streamAllocsWanted[i]))
	}
	return append(all, idleStreamTarget(2<<10))
}

func ratioTargets(rows []ratioRow, columns []string) (all []target) {
	for _, row := range rows {
		for i, id := range columns {
			if row.wanted[i] != 0 {
				all = append(all, ratioTarget(row, id, row.wanted[i]))
			}
		}
	}
	return all
}

func ratioTarget(row ratioRow, workloadID string, wanted float64) target {
	t := target{what: row.what, where: workloadID, wanted: fmt.Sprintf("≥ %.4g", wanted)}
	if row.cost {
		t.wanted = fmt.Sprintf("≤ %.4g", wanted)
	}
	t.measure = func(r *results) (string, bool, bool) {
		mine, ok := r.summarize(row.ours, workloadID, row.cores(r))
		theirs, okToo := r.summarize(row.against, workloadID, row.cores(r))
		if row.against == "" {
			theirs, okToo = r.fastest(workloadID, row.cores(r))
		}
		switch {
		case !ok || !okToo || theirs.CallsPerSec == 0 || row.cost && theirs.CPUPerCall == 0: // some systems do not tell
			return "", false, false
		case row.cost:
			ratio := float64(mine.CPUPerCall) / float64(theirs.CPUPerCall)
			return fmt.Sprintf("%.2f", ratio), ratio <= wanted, true
		}
		ratio := mine.CallsPerSec / theirs.CallsPerSec
		if row.against == "" {
			return fmt.Sprintf("%.2f, %s", ratio, theirs.Peer), ratio >= wanted, true
		}
		return fmt.Sprintf("%.2f", ratio), ratio >= wanted, true
	}
	return t
}

// coresTarget asks what more cores bring. If wanted is 0, that has to be at least what they bring to raw TCP.
func coresTarget(workloadID string, wanted float64) target {
	t := target{what: "protobuf, all cores / one core", where: workloadID, wanted: fmt.Sprintf("≥ %.4g", wanted)}
	if wanted == 0 {
		t.wanted = "≥ raw TCP's"
	}
	t.measure = func(r *results) (string, bool, bool) {
		gain, ok := r.gainOfCores(oursProtobuf, workloadID)
		if wanted != 0 {
			return fmt.Sprintf("%.2f", gain), gain >= wanted, ok
		}
		raw, okToo := r.gainOfCores(rawTCP.name, workloadID)
		return fmt.Sprintf("%.2f", gain), gain >= raw, ok && okToo
	}
	return t
}

// gainOfCores returns a peer's calls per second with all cores divided by those with one.
func (r *results) gainOfCores(peerName, workloadID string) (gain float64, ok bool) {
	all, ok := r.summarize(peerName, workloadID, r.all())
	one, okToo := r.summarize(peerName, workloadID, 1)
	return all.CallsPerSec / one.CallsPerSec, ok && okToo && r.all() > 1 && one.CallsPerSec > 0
}

func allocsTarget(what, workloadID string, most float64) target {
	return target{
		what: what, where: workloadID, wanted: fmt.Sprintf("≤ %.0f", most),
		measure: func(r *results) (string, bool, bool) {
			s, ok := r.summarize(oursProtobuf, workloadID, r.all())
			// Half an allocation is what the rest of the process adds in a short round.
			return fmt.Sprintf("%.1f", s.AllocsPerCall), s.AllocsPerCall < most+0.5, ok
		},
	}
}

// p99Target asks that a call with us is slow more rarely than it is with net/rpc.
func p99Target(workloadID string) target {
	return target{
		what: "protobuf, p99", where: workloadID, wanted: "< net/rpc's p50",
		measure: func(r *results) (string, bool, bool) {
			mine, ok := r.summarize(oursProtobuf, workloadID, r.all())
			theirs, okToo := r.summarize(netRPC.name, workloadID, r.all())
			return showDuration(mine.P99), mine.P99 < theirs.P50, ok && okToo
		},
	}
}

func idleTarget(most float64) target {
	return target{
		what: "protobuf, memory per idle connection, both sides", wanted: "≤ " + showKiB(most),
		measure: func(r *results) (string, bool, bool) {
			c, ok := r.idleOf(oursProtobuf)
			return showKiB(c.total()), c.total() <= most, ok
		},
	}
}

// idleStreamTarget is about the heap: the stack of a stream's handler is the program's.
func idleStreamTarget(most float64) target {
	return target{
		what: "protobuf, heap per idle stream, both sides", wanted: "≤ " + showKiB(most),
		measure: func(r *results) (string, bool, bool) {
			c, ok := r.idleStreamsOf(oursProtobuf)
			heap := c.Server.Heap + c.Client.Heap
			return showKiB(heap), heap <= most, ok
		},
	}
}

// holdsTarget asks that the rate of the second workload is at least part of that of the first.
func holdsTarget(from, to string, part float64) target {
	return target{
		what: "protobuf, calls/s kept: " + titleOf(from) + " → " + titleOf(to), wanted: fmt.Sprintf("≥ %.2f", part),
		measure: func(r *results) (string, bool, bool) {
			few, ok := r.summarize(oursProtobuf, from, r.all())
			many, okToo := r.summarize(oursProtobuf, to, r.all())
			kept := many.CallsPerSec / few.CallsPerSec
			return fmt.Sprintf("%.2f", kept), kept >= part, ok && okToo && few.CallsPerSec > 0
		},
	}
}

// titleOf returns a workload's words.
func titleOf(workloadID string) string { return workloadNamed(workloadID).title }
