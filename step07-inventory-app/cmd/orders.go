package cmd

import (
	"context"
	"os"
	"time"

	"example.com/rpc-from-scratch/step07-inventory-app/orders"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// Orders is the program cmd/orders: it places orders with an inventory.
func Orders() { runOrders(os.Args[1:]) }

func runOrders(args []string) {
	flags := newServerFlags("orders")
	addr := flags.String("inventory", "127.0.0.1:8081", "reserve from the inventory at this `address`")
	flags.parse(args)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, *addr)
	if err != nil {
		exit("orders", err)
	}
	exit("orders", flags.serve("Orders", orders.New(client)))
}
