package cmd

import (
	"os"

	"example.com/rpc-from-scratch/final/discovery/static"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// Orders is the program cmd/orders: it places orders with an inventory.
func Orders() {
	_, err := runOrders(os.Args[1:])
	exit("orders", err)
}

// runOrders serves until it is told to end, and returns what it saw. The
// inventory need not be there when it starts.
func runOrders(args []string) (saw seen, err error) {
	flags := newServerFlags("orders", "127.0.0.1:7002")
	addr := flags.String("inventory", "127.0.0.1:7001", "reserve from the inventory at this `address`")
	codec := codecFlag(flags.FlagSet, "speak this `codec` to the inventory")
	agent := discoveryFlag(flags.FlagSet, "find the inventory through the Consul agent at this `address`")
	parse(flags.FlagSet, args)
	if err := static.Check(*addr); err != nil {
		usageError(flags.FlagSet, "-inventory: %v", err)
	}
	discovery, err := discover(agent)
	if err != nil {
		return saw, err
	}

	var calls counter
	var retries orders.Retries
	var conns connections
	inventory := orders.Connect(&retries, resolver(discovery, inventoryService, *addr), rpc.WithCodec(*codec), rpc.WithObserver(&conns))
	defer inventory.Close()
	srv, err := newServer("orders", flags.codecs(), rpc.WithServerInterceptors(calls.count))
	if err == nil {
		err = orders.New(inventory).Register(srv)
	}
	if err == nil {
		err = serve(ended(*flags.untilEOF), srv, *flags.addr, &listing{})
	}
	return seen{Calls: calls.Load(), Retries: retries.Count(), Reconnects: conns.again(1)}, err
}
