package rpc

import (
	"context"
	"fmt"
	"sync"
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
				pool := newPool(b, addrs, WithBalancing(balancing))
				pool.update(addrs)
				for _, c := range *pool.members.Load() {
					c.conn.Store(&clientConn{})
					defer c.conn.Store(nil)
				}
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if pool.choose(*pool.members.Load(), nil, false) == nil {
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
	pool := newPool(b, addrs)
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	benchCalls(b, func() error {
		_, err := quickStock.Call(ctx, pool, &stockRequest{Item: "item1"})
		return err
	})
}

// A free connection looks for a call in vain, while so many wait that its server has
// refused: that does not depend on how many they are.
func BenchmarkQueue_CallsThatHaveTriedTheMember(b *testing.B) {
	for _, waiting := range []int{1, 16_000} {
		b.Run(fmt.Sprint(waiting), func(b *testing.B) {
			refused := newModelMember()
			queue := &callQueue{limit: &waitingLimit{most: int64(waiting)}}
			for range waiting {
				if !queue.push(&waitingCall{tried: []*Client{refused}}) {
					b.Fatal("the queue is full")
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if queue.pop(refused, true, new(paramsRoom)) != nil {
					b.Fatal("a call went back to a server that it has tried")
				}
			}
		})
	}
}

// One call at a time, while so many others wait for its slot: what a call costs does
// not depend on the length of the queue.
func BenchmarkClient_OneSlot(b *testing.B) {
	for _, callers := range []int{1, 16_000} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			srv := NewServer(WithMaxInFlight(1))
			if err := srv.RegisterFunc("Test.Echo", func(n int) (int, error) { return n, nil }); err != nil {
				b.Fatal(err)
			}
			client := dial(b, listen(b, srv))
			ctx, cancel := context.WithCancel(b.Context())
			answered := make(chan error)
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for ctx.Err() == nil {
						err := client.Call(ctx, "Test.Echo", 1, nil)
						select {
						case answered <- err:
						case <-ctx.Done():
						}
					}
				})
			}
			for range callers { // until all have begun to wait
				<-answered
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := <-answered; err != nil {
					b.Fatal(err)
				}
			}
			cancel()
			wg.Wait()
		})
	}
}
