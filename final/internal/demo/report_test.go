package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/internal/shop"
	"example.com/rpc-from-scratch/final/orders"
)

func TestPercentile_IsAValueThatWasMeasured(t *testing.T) {
	var hundred []time.Duration
	for i := range 100 {
		hundred = append(hundred, time.Duration(i+1))
	}
	for share, want := range map[float64]time.Duration{0.5: 50, 0.9: 90, 0.99: 99, 0.999: 100, 1: 100} {
		assert.Equal(t, want, percentile(hundred, share))
	}
	assert.Equal(t, time.Duration(7), percentile([]time.Duration{7}, 0.5))
	assert.Zero(t, percentile(nil, 0.5))
}

func TestPlanOrders_AreTheSameForTheSameSeed(t *testing.T) {
	list := planOrders(1000, 64, 1)
	assert.Equal(t, list, planOrders(1000, 64, 1))
	assert.NotEqual(t, list, planOrders(1000, 64, 2))
	ids := map[string]bool{}
	for _, w := range list {
		assert.NotEmpty(t, w.Lines)
		ids[w.ID] = true
	}
	assert.Len(t, ids, 1000)
	stock := planStock(list)
	assert.Len(t, stock, items)
	assert.NotContains(t, stock, "unicorn")
}

func TestLines_SayWhenATenthIsDone(t *testing.T) {
	var out strings.Builder
	l := &lines{out: &out, orders: 20}
	for range 5 {
		l.step()
	}
	l.note("something happened")
	l.finish()
	assert.Equal(t, "2 of 20 orders answered\n4 of 20 orders answered\nsomething happened\n", out.String())
}

func TestReport_CountsAreForPeople(t *testing.T) {
	var out strings.Builder
	row(&out, "calls", 0, 999, 10_000, int64(1_234_567), uint64(20_000), 1e6, 0.4, "", time.Second)
	assert.Equal(t, []string{"calls", "0", "999", "10,000", "1,234,567", "20,000", "1,000,000", "0", "1s"}, strings.Fields(out.String()))

	out.Reset()
	l := &lines{out: &out, orders: 10_000}
	for range 1000 {
		l.step()
	}
	assert.Equal(t, "1,000 of 10,000 orders answered\n", out.String())

	out.Reset()
	r := &report{second: shop.Seen{Calls: 12_345, Repeated: 1_001, Commits: 6_789}}
	r.saw(&out)
	assert.Contains(t, out.String(), "12,345 calls, 1,001 for orders that it knew, 6,789 writes to the disk")

	out.Reset()
	r.metrics = &scraped{methods: []methodMetrics{{name: "Inventory.Reserve", ok: 2e6, refused: 1e3}}, read: 5 << 20, written: 1024}
	r.scraped(&out)
	assert.Contains(t, out.String(), " 2,000,000 ")
	assert.Contains(t, out.String(), " 1,000 ")
	assert.Contains(t, out.String(), "(5,120 KiB read, 1 KiB written")
}

func TestReport_AnswersStandUnderEachOther(t *testing.T) {
	var out strings.Builder
	r := &report{books: &ledger{}}
	r.answers(&out)
	for line := range strings.Lines(out.String()) {
		assert.Len(t, strings.TrimRight(line, "\n"), 33, line)
	}
}

// A terminal beside a browser has 60 columns.
func TestReport_StreamsAreNarrow(t *testing.T) {
	var out strings.Builder
	r := &report{d: &demo{list: make([]wish, 100_000), board: newBoard(nil)}, again: resent{&orders.ImportReport{Placed: 95_000}, 2560 * time.Millisecond}}
	r.d.board.seen = boardSeen{levels: 1_234_567, streams: 12}
	r.streamed(&out)
	for line := range strings.Lines(out.String()) {
		assert.LessOrEqual(t, len(strings.TrimRight(line, "\n")), 60, line)
	}
	assert.Regexp(t, `(?m)^board of the stock +0 +12 +1,234,567$`, out.String())
	assert.Regexp(t, `(?m)^all, in one stream +100,000 +95,000 +5,000$`, out.String())
}
