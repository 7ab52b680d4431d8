package main

import (
	"context"
	"testing"
)

// The same small call as a Go benchmark, for profiles and benchstat: go test -run '^$' -bench . -cpuprofile cpu.pprof
func BenchmarkCheckStock(b *testing.B) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) { benchmarkCheckStock(b, p) })
	}
}

func benchmarkCheckStock(b *testing.B, p peer) {
	opened, err := openBench(p, workload{callers: 1, connections: 1}, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer opened.close()
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	c := checkStockCall(opened.clients[0])
	b.ReportAllocs()
	for b.Loop() {
		if err := c(ctx); err != nil {
			b.Fatal(err)
		}
	}
}
