package introspect_test

import (
	"context"
	"fmt"
	"net"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	srv := rpc.NewServer()
	defer srv.Close()
	err := srv.RegisterFunc("Inventory.CheckStock", func(item string) (int, error) { return 100, nil })
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := health.Register(srv)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := introspect.Register(srv, h); err != nil {
		fmt.Println(err)
		return
	}

	near, far := net.Pipe()
	go srv.ServeConn(far)
	client := rpc.NewClient(near)
	defer client.Close()
	reply, err := introspect.List.Call(context.Background(), client, &introspect.ListRequest{Service: "Inventory"})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, service := range reply.GetServices() {
		fmt.Println(service.GetName(), service.GetStatus())
		for _, m := range service.GetMethods() {
			fmt.Printf("  %s takes %s and returns %s\n", m.GetName(), m.GetParams(), m.GetReply())
		}
	}
	// Output:
	// Inventory serving
	//   Inventory.CheckStock takes string and returns int
}
