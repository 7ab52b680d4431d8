package history_test

import (
	"context"
	"fmt"
	"time"

	"example.com/rpc-from-scratch/final/internal/history"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// A shop with one unit tells two customers that it is theirs.
func Example() {
	shop := rpc.CallerFunc(func(context.Context, string, any, any) error { return nil })
	var recorder history.Recorder
	client := recorder.Intercept(shop) // or rpc.WithClientInterceptors(recorder.Intercept)
	for _, order := range []string{"a", "b"} {
		reply := &inventory.ReserveReply{Units: 1}
		client.Call(context.Background(), inventory.Reserve.Name(), &inventory.ReserveRequest{
			Order: order, Lines: []inventory.Line{{Item: "item1", Quantity: 1}},
		}, reply)
	}

	for _, stock := range []int{2, 1} {
		err := history.Check(map[string]int{"item1": stock}, recorder.Calls(), time.Minute)
		fmt.Printf("%d in stock: it is true: %t\n", stock, err == nil)
	}
	// Output:
	// 2 in stock: it is true: true
	// 1 in stock: it is true: false
}
