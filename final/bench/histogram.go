package main

import (
	"math/bits"
	"time"
)

const (
	// Each power of two of nanoseconds is cut into 1<<subBits buckets, so a reading is at most 1/64 off.
	subBits = 5

	// Durations of 2^maxBits ns, 68 s, and above share the last bucket.
	maxBits = 36

	histogramBuckets = (maxBits - subBits + 1) << subBits
)

// A histogram counts durations in buckets whose width grows with the duration. Not for concurrent use: each caller has one of
// its own, and they are added up when the callers have stopped.
type histogram struct {
	counts [histogramBuckets]uint32
}

func (h *histogram) record(d time.Duration) {
	h.counts[bucketOf(d)]++
}

func (h *histogram) add(other *histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
}

func (h *histogram) count() int {
	total := 0
	for _, n := range h.counts {
		total += int(n)
	}
	return total
}

// percentile returns the duration that p (0 to 1) of the calls did not exceed, and 0 when there were none.
func (h *histogram) percentile(p float64) time.Duration {
	rank := int(p * float64(h.count()))
	seen := 0
	for i, n := range h.counts {
		seen += int(n)
		if n > 0 && seen >= rank {
			return middleOf(i)
		}
	}
	return 0
}

// bucketOf numbers the buckets: the first 1<<subBits are a nanosecond wide, then each power of two has as many, ever wider.
func bucketOf(d time.Duration) int {
	ns := uint64(max(d, 0))
	shift := max(bits.Len64(ns)-subBits-1, 0)
	return min(shift<<subBits+int(ns>>shift), histogramBuckets-1)
}

// middleOf returns the middle of a bucket, the inverse of bucketOf.
func middleOf(bucket int) time.Duration {
	shift := max(bucket>>subBits-1, 0)
	low := uint64(bucket-shift<<subBits) << shift
	return time.Duration(low + uint64(1)<<shift/2)
}
