package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A round is what one peer did under one workload for a short time, or the medians of several such rounds. Under a workload of
// streams, a call is what the workload counts: a message, or a round trip.
type round struct {
	Peer     string `json:"peer"`
	Workload string `json:"workload"`
	Cores    int    `json:"gomaxprocs"`

	Round   int           `json:"round,omitempty"` // from 1; of medians, like the next two, 0
	Calls   int           `json:"calls,omitempty"`
	Elapsed time.Duration `json:"elapsed_ns,omitempty"`

	CallsPerSec   float64       `json:"calls_per_sec"`
	P50           time.Duration `json:"p50_ns"`
	P99           time.Duration `json:"p99_ns"`
	AllocsPerCall float64       `json:"allocs_per_call"` // client and server together

	// CPUPerCall is the processor time of both sides. Of all figures it suffers least from what else the machine does.
	CPUPerCall time.Duration `json:"cpu_ns_per_call"`

	// Busy is how many cores were at work on average.
	Busy float64 `json:"busy_cores"`
}

const (
	// callDeadline is so far away that no call meets it: what is measured is that it travels.
	callDeadline = time.Hour

	// hangAfter bounds the wait for calls in flight when a round is over.
	hangAfter = 10 * time.Second
)

var errHang = errors.New("calls still unanswered long after the round")

// The phases of a round. Calls are counted by the phase in which they end.
const (
	warmUp int32 = iota
	timed
	over
)

// runRound loads p with w for d, after a warm-up of a quarter of that.
func runRound(ctx context.Context, p peer, w workload, d time.Duration) (round, error) {
	b, err := openBench(p, w, nil)
	if err != nil {
		return round{}, err
	}
	defer b.close()
	l := startLoad(b.callsOf(w))
	r, err := l.measure(ctx, d)
	if stopErr := l.stop(b); err == nil {
		err = stopErr
	}
	if err != nil {
		return round{}, fmt.Errorf("%s, %s: %w", p.name, w.title, err)
	}
	r.Peer, r.Workload, r.Cores = p.name, w.id, runtime.GOMAXPROCS(0)
	var all histogram
	for _, h := range l.histograms {
		all.add(h)
	}
	return r.withCalls(&all, max(w.messages, 1)), nil
}

// withCalls fills in what the callers recorded, so many calls each time. AllocsPerCall and CPUPerCall hold the whole round's
// until then.
func (r round) withCalls(all *histogram, each int) round {
	r.Calls = all.count() * each
	r.CallsPerSec = float64(r.Calls) / r.Elapsed.Seconds()
	r.P50 = all.percentile(0.50)
	r.P99 = all.percentile(0.99)
	r.AllocsPerCall /= float64(max(r.Calls, 1))
	r.Busy = r.CPUPerCall.Seconds() / r.Elapsed.Seconds()
	r.CPUPerCall /= time.Duration(max(r.Calls, 1))
	return r
}

// A load is the goroutines that call, one each for every caller.
type load struct {
	phase      atomic.Int32
	histograms []*histogram
	begun      chan struct{} // closed when all callers have made a call, or failed
	done       chan struct{} // closed when all callers have ended

	failed chan error // the first caller's error
}

func startLoad(calls []call) *load {
	l := &load{begun: make(chan struct{}), done: make(chan struct{}), failed: make(chan error, 1)}
	var wg, first sync.WaitGroup
	for _, c := range calls {
		h := new(histogram)
		l.histograms = append(l.histograms, h)
		first.Add(1)
		wg.Go(func() { l.run(c, h, first.Done) })
	}
	go func() {
		first.Wait()
		close(l.begun)
		wg.Wait()
		close(l.done)
	}()
	return l
}

// run is one caller, who says when the first call was made. It reads the clock once a call: the end of one is the start of the next.
func (l *load) run(c call, h *histogram, begun func()) {
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	start := time.Now()
	last := time.Duration(0)
	for first := true; ; first = false {
		err := c(ctx)
		if first {
			begun()
		}
		if err != nil {
			select {
			case l.failed <- err:
			default: // the first error is enough
			}
			return
		}
		now := time.Since(start)
		switch l.phase.Load() {
		case timed:
			h.record(now - last)
		case over:
			return
		}
		last = now
	}
}

// measure waits for the warm-up, then for the timed part, and returns its length, allocations and processor time. The warm-up
// is longer, up to eight rounds, until each caller has made a call: a server that fills the windows of many streams first takes
// its time.
func (l *load) measure(ctx context.Context, d time.Duration) (round, error) {
	if err := l.wait(ctx, d/4); err != nil {
		return round{}, err
	}
	select {
	case <-l.begun:
	case <-time.After(8 * d):
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start, used := time.Now(), processorTime()
	l.phase.Store(timed)
	err := l.wait(ctx, d)
	l.phase.Store(over)
	elapsed := time.Since(start)
	used = processorTime() - used
	runtime.ReadMemStats(&after)
	return round{Elapsed: elapsed, AllocsPerCall: float64(after.Mallocs - before.Mallocs), CPUPerCall: used}, err
}

// wait returns after d, or earlier with the error of ctx or of a caller.
func (l *load) wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case err := <-l.failed:
		return err
	}
}

// stop ends the callers after the call they are in. A peer that lost a call would hold them for ever, so its connections are
// closed when that takes too long.
func (l *load) stop(b *bench) error {
	l.phase.Store(over)
	select {
	case <-l.done:
	case <-time.After(hangAfter):
		for _, c := range b.clients {
			c.Close()
		}
		return errHang
	}
	select {
	case err := <-l.failed:
		return err
	default:
		return nil
	}
}
