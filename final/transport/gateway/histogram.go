package gateway

import (
	"math/bits"
	"time"
)

// What a histogram can tell apart: finest to begin with, then steps of a sixteenth.
const (
	finest  = 250 * time.Nanosecond
	steps   = 16 // in each doubling
	buckets = steps * 30
)

// histogram counts durations from 250 ns to half an hour in buckets that grow with
// them, so that what it tells is at most a sixteenth too much.
type histogram struct {
	counts [buckets]uint32
	total  uint32
}

func (h *histogram) add(d time.Duration) {
	h.counts[bucketOf(d)]++
	h.total++
}

// merge adds what other has counted.
func (h *histogram) merge(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
}

// quantile returns a duration that the share q of those counted does not exceed.
func (h *histogram) quantile(q float64) time.Duration {
	wanted := uint32(q*float64(h.total-1)) + 1
	seen := uint32(0)
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= wanted {
			return limitOf(i)
		}
	}
	return 0
}

// bucketOf returns the bucket of a duration. Up to 2*steps units of the finest
// there is one for each unit; from then on each doubling has steps of them.
func bucketOf(d time.Duration) int {
	units := uint64(max(d, 0) / finest)
	doublings := max(0, bits.Len64(units)-bits.Len64(steps))
	return min(steps*doublings+int(units>>doublings), buckets-1)
}

// limitOf returns the end of a bucket.
func limitOf(bucket int) time.Duration {
	doublings := max(0, bucket/steps-1)
	return time.Duration(bucket-steps*doublings+1) << doublings * finest
}
