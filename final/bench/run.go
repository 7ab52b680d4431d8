package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

// A run carries out what the options ask for and gathers the results.
type run struct {
	options
	results  results
	progress progress
}

// steps is how many measurements measureAll makes.
func (r *run) steps() int {
	pairs := 0
	for _, w := range r.workloads {
		pairs += len(r.peersFor(w))
	}
	n := pairs * (r.rounds + 1)
	if r.idle > 0 {
		n += len(r.peers)
	}
	return n
}

func (r *run) peersFor(w workload) []peer {
	var for_ []peer
	for _, p := range r.peers {
		if w.runs(p) {
			for_ = append(for_, p)
		}
	}
	return for_
}

// measureAll measures everything. A peer that fails is noted and the others go on; the error is
// ctx's, or that a profile cannot be written.
func (r *run) measureAll(ctx context.Context) error {
	r.results.Started = time.Now()
	r.results.Machine = thisMachine()
	r.results.RoundFor = r.duration
	defer r.progress.finish()
	if err := r.profiled(func() { r.measureRounds(ctx) }); err != nil {
		return err
	}
	for _, w := range r.workloads {
		if ctx.Err() == nil {
			r.countBytes(ctx, w)
		}
	}
	if r.idle > 0 && ctx.Err() == nil {
		r.measureIdle(ctx)
	}
	r.results.Targets = judge(&r.results, append(targets(), aims()...))
	return ctx.Err()
}

func (r *run) measureRounds(ctx context.Context) {
	for n := range r.rounds {
		for _, w := range r.workloads {
			if ctx.Err() == nil {
				r.measureRound(ctx, n, w)
			}
		}
	}
}

// profiled runs measure and writes a profile of it, if one was asked for.
func (r *run) profiled(measure func()) error {
	if r.profile == "" {
		measure()
		return nil
	}
	f, err := os.Create(r.profile)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return err
	}
	measure()
	pprof.StopCPUProfile()
	return f.Close()
}

// measureRound gives each peer its turn under w. Who begins changes from round to round, so that nobody always follows the
// same neighbour.
func (r *run) measureRound(ctx context.Context, n int, w workload) {
	turn := r.peersFor(w)
	r.progress.begin(fmt.Sprintf("round %d of %d: %s", n+1, r.rounds, w.title))
	for i := range turn {
		if ctx.Err() != nil {
			return
		}
		p := turn[(i+n)%len(turn)]
		runtime.GC() // nobody pays for the garbage of the peer before
		one, err := runRound(ctx, p, w, r.duration)
		one.Round = n + 1
		if r.succeeded(ctx, err) {
			r.results.Rounds = append(r.results.Rounds, one)
		}
		r.progress.step()
	}
}

func (r *run) countBytes(ctx context.Context, w workload) {
	r.progress.begin("bytes on the wire: " + w.title)
	for _, p := range r.peersFor(w) {
		if ctx.Err() != nil {
			return
		}
		count, err := countWire(ctx, p, w)
		if r.succeeded(ctx, err) {
			r.results.Wire = append(r.results.Wire, count)
		}
		r.progress.step()
	}
}

// filesBesides is what a process has open next to its idle connections, generously.
const filesBesides = 128

func (r *run) measureIdle(ctx context.Context) {
	n := r.idle
	if limit := allowOpenFiles(n + filesBesides); limit < n+filesBesides {
		n = max(1, limit-filesBesides)
		r.results.Notes = append(r.results.Notes, fmt.Sprintf(
			"This machine lets a process open %d files (RLIMIT_NOFILE), so the idle connections are %d, not %d.", limit, n, r.idle))
	}
	for _, p := range r.peers {
		if ctx.Err() != nil {
			return
		}
		r.progress.begin(fmt.Sprintf("%d idle connections: %s", n, p.name))
		cost, err := measureIdle(ctx, p, n)
		if r.succeeded(ctx, err) {
			r.results.Idle = append(r.results.Idle, cost)
		}
		r.progress.step()
	}
}

// succeeded notes err. What fails because ctx has ended is no failure of a peer.
func (r *run) succeeded(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		r.results.Failures = append(r.results.Failures, err.Error())
	}
	return err == nil
}
