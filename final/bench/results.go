package main

import (
	"slices"
	"time"
)

// Results are everything that one run measured, as it is written to results.json; in medians.json with medians for rounds.
type results struct {
	Started  time.Time     `json:"started"`
	Machine  machine       `json:"machine"`
	RoundFor time.Duration `json:"round_duration_ns"`
	Rounds   []round       `json:"rounds"`
	Wire     []wireCount   `json:"wire"`
	Idle     []idleCost    `json:"idle"`

	IdleStreams []idleCost `json:"idle_streams,omitempty"`

	// Notes say what could not be measured as asked; Failures what should have worked and did not.
	Notes    []string `json:"notes,omitempty"`
	Failures []string `json:"failures,omitempty"`
}

// all is how many cores the machine gave to the run.
func (r *results) all() int { return r.Machine.GOMAXPROCS }

// cores are the numbers of cores that rounds ran with, the largest first.
func (r *results) cores() []int {
	var all []int
	for _, one := range r.Rounds {
		if !slices.Contains(all, one.Cores) {
			all = append(all, one.Cores)
		}
	}
	slices.Sort(all)
	slices.Reverse(all)
	return all
}

// most is the largest number of cores that rounds ran with: all, unless the command line asked for one.
func (r *results) most() int { return slices.Max(append(r.cores(), 0)) }

// summarize returns the medians of p under the workload with so many cores, and false when there is no such round.
func (r *results) summarize(peerName, workloadID string, cores int) (round, bool) {
	var rounds []round
	for _, one := range r.Rounds {
		if one.Peer == peerName && one.Workload == workloadID && one.Cores == cores {
			rounds = append(rounds, one)
		}
	}
	if len(rounds) == 0 {
		return round{}, false
	}
	return round{
		Peer: peerName, Workload: workloadID, Cores: cores,
		CallsPerSec:   medianOf(rounds, func(r round) float64 { return r.CallsPerSec }),
		P50:           medianOf(rounds, func(r round) time.Duration { return r.P50 }),
		P99:           medianOf(rounds, func(r round) time.Duration { return r.P99 }),
		AllocsPerCall: medianOf(rounds, func(r round) float64 { return r.AllocsPerCall }),
		CPUPerCall:    medianOf(rounds, func(r round) time.Duration { return r.CPUPerCall }),
		Busy:          medianOf(rounds, func(r round) float64 { return r.Busy }),
	}, true
}

// medians returns r with one round, of medians, for all of a kind: enough for every table.
func (r *results) medians() *results {
	m := *r
	m.Rounds = nil
	for _, w := range workloads {
		for _, p := range peers {
			for _, cores := range r.cores() {
				if one, ok := r.summarize(p.name, w.id, cores); ok {
					m.Rounds = append(m.Rounds, one)
				}
			}
		}
	}
	return &m
}

// measured says whether the run measured anything of a peer.
func (r *results) measured(peerName string) bool {
	_, idle := r.idleOf(peerName)
	_, streams := r.idleStreamsOf(peerName)
	return idle || streams || slices.ContainsFunc(r.Rounds, func(one round) bool { return one.Peer == peerName })
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
func (r *results) idleOf(peerName string) (idleCost, bool) { return costOf(r.Idle, peerName) }

// idleStreamsOf is idleOf for its streams.
func (r *results) idleStreamsOf(peerName string) (idleCost, bool) {
	return costOf(r.IdleStreams, peerName)
}

func costOf(costs []idleCost, peerName string) (idleCost, bool) {
	i := slices.IndexFunc(costs, func(c idleCost) bool { return c.Peer == peerName })
	if i < 0 {
		return idleCost{}, false
	}
	return costs[i], true
}

// fastest returns the peer with the most calls a second under a workload: neither ours nor the floor.
func (r *results) fastest(workloadID string, cores int) (s round, ok bool) {
	for _, p := range peers {
		if p.ours || p.floor || p.holdsBack {
			continue
		}
		if one, measured := r.summarize(p.name, workloadID, cores); measured && one.CallsPerSec > s.CallsPerSec {
			s, ok = one, true
		}
	}
	return s, ok
}
