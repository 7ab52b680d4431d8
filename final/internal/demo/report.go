package demo

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/internal/numbers"
	"example.com/rpc-from-scratch/final/internal/shop"
	"example.com/rpc-from-scratch/final/inventory"
)

// A report is what the demo prints when all orders are answered.
type report struct {
	d       *demo
	books   *ledger
	took    time.Duration
	parts   []partRow // the customers and the order servers
	window  *window
	metrics *scraped  // of the inventory server that was not killed
	second  shop.Seen // the same server, by its own count
	items   []inventory.Item
	again   resent
}

// A partRow is a line of the table of what each part saw.
type partRow struct {
	name string
	saw  shop.Seen
}

func (r *report) print(w io.Writer) {
	fmt.Fprintf(w, "\n%s orders in %s, %s a second\n", figure(len(r.d.list)), round(r.took), figure(float64(len(r.d.list))/r.took.Seconds()))
	for _, table := range []func(io.Writer){r.answers, r.latencies, r.saw, r.looked, r.scraped, r.streamed, r.stock} {
		fmt.Fprintln(w)
		table(w)
	}
	fmt.Fprintln(w)
}

// row prints a name and, right-aligned under each other, its figures.
func row(w io.Writer, name string, figures ...any) {
	fmt.Fprintf(w, "%-22s", name)
	for _, f := range figures {
		fmt.Fprintf(w, " %10s", figure(f))
	}
	fmt.Fprintln(w)
}

// figure writes a count with a comma at each thousand, and anything else as it is.
func figure(v any) string {
	switch n := v.(type) {
	case int:
		return numbers.Thousands(n)
	case int64:
		return numbers.Thousands(n)
	case uint64:
		return numbers.Thousands(n)
	case float64:
		return numbers.Thousands(int64(math.Round(n)))
	}
	return fmt.Sprint(v)
}

// answers says how many orders were placed, and why others were not.
func (r *report) answers(w io.Writer) {
	n := r.books.count()
	row(w, string(ordered), n[ordered])
	for _, v := range []verdict{outOfStock, unknownItem, withdrawn} {
		row(w, "refused, "+string(v), n[v])
	}
}

// latencies says how long customers waited for their answers.
func (r *report) latencies(w io.Writer) {
	var before, across, after []time.Duration
	for _, e := range r.books.entries {
		took := e.ended.Sub(e.begun)
		switch {
		case e.ended.Before(r.d.killed):
			before = append(before, took)
		case e.begun.After(r.d.back):
			after = append(after, took)
		default:
			across = append(across, took)
		}
	}
	row(w, "latency", "orders", "p50", "p90", "p99", "p99.9", "max")
	latencyRow(w, "before the kill", before)
	latencyRow(w, "across the kill", across)
	latencyRow(w, "after it", after)
}

func latencyRow(w io.Writer, name string, took []time.Duration) {
	slices.Sort(took)
	figures := []any{len(took)}
	for _, share := range []float64{0.50, 0.90, 0.99, 0.999, 1} {
		figures = append(figures, round(percentile(took, share)))
	}
	row(w, name, figures...)
}

// percentile returns the smallest value that at least the share p of the sorted
// values does not exceed; 0 if there are none.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(p*float64(len(sorted)) + 0.999999)
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// saw says what each part saw. What the killed server saw is gone with it.
func (r *report) saw(w io.Writer) {
	row(w, "what each part saw", "calls", "retries", "reconnects")
	for _, p := range r.parts {
		row(w, p.name, p.saw.Calls, p.saw.Retries, p.saw.Reconnects)
	}
	row(w, "inventory, first life", "(what it saw is gone with it)")
	fmt.Fprintf(w, "%-22s %10s calls, %s for orders that it knew, %s writes to the disk\n",
		"inventory, second life", figure(r.second.Calls), figure(r.second.Repeated), figure(r.second.Commits))
}

// looked says what cache and limit did for those who looked at the window.
func (r *report) looked(w io.Writer) {
	cached := r.window.answers.Stats()
	row(w, "shop window", "answered", "by cache", "asked", "refused")
	row(w, figure(passersBy)+" passers-by, cached", r.window.looks.Load(), cached.Hits+cached.Shared, cached.Misses, "")
	row(w, "one who copies it", r.window.answered.Load(), "", r.window.answered.Load()+r.window.refused.Load(), r.window.refused.Load())
	fmt.Fprintf(w, "(the cache keeps a list for %s, and the inventory lists its stock %d times a second)\n", freshFor, listsPerSecond)
}

// scraped is what Prometheus would see of the inventory's second life.
func (r *report) scraped(w io.Writer) {
	row(w, "inventory's metrics", "ok", "refused", "mean")
	for _, m := range r.metrics.methods {
		row(w, m.name, m.ok, m.refused, round(m.mean))
	}
	fmt.Fprintf(w, "(%s KiB read, %s KiB written; scraped from %s)\n", figure(r.metrics.read/1024), figure(r.metrics.written/1024), r.metrics.url)
}

// streamed says what went through streams.
func (r *report) streamed(w io.Writer) {
	board, again := r.d.board.saw(), r.again.report
	row(w, "Inventory.Watch", "items", "streams", "levels")
	row(w, "board of the stock", len(r.items), board.streams, board.levels)
	fmt.Fprintln(w, "(a killed server ends its stream; the board opens another)")
	row(w, "Orders.Import", "orders", "ordered", "refused")
	row(w, "all, in one stream", len(r.d.list), again.Placed, len(r.d.list)-again.Placed)
	fmt.Fprintf(w, "(sent once more, in %s: the same answers, nothing new)\n", round(r.again.took))
}

// stock is the books, item by item.
func (r *report) stock(w io.Writer) {
	row(w, "units of", "at first", "ordered", "in stock")
	slices.SortStableFunc(r.items, func(a, b inventory.Item) int { return len(a.ID) - len(b.ID) }) // item2 before item10
	for _, item := range r.items {
		row(w, item.ID, r.books.stock[item.ID], item.Reserved, item.Left)
	}
}

// round rounds for reading: three digits or so.
func round(d time.Duration) time.Duration {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond)
	case d >= time.Second:
		return d.Round(10 * time.Millisecond)
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(10 * time.Microsecond)
}
