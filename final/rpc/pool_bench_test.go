package rpc

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Choosing alone: no connection is used.
func BenchmarkPool_Pick(b *testing.B) {
	for _, balancing := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		for _, servers := range []int{1, 3, 16, 100} {
			b.Run(fmt.Sprintf("%s/%d", balancing, servers), func(b *testing.B) {
				var addrs StaticResolver
				for i := range servers {
					addrs = append(addrs, fmt.Sprintf("server%d", i))
				}
				pool := NewPool(addrs, WithBalancing(balancing))
				defer pool.Close()
				pool.update(addrs)
				for _, c := range *pool.members.Load() {
					c.conn.Store(&clientConn{})
					defer c.conn.Store(nil)
				}
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if pool.choose(*pool.members.Load(), nil) == nil {
							b.Error("no server")
							return
						}
					}
				})
			})
		}
	}
}

func BenchmarkPool(b *testing.B) {
	var addrs StaticResolver
	for range 3 {
		addrs = append(addrs, listen(b, newBenchServer(b)))
	}
	pool := NewPool(addrs)
	defer pool.Close()
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	benchCalls(b, func() error {
		_, err := quickStock.Call(ctx, pool, &stockRequest{Item: "item1"})
		return err
	})
}
