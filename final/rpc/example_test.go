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
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Count)
	_, err = CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item9"})
	fmt.Println(err, errors.Is(err, rpc.NotFound))

	fmt.Println(client.Close(), srv.Shutdown(ctx), <-served)
	// Output:
	// 100
	// not_found: unknown item: item9 true
	// <nil> <nil> rpc: server closed
}

// Warehouse is published by reflection: its methods take a context and/or one
// value, and return a result, an error, or both.
type Warehouse struct{}

func (Warehouse) Add(p [2]int) int { return p[0] + p[1] }
func (Warehouse) Close() error     { return nil } // takes nothing: not published

func ExampleServer_Register() {
	srv := rpc.NewServer()
	if err := srv.Register("Warehouse", Warehouse{}); err != nil {
		fmt.Println(err)
	}
	for _, m := range srv.Methods() {
		fmt.Println(m.Name, m.Params, m.Reply)
	}
	// Output: Warehouse.Add [2]int int
}

func ExampleServerInterceptor() {
	count := func(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
		calls := 0 // made once per method
		return func(ctx context.Context, params any) (any, error) {
			calls++
			fmt.Println(info.Name, calls)
			return next(ctx, params)
		}
	}
	srv := rpc.NewServer(rpc.WithServerInterceptors(count))
	if err := srv.Register("Warehouse", Warehouse{}); err != nil {
		fmt.Println(err)
	}
	sum, err := srv.Invoke(context.Background(), rpc.Invocation{Method: "Warehouse.Add", Codec: rpc.JSON, Params: []byte(`[1,2]`), Peer: &rpc.Peer{}})
	fmt.Println(string(sum), err)
	// Output:
	// Warehouse.Add 1
	// 3 <nil>
}

func ExampleSetHeader() {
	srv := rpc.NewServer()
	err := CheckStock.Handle(srv, func(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
		if err := rpc.SetHeader(ctx, rpc.Metadata{"as-of": "2026-11-30"}); err != nil {
			return nil, err
		}
		return &CheckStockReply{Count: 100}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer srv.Close()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	client := rpc.NewClient(near)
	defer client.Close()

	var header rpc.Metadata
	reply, err := CheckStock.Call(rpc.ReceiveHeader(context.Background(), &header), client, &CheckStockRequest{Item: "item1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Count, header["as-of"])
	// Output: 100 2026-11-30
}

func ExampleErrorf() {
	err := rpc.Errorf(rpc.FailedPrecondition, "only %d left", 3)
	err.Details = map[string]string{"item": "item1"}
	fmt.Println(errors.Is(err, rpc.FailedPrecondition), rpc.CodeOf(err), err.Details["item"])
	// Output: true failed_precondition item1
}
