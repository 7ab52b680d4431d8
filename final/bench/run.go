package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
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
	n := 0
	for _, w := range r.workloads {
		each := r.rounds * len(r.cores)
		if w.stream == noStream {
			each++ // bytes are counted
		}
		n += len(r.peersFor(w)) * each
	}
	if r.idle > 0 {
		n += len(r.idlePeers())
	}
	if r.streams > 0 {
		n += len(r.idleStreamers())
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

// idlePeers leaves the variants out: their idle connections are those of the peer that they vary.
func (r *run) idlePeers() []peer {
	return slices.DeleteFunc(slices.Clone(r.peers), func(p peer) bool { return p.only != nil })
}

func (r *run) idleStreamers() []peer {
	return slices.DeleteFunc(r.idlePeers(), func(p peer) bool { return !p.streams })
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
		if ctx.Err() == nil && w.stream == noStream {
			r.countBytes(ctx, w)
		}
	}
	r.results.Idle = r.measureIdle(ctx, idleConnections, r.idle, r.idlePeers())
	r.results.IdleStreams = r.measureIdle(ctx, idleStreams, r.streams, r.idleStreamers())
	return ctx.Err()
}

func (r *run) measureRounds(ctx context.Context) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
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

// measureRound gives each peer its turn under w, with one core and with all, one after the other. Who begins changes from round to round, so that nobody always follows the
// same neighbour.
func (r *run) measureRound(ctx context.Context, n int, w workload) {
	turn := r.peersFor(w)
	r.progress.begin(fmt.Sprintf("round %d of %d: %s", n+1, r.rounds, w.title))
	for i := range turn {
		if ctx.Err() != nil {
			return
		}
		p := turn[(i+n)%len(turn)]
		for _, cores := range r.cores {
			runtime.GOMAXPROCS(cores)
			runtime.GC() // nobody pays for the garbage of the peer before
			one, err := runRound(ctx, p, w, r.duration)
			one.Round = n + 1
			if r.succeeded(ctx, err) {
				r.results.Rounds = append(r.results.Rounds, one)
			}
			r.progress.step()
		}
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

// measureIdle measures so many idle connections, or streams, of each peer; 0 are none.
func (r *run) measureIdle(ctx context.Context, what string, asked int, of []peer) (costs []idleCost) {
	if asked == 0 || ctx.Err() != nil {
		return nil
	}
	n := asked
	if limit := allowOpenFiles(n + filesBesides); limit < n+filesBesides {
		n = max(1, limit-filesBesides)
		r.results.Notes = append(r.results.Notes, fmt.Sprintf(
			"This machine lets a process open %d files (RLIMIT_NOFILE), so the idle %s are %d, not %d.", limit, what, n, asked))
	}
	for _, p := range of {
		if ctx.Err() != nil {
			return costs
		}
		r.progress.begin(fmt.Sprintf("%d idle %s: %s", n, what, p.name))
		cost, err := measureIdle(ctx, p, what, n)
		if r.succeeded(ctx, err) {
			costs = append(costs, cost)
		}
		r.progress.step()
	}
	return costs
}

// succeeded notes err. What fails because ctx has ended is no failure of a peer.
func (r *run) succeeded(ctx context.Context, err error) bool {
	if err != nil && ctx.Err() == nil {
		r.results.Failures = append(r.results.Failures, err.Error())
	}
	return err == nil
}
