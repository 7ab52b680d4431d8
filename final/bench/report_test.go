package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is the results of a run in which a peer's rate is the rates of its rounds.
func sample(rates map[string][]float64) *results {
	r := &results{Machine: machine{CPUs: 2, CPU: "Test", OS: "linux", Arch: "amd64", Go: "go1.26.8", GOMAXPROCS: 2}}
	for name, each := range rates {
		for n, rate := range each {
			r.Rounds = append(r.Rounds, round{
				Peer: name, Workload: "c1", Cores: 2, Round: n + 1, CallsPerSec: rate,
				P50: time.Duration(rate) * time.Microsecond, P99: 2 * time.Duration(rate) * time.Microsecond,
				AllocsPerCall: rate / 100, CPUPerCall: time.Duration(rate) * time.Microsecond, Busy: 1.5,
			})
		}
	}
	return r
}

func TestResults_SummarizesByMedians(t *testing.T) {
	r := sample(map[string][]float64{netRPC.name: {300, 100, 900}, grpcPeer.name: {100, 300}})
	odd, ok := r.summarize(netRPC.name, "c1", 2)
	require.True(t, ok)
	want := round{Peer: netRPC.name, Workload: "c1", Cores: 2, CallsPerSec: 300, P50: 300 * time.Microsecond, P99: 600 * time.Microsecond,
		AllocsPerCall: 3, CPUPerCall: 300 * time.Microsecond, Busy: 1.5}
	assert.Equal(t, want, odd)

	even, ok := r.summarize(grpcPeer.name, "c1", 2)
	require.True(t, ok)
	assert.Equal(t, 200.0, even.CallsPerSec)

	_, ok = r.summarize(netRPC.name, "c64", 2)
	assert.False(t, ok)
	_, ok = r.summarize(netRPC.name, "c1", 1)
	assert.False(t, ok)
}

func TestResults_FastestPeerIsNeitherOursNorTheFloor(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {900}, rawTCP.name: {800}, netRPC.name: {300}, grpcPeer.name: {100}})
	s, ok := r.fastest("c1", 2)
	assert.True(t, ok)
	assert.Equal(t, netRPC.name, s.Peer)
	assert.Equal(t, 300.0, s.CallsPerSec)

	_, ok = r.fastest("c64", 2)
	assert.False(t, ok)
}

func TestReport_HasTheFiguresAndTheSetups(t *testing.T) {
	r := sample(map[string][]float64{oursProtobuf: {24000}, oursGob: {12345}, netRPC.name: {12345}, grpcPeer.name: {999}})
	r.Rounds = append(r.Rounds, round{Peer: netRPC.name, Workload: "c1", Cores: 1, CallsPerSec: 15000, CPUPerCall: 7 * time.Microsecond, Busy: 0.9})
	r.Wire = []wireCount{{Peer: netRPC.name, Workload: "c1", Sent: 40, Received: 38}}
	r.Idle = []idleCost{{Peer: netRPC.name, Connections: 10000, Server: memory{Go: 1024}, Client: memory{Go: 1536}}}
	r.IdleStreams = []idleCost{{Peer: grpcPeer.name, Connections: 10000, Server: memory{Go: 3072, Heap: 1024}, Client: memory{Go: 1536, Heap: 512}}}
	r.Rounds = append(r.Rounds,
		round{Peer: grpcPeer.name, Workload: "stream", Cores: 2, CallsPerSec: 21000, CPUPerCall: 3 * time.Microsecond, Busy: 1.5, AllocsPerCall: 14.5},
		round{Peer: oursProtobuf, Workload: "stream", Cores: 2, CallsPerSec: 42000, CPUPerCall: time.Microsecond, Busy: 1, AllocsPerCall: 2})
	r.Notes = []string{"a note"}
	r.Failures = []string{"a failure"}
	report := report(r)
	for _, want := range []string{
		"2 × Test, linux/amd64, go1.26.8, 0001-01-01",
		"|  | 2 cores: calls/s | CPU/call | busy | p50 | p99 | 1 core: calls/s | CPU/call | busy |",
		"| net/rpc (m) | 12,345 | 12.35 ms | 1.50 | 12.35 ms | 24.69 ms | 15,000 | 7.0 µs | 0.90 |",
		"| gRPC-Go (m) | 999 | 999 µs | 1.50 | 999 µs | 2.00 ms | — | — | — |",
		"|      78 |",
		"| net/rpc |      10,000 | 1.0 KiB | 1.5 KiB | 2.5 KiB |",
		"### Targets: 1 of 4 reached",
		"| streams, protobuf / fastest peer | **2.00, gRPC-Go (≥ 3)** | | | |",
		"| streams, protobuf, allocations per message or round trip | 2.0 (≤ 3) | | | |",
		"| | 2 cores: messages/s | CPU/message | busy | 1 core: messages/s | CPU/message | busy |",
		"| gRPC-Go (m) | 21,000 | 3.0 µs | 1.50 | — | — | — |",
		"| gRPC-Go | 10,000 | 3.0 KiB | 1.5 KiB | 4.5 KiB | 1.5 KiB |",
		"| gob / net/rpc | **1.00 (≥ 1.4)** | | | | |",
		"windows of 1 MiB",
		"- a note", "- a failure",
	} {
		assert.Contains(t, squeeze(report), squeeze(want))
	}
	assert.NotContains(t, report, "| Thrift ", "a peer that did not run has no row")
}

func report(r *results) string {
	var b strings.Builder
	r.writeReport(&b)
	return b.String()
}

// squeeze makes a text independent of the columns' widths.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestReport_WritesItsFiles(t *testing.T) {
	r := sample(map[string][]float64{netRPC.name: {12345}, rawTCP.name: {99999}})
	folder := t.TempDir()
	require.NoError(t, r.writeFiles(folder))

	raw, err := os.ReadFile(filepath.Join(folder, "results.json"))
	require.NoError(t, err)
	var back results
	require.NoError(t, json.Unmarshal(raw, &back))
	assert.ElementsMatch(t, r.Rounds, back.Rounds)

	medians := readResults(t, filepath.Join(folder, "medians.json"))
	assert.Equal(t, report(r), report(medians), "medians are enough for the report")

	plot, err := os.ReadFile(filepath.Join(folder, "plot.svg"))
	require.NoError(t, err)
	assert.Contains(t, string(plot), "<svg")
	assert.Contains(t, string(plot), netRPC.name)
	assert.FileExists(t, filepath.Join(folder, "report.md"))
}

func TestReport_WithoutRoundsHasNoPlot(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, new(results).writeFiles(folder))
	assert.NoFileExists(t, filepath.Join(folder, "plot.svg"))
}

func TestTable_LinesUp(t *testing.T) {
	var b strings.Builder
	table{head: []string{"", "p50"}, rows: [][]string{{"a", "1.0 µs"}, {"long", "—"}}}.write(&b, "Title")
	assert.Equal(t, `
### Title

|      |    p50 |
| ---- | ------:|
| a    | 1.0 µs |
| long |      — |
`, b.String())
}

func TestShow(t *testing.T) {
	for n, want := range map[float64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		assert.Equal(t, want, showCount(n))
	}
	for d, want := range map[time.Duration]string{
		7 * time.Microsecond: "7.0 µs", 123456 * time.Nanosecond: "123 µs", 1234567 * time.Nanosecond: "1.23 ms",
	} {
		assert.Equal(t, want, showDuration(d))
	}
}
