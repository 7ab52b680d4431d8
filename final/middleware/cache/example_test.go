package cache_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	var stock atomic.Int64
	stock.Store(100)
	srv := rpc.NewServer()
	defer srv.Close()
	err := srv.RegisterFunc("Inventory.CheckStock", func(item string) int64 { return stock.Load() })
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	answers, err := cache.New(cache.Method("Inventory.CheckStock", time.Minute))
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String(), rpc.WithClientInterceptors(answers.Intercept))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	check := func() {
		var count int
		err := client.Call(ctx, "Inventory.CheckStock", "item1", &count)
		fmt.Println(count, err)
	}
	check()
	stock.Store(99)
	check()
	if err := answers.Invalidate("Inventory.CheckStock", "item1"); err != nil {
		fmt.Println(err)
	}
	check()
	stats := answers.Stats()
	fmt.Println(stats.Hits, "from the cache,", stats.Misses, "from the server")
	// Output:
	// 100 <nil>
	// 100 <nil>
	// 99 <nil>
	// 1 from the cache, 2 from the server
}
