package rpc_test

import (
	"context"
	"fmt"

	"example.com/rpc-from-scratch/final/rpc"
)

// Middleware of a server has an interceptor for calls and one for streams. This one prints
// what it has seen at the end of each.
func ExampleStreamInterceptor() {
	seen := rpc.ServerMiddleware{
		Unary: func(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
			return func(ctx context.Context, params any) (any, error) {
				result, err := next(ctx, params)
				fmt.Println(info.Name, rpc.CodeOf(err))
				return result, err
			}
		},
		Stream: func(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
			return func(ctx context.Context, params any, s rpc.Stream) error {
				err := next(ctx, params, s)
				fmt.Println(info.Name, s.Stats().Sent, "items", rpc.CodeOf(err))
				return err
			}
		},
	}
	srv := rpc.NewServer(rpc.WithServerMiddleware(seen))
	err := Watch.Handle(srv, func(ctx context.Context, req *WatchRequest, out *rpc.Sender[StockChange]) error {
		if err := out.Send(ctx, &StockChange{Item: req.Item, Count: 3}); err != nil {
			return err
		}
		return rpc.Errorf(rpc.Unavailable, "the stock is closed")
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := serve(srv)
	defer client.Close()

	changes, err := Watch.Open(context.Background(), client, &WatchRequest{Item: "item1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer changes.Close()
	for change, err := range changes.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(change.Item, change.Count)
	}
	// Unordered output:
	// item1 3
	// Inventory.Watch 1 items unavailable
	// unavailable: the stock is closed
}
