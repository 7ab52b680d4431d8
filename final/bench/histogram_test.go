package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestHistogram_BucketsAreNearlyExact(t *testing.T) {
	for d := time.Duration(0); d < time.Minute; d += d/7 + 1 {
		assert.InDelta(t, d, middleOf(bucketOf(d)), float64(d)/64+1)
	}
}

func TestHistogram_BucketsRise(t *testing.T) {
	for i := 1; i < histogramBuckets; i++ {
		assert.Greater(t, middleOf(i), middleOf(i-1))
		assert.Equal(t, i, bucketOf(middleOf(i)))
	}
}

func TestHistogram_TakesWhatIsOutOfRange(t *testing.T) {
	assert.Equal(t, 0, bucketOf(-time.Second), "a clock that went back")
	assert.Equal(t, histogramBuckets-1, bucketOf(time.Hour))
}

func TestHistogram_Percentiles(t *testing.T) {
	var h, other histogram
	for i := range 900 {
		h.record(time.Duration(i+1) * time.Microsecond)
	}
	for i := range 100 {
		other.record(time.Duration(i+901) * time.Microsecond)
	}
	h.add(&other)
	assert.Equal(t, 1000, h.count())
	assert.InEpsilon(t, 500*time.Microsecond, h.percentile(0.50), 0.02)
	assert.InEpsilon(t, 990*time.Microsecond, h.percentile(0.99), 0.02)
}

func TestHistogram_EmptyHasNoPercentile(t *testing.T) {
	assert.Zero(t, new(histogram).percentile(0.99))
}
