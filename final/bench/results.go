package main

import (
	"slices"
	"time"
)

// Results are everything that one run measured, as it is written to results.json.
type results struct {
	Started  time.Time     `json:"started"`
	Machine  machine       `json:"machine"`
	RoundFor time.Duration `json:"round_duration_ns"`
	Rounds   []round       `json:"rounds"`
	Wire     []wireCount   `json:"wire"`
	Idle     []idleCost    `json:"idle"`
	Targets  []verdict     `json:"targets"`

	// Notes say what could not be measured as asked; Failures what should have worked and did not.
	Notes    []string `json:"notes,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

// A summary is the medians of one peer's rounds under one workload.
type summary struct {
	callsPerSec   float64
	p50, p99      time.Duration
	allocsPerCall float64
	cpuPerCall    time.Duration
}

// summarize returns the medians of p under the workload, and false when there is no such round.
func (r *results) summarize(peerName, workloadID string) (summary, bool) {
	var rounds []round
	for _, one := range r.Rounds {
		if one.Peer == peerName && one.Workload == workloadID {
			rounds = append(rounds, one)
		}
	}
	if len(rounds) == 0 {
		return summary{}, false
	}
	return summary{
		callsPerSec:   medianOf(rounds, func(r round) float64 { return r.CallsPerSec }),
		p50:           medianOf(rounds, func(r round) time.Duration { return r.P50 }),
		p99:           medianOf(rounds, func(r round) time.Duration { return r.P99 }),
		allocsPerCall: medianOf(rounds, func(r round) float64 { return r.AllocsPerCall }),
		cpuPerCall:    medianOf(rounds, func(r round) time.Duration { return r.CPUPerCall }),
	}, true
}

// measured says whether the run measured anything of a peer.
func (r *results) measured(peerName string) bool {
	_, idle := r.idleOf(peerName)
	return idle || slices.ContainsFunc(r.Rounds, func(one round) bool { return one.Peer == peerName })
}

// medianOf returns the middle value, or the mean of the two in the middle.
func medianOf[V time.Duration | float64](rounds []round, value func(round) V) V {
	values := make([]V, len(rounds))
	for i, r := range rounds {
		values[i] = value(r)
	}
	slices.Sort(values)
	middle := len(values) / 2
	if len(values)%2 == 1 {
		return values[middle]
	}
	return (values[middle-1] + values[middle]) / 2
}

// wireOf returns the bytes per call of a peer under a workload, and false when they were not counted.
func (r *results) wireOf(peerName, workloadID string) (wireCount, bool) {
	i := slices.IndexFunc(r.Wire, func(w wireCount) bool { return w.Peer == peerName && w.Workload == workloadID })
	if i < 0 {
		return wireCount{}, false
	}
	return r.Wire[i], true
}

// idleOf returns the cost of a peer's idle connections, and false when it was not measured.
func (r *results) idleOf(peerName string) (idleCost, bool) {
	i := slices.IndexFunc(r.Idle, func(c idleCost) bool { return c.Peer == peerName })
	if i < 0 {
		return idleCost{}, false
	}
	return r.Idle[i], true
}

// fastest returns the peer with the highest median under a workload: neither ours nor the floor.
func (r *results) fastest(workloadID string) (name string, s summary, ok bool) {
	for _, p := range peers {
		if p.ours || p.floor {
			continue
		}
		if one, measured := r.summarize(p.name, workloadID); measured && one.callsPerSec > s.callsPerSec {
			name, s, ok = p.name, one, true
		}
	}
	return name, s, ok
}
