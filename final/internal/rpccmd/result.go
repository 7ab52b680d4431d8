package rpccmd

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"example.com/rpc-from-scratch/final/internal/numbers"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

// result is what a caller, or all together, measured.
type result struct {
	latencies   *hdrhistogram.Histogram // of calls that succeeded, in nanoseconds
	kind        rpc.MethodKind          // of the method; what is counted depends on it
	items       int64                   // of streams, or round trips
	streams     int64                   // that were opened
	empty       int64                   // server streams that have ended without an item
	failed      map[rpc.Code]int
	example     map[rpc.Code]error // the first of each
	took        time.Duration
	interrupted bool
}

// Latencies from a nanosecond to ten minutes, to within a hundredth: about
// 35 KiB a caller. What is outside counts as the nearest that is inside.
const (
	leastLatency = time.Nanosecond
	mostLatency  = 10 * time.Minute
	digits       = 2
)

func newResult() *result {
	return &result{
		latencies: hdrhistogram.New(int64(leastLatency), int64(mostLatency), digits),
		failed:    map[rpc.Code]int{},
		example:   map[rpc.Code]error{},
	}
}

func (r *result) record(d time.Duration, err error) {
	if err == nil {
		_ = r.latencies.RecordValue(int64(min(max(d, leastLatency), mostLatency))) // in range, so it does not fail
		return
	}
	code := rpc.CodeOf(err)
	r.failed[code]++
	if r.example[code] == nil {
		r.example[code] = err
	}
}

func (r *result) add(other *result) {
	r.latencies.Merge(other.latencies)
	r.items += other.items
	r.streams += other.streams
	r.empty += other.empty
	for code, n := range other.failed {
		r.failed[code] += n
		if r.example[code] == nil {
			r.example[code] = other.example[code]
		}
	}
}

func (r *result) failures() int {
	n := 0
	for _, failed := range r.failed {
		n += failed
	}
	return n
}

// failure is the run's error: a call that failed.
func (r *result) failure() error {
	if n := r.failures(); n > 0 {
		return failf("%s failed", count(n, r.attempt()))
	}
	return nil
}

// attempt is what can fail.
func (r *result) attempt() string {
	if r.kind == rpc.Unary {
		return "call"
	}
	return "stream"
}

// print prints the figures; what says what was run.
func (r *result) print(w io.Writer, what string) error {
	out := columns(w)
	n := r.latencies.TotalCount()
	fmt.Fprintf(out, "%s, for %v%s\n\n", what, readable(r.took), r.ending())
	done, unit := n, units[r.kind]+"s"
	if r.kind != rpc.Unary {
		done = r.items
	}
	fmt.Fprintf(out, "%s\t%s\n", unit, numbers.Thousands(done))
	fmt.Fprintf(out, "%s/s\t%s\n", unit, numbers.Thousands(int64(math.Round(float64(done)/r.took.Seconds()))))
	if r.kind != rpc.Unary {
		fmt.Fprintf(out, "streams\t%s%s\n", numbers.Thousands(r.streams), r.without())
	}
	fmt.Fprintf(out, "failed\t%s\n", numbers.Thousands(r.failures()))
	for _, code := range slices.Sorted(maps.Keys(r.failed)) {
		text := strings.TrimPrefix(r.example[code].Error(), "rpc: ")
		plaintext.Fprintf(out, "  %s\t%s\n", numbers.Thousands(r.failed[code]), text)
	}
	if n > 0 {
		r.printLatencies(out)
	}
	if err := out.Flush(); err != nil {
		return failf("write: %w", err)
	}
	return nil
}

func (r *result) ending() string {
	if r.interrupted {
		return " (interrupted)"
	}
	return ""
}

// without says how many streams had nothing to count.
func (r *result) without() string {
	if r.empty == 0 {
		return ""
	}
	return fmt.Sprintf(", %s of them without an item", numbers.Thousands(r.empty))
}

func (r *result) printLatencies(w io.Writer) {
	h := r.latencies
	fmt.Fprintf(w, "\nlatency\n  mean\t%v\n", readable(time.Duration(h.Mean())))
	for _, p := range []float64{50, 90, 95, 99, 99.9} {
		fmt.Fprintf(w, "  p%v\t%v\n", p, readable(time.Duration(h.ValueAtQuantile(p))))
	}
	fmt.Fprintf(w, "  max\t%v\n\n", readable(time.Duration(h.Max())))
	for _, b := range bars(h) {
		fmt.Fprintf(w, "  ≤ %v\t%s\t%s\n", readable(b.to), numbers.Thousands(b.calls), b.blocks())
	}
}

// bar is one line of the histogram.
type bar struct {
	to    time.Duration // the longest latency that is in it
	calls int64
	most  int64 // calls of the longest bar
}

// bars cuts the latencies at powers of two microseconds, from the first that
// has calls to the last.
func bars(h *hdrhistogram.Histogram) []bar {
	var list []bar
	to := time.Microsecond
	for _, b := range h.Distribution() {
		if b.Count == 0 {
			continue
		}
		for int64(to) < b.To {
			to *= 2
			if len(list) > 0 {
				list = append(list, bar{to: to})
			}
		}
		if len(list) == 0 {
			list = append(list, bar{to: to})
		}
		list[len(list)-1].calls += b.Count
	}
	most := int64(0)
	for _, b := range list {
		most = max(most, b.calls)
	}
	for i := range list {
		list[i].most = most
	}
	return list
}

// blocks draws b, the longest bar at 40 characters. A bar with calls is never empty.
func (b bar) blocks() string {
	const width = 40
	if b.calls == 0 {
		return ""
	}
	return strings.Repeat("█", int(max(1, b.calls*width/b.most)))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%s %ss", numbers.Thousands(n), what)
}
