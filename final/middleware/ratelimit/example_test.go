package ratelimit_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	limits, err := ratelimit.New(
		ratelimit.Server(5000, 500),                      // all calls together
		ratelimit.Method("Inventory.CheckStock", 100, 2), // 100 a second, 2 at once
		ratelimit.Peer(ratelimit.Host, 200, 100),         // each host
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer(rpc.WithAuthorize(limits.Authorize))
	defer srv.Close()
	if err := srv.RegisterFunc("Inventory.CheckStock", func(item string) int { return 100 }); err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	begun := time.Now()
	for range 5 { // a call over the limit waits as long as the server asks
		if err := client.Call(ctx, "Inventory.CheckStock", "item1", nil); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println(limits.Stats().Allowed, "calls; at least 20 ms:", time.Since(begun) > 20*time.Millisecond)
	// Output: 5 calls; at least 20 ms: true
}
