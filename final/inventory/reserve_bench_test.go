package inventory

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
)

// BenchmarkReserve is how long a reservation takes until it is on the disk, with
// one caller and with many, who share commits.
func BenchmarkReserve(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			inv := openTest(b, map[string]int{"item1": 1 << 30})
			var orders atomic.Int64
			reserve := func() {
				order := fmt.Sprint(orders.Add(1))
				if _, err := inv.Reserve(b.Context(), &ReserveRequest{Order: order, Lines: []Line{{"item1", 1}}}); err != nil {
					b.Error(err)
				}
			}
			b.ReportAllocs()
			if callers == 1 {
				for b.Loop() {
					reserve()
				}
				return
			}
			b.SetParallelism(callers / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					reserve()
				}
			})
		})
	}
}
