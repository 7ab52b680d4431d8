package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

type CheckStockRequest struct{ Item string }
type CheckStockReply struct{ Count int }

var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")

func Example() {
	srv := rpc.NewServer()
	err := CheckStock.Handle(srv, func(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
		if req.Item != "item1" {
			return nil, rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		}
		return &CheckStockReply{Count: 100}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item1"})
	fmt.Println(reply.Count, err)
	_, err = CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item9"})
	fmt.Println(err, errors.Is(err, rpc.NotFound))

	fmt.Println(client.Close(), srv.Shutdown(ctx), <-served)
	// Output:
	// 100 <nil>
	// not_found: unknown item: item9 true
	// <nil> <nil> rpc: server closed
}
