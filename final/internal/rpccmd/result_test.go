package rpccmd

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestResult_AddsUpAndPrints(t *testing.T) {
	one, other := newResult(), newResult()
	for range 3 {
		one.record(100*time.Microsecond, nil)
	}
	one.record(0, rpc.Errorf(rpc.Unavailable, "away"))
	other.record(900*time.Microsecond, nil)
	other.record(0, rpc.Errorf(rpc.Unavailable, "still away"))
	other.record(0, rpc.NotFound)
	one.add(other)
	one.took = 2 * time.Second
	one.interrupted = true

	var out bytes.Buffer
	require.NoError(t, one.print(&out, "Test"))
	assert.Equal(t, `Test, for 2s (interrupted)

calls    4
calls/s  2
failed   3
  1      not_found
  2      unavailable: away

latency
  mean   300µs
  p50    100µs
  p90    901µs
  p95    901µs
  p99    901µs
  p99.9  901µs
  max    901µs

  ≤ 128µs   3  ████████████████████████████████████████
  ≤ 256µs   0  
  ≤ 512µs   0  
  ≤ 1.02ms  1  █████████████
`, out.String())
	assert.EqualError(t, one.failure(), "3 calls failed")
}

func TestResult_LargeCountsHaveSeparators(t *testing.T) {
	r := newResult()
	require.NoError(t, r.latencies.RecordValues(int64(100*time.Microsecond), 1234567))
	r.failed[rpc.Unavailable] = 1000
	r.example[rpc.Unavailable] = rpc.Unavailable
	r.took = time.Second

	var out bytes.Buffer
	require.NoError(t, r.print(&out, count(65536, "caller")))
	assert.Contains(t, out.String(), "65,536 callers, for 1s\n")
	assert.Contains(t, out.String(), "calls    1,234,567\ncalls/s  1,234,567\nfailed   1,000\n  1,000  unavailable")
	assert.Contains(t, out.String(), "≤ 128µs  1,234,567  █")
	assert.EqualError(t, r.failure(), "1,000 calls failed")
}

func TestResult_WithoutCallsHasNoLatencies(t *testing.T) {
	r := newResult()
	r.took = time.Second
	var out bytes.Buffer
	require.NoError(t, r.print(&out, "Test"))
	assert.Equal(t, "Test, for 1s\n\ncalls    0\ncalls/s  0\nfailed   0\n", out.String())
	assert.NoError(t, r.failure())
}

// Latencies that the histogram has no room for count as the nearest it has.
func TestResult_KeepsWhatIsOutOfRange(t *testing.T) {
	r := newResult()
	r.record(0, nil)
	r.record(-time.Second, nil)
	r.record(time.Hour, nil)
	assert.EqualValues(t, 3, r.latencies.TotalCount())
	list := bars(r.latencies)
	assert.EqualValues(t, 2, list[0].calls)
	assert.EqualValues(t, 1, list[len(list)-1].calls)
}

func TestReadable_KeepsThreeDigits(t *testing.T) {
	assert.Equal(t, "1.23ms", readable(1234567).String())
	assert.Equal(t, "999ns", readable(999).String())
	assert.Equal(t, "12.3s", readable(12345678901).String())
	assert.Equal(t, "0s", readable(0).String())
}
