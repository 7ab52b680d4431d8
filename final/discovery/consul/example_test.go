package consul_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/discovery/consul"
	"example.com/rpc-from-scratch/final/rpc"
)

var checkStock = rpc.Method[string, int]("Inventory.CheckStock")

// A server and its client, which find each other through the Consul agent at
// 127.0.0.1:8500, or at CONSUL_HTTP_ADDR. It prints
//
//	100 <nil>
//	<nil>
//
// and TestExample runs it against a real Consul.
func Example() {
	client, err := consul.NewClient(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()

	// The server: listen, then register.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer()
	defer srv.Close()
	err = checkStock.Handle(srv, func(context.Context, *string) (*int, error) {
		count := 100
		return &count, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)
	reg, err := consul.Register(context.Background(), client, consul.Service{Name: "example", Addr: ln.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The client, in another process.
	pool := rpc.NewPool(&consul.Resolver{Client: client, Service: "example"})
	defer pool.Close()
	item := "item1"
	count, err := checkStock.Call(ctx, pool, &item)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(*count, err)

	// The server's end: out of Consul, a moment for clients to hear, calls in flight.
	fmt.Println(reg.Shutdown(ctx, srv, 100*time.Millisecond))
}
