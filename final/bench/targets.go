package main

import (
	"fmt"
	"time"
)

// Names of the peers that the targets speak of.
const (
	oursProtobuf = "final: protobuf"
	oursGob      = "final: gob"
	oursJSON     = "final: JSON"
)

// A target is one thing that the framework is to reach in the same run as its peers.
type target struct {
	what   string
	where  string // a workload, in words
	wanted string

	// measure returns what was reached, in words, and whether that is enough; known is false when the run left out what it
	// needs.
	measure func(r *results) (measured string, enough, known bool)
}

// A verdict is a target with what a run says of it.
type verdict struct {
	What     string `json:"what"`
	Where    string `json:"where"`
	Wanted   string `json:"wanted"`
	Measured string `json:"measured"`
	Reached  string `json:"reached"` // one of the three below
}

const (
	reached     = "reached"
	notReached  = "not reached"
	notMeasured = "not measured"
)

func (v verdict) known() bool { return v.Reached != notMeasured }

func judge(r *results, targets []target) []verdict {
	var verdicts []verdict
	for _, t := range targets {
		v := verdict{What: t.what, Where: t.where, Wanted: t.wanted, Measured: "—", Reached: notMeasured}
		if measured, enough, known := t.measure(r); known {
			v.Measured, v.Reached = measured, notReached
			if enough {
				v.Reached = reached
			}
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// ratioRows are the ratios of calls per second to reach, per workload of ratioColumns. An empty against is the fastest peer.
var (
	ratioColumns = []string{"c1", "c64", "c512", "echo1k", "echo64k"}
	ratioRows    = []struct {
		what, ours, against string
		wanted              []float64
	}{
		{"protobuf against the fastest peer", oursProtobuf, "", []float64{1.25, 3.2, 2, 2.8, 1.2}},
		{"protobuf against gRPC-Go", oursProtobuf, grpcPeer.name, []float64{3.5, 7, 6, 6, 2}},
		{"gob against net/rpc", oursGob, netRPC.name, []float64{1.15, 2.8, 1.9, 2, 1}},
		{"JSON against net/rpc/jsonrpc", oursJSON, netRPCJSON.name, []float64{1.3, 2.5, 2, 2, 1.5}},
	}
)

// targets returns all that is to be reached.
func targets() []target {
	var all []target
	for _, row := range ratioRows {
		for i, id := range ratioColumns {
			all = append(all, ratioTarget(row.what, row.ours, row.against, id, row.wanted[i]))
		}
	}
	return append(all,
		allocsTarget("c1", 8),
		allocsTarget("c64", 8),
		p99Target("c64", time.Millisecond),
		idleTarget(24<<10),
		holdsTarget("sweep64", "sweep4096", 2.0/3),
	)
}

// aims returns what lies beyond the targets.
func aims() []target {
	return []target{
		ratioTarget("protobuf against net/rpc", oursProtobuf, netRPC.name, "c1", 2),
		ratioTarget("protobuf against raw TCP", oursProtobuf, rawTCP.name, "c1", 0.7),
		ratioTarget("protobuf against the fastest peer", oursProtobuf, "", "c64", 4),
		ratioTarget("protobuf against raw TCP", oursProtobuf, rawTCP.name, "echo64k", 0.5),
	}
}

func ratioTarget(what, ours, against, workloadID string, wanted float64) target {
	return target{
		what: what, where: titleOf(workloadID), wanted: fmt.Sprintf("≥ %.4g", wanted),
		measure: func(r *results) (string, bool, bool) {
			mine, ok := r.summarize(ours, workloadID)
			name, theirs, okToo := against, summary{}, false
			if against == "" {
				name, theirs, okToo = r.fastest(workloadID)
			} else {
				theirs, okToo = r.summarize(against, workloadID)
			}
			if !ok || !okToo {
				return "", false, false
			}
			ratio := mine.callsPerSec / theirs.callsPerSec
			return fmt.Sprintf("%.2f (%s)", ratio, name), ratio >= wanted, true
		},
	}
}

func allocsTarget(workloadID string, most float64) target {
	return target{
		what: "protobuf, allocations per call", where: titleOf(workloadID), wanted: fmt.Sprintf("≤ %.0f", most),
		measure: func(r *results) (string, bool, bool) {
			s, ok := r.summarize(oursProtobuf, workloadID)
			// Half an allocation is what the rest of the process adds in a short round.
			return fmt.Sprintf("%.1f", s.allocsPerCall), s.allocsPerCall < most+0.5, ok
		},
	}
}

func p99Target(workloadID string, below time.Duration) target {
	return target{
		what: "protobuf, p99", where: titleOf(workloadID), wanted: fmt.Sprintf("< %v", below),
		measure: func(r *results) (string, bool, bool) {
			s, ok := r.summarize(oursProtobuf, workloadID)
			return showDuration(s.p99), s.p99 < below, ok
		},
	}
}

func idleTarget(below float64) target {
	return target{
		what: "protobuf, memory per idle connection", where: "both sides", wanted: fmt.Sprintf("< %.0f KiB", below/1024),
		measure: func(r *results) (string, bool, bool) {
			c, ok := r.idleOf(oursProtobuf)
			return fmt.Sprintf("%.1f KiB", c.total()/1024), c.total() < below, ok
		},
	}
}

// holdsTarget asks that the rate of the second workload is at least part of that of the first.
func holdsTarget(from, to string, part float64) target {
	return target{
		what: "protobuf, calls/s kept", where: titleOf(from) + " → " + titleOf(to), wanted: fmt.Sprintf("> %.2f", part),
		measure: func(r *results) (string, bool, bool) {
			few, ok := r.summarize(oursProtobuf, from)
			many, okToo := r.summarize(oursProtobuf, to)
			if !ok || !okToo {
				return "", false, false
			}
			kept := many.callsPerSec / few.callsPerSec
			return fmt.Sprintf("%.2f", kept), kept > part, true
		},
	}
}

// titleOf returns a workload's words.
func titleOf(workloadID string) string {
	for _, w := range workloads {
		if w.id == workloadID {
			return w.title
		}
	}
	return workloadID
}
