package shop

import (
	"os"

	"example.com/rpc-from-scratch/final/discovery/static"
	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// Orders is the program cmd/orders: it places orders with an inventory.
func Orders() {
	_, err := RunOrders(os.Args[1:], nil)
	program.Exit("orders", err)
}

// RunOrders runs the program with args: it serves until it is told to end, and returns
// what it saw. Wrong usage ends the process. The inventory need not be there when it
// starts, and is found through a discovery if the flags say so.
func RunOrders(args []string, discover program.Discover) (saw Seen, err error) {
	flags := program.NewServerFlags("orders", "127.0.0.1:7002")
	addr := flags.String("inventory", "127.0.0.1:7001", "reserve from the inventory at this `address`")
	codec := program.CodecFlag(flags.FlagSet, "speak this `codec` to the inventory")
	agent := program.NewAgentFlag(flags.FlagSet, discover, "find the inventory through the Consul agent at this `address`")
	reach := program.NewClientFlags(flags.FlagSet, "inventory")
	program.Parse(flags.FlagSet, args)
	flags.CheckListen("addr", *flags.Addr, true)
	if err := static.Check(*addr); err != nil {
		program.UsageError(flags.FlagSet, "-inventory: %v", err)
	}
	secure, err := flags.Secure()
	if err != nil {
		return saw, err
	}
	how, err := reach.Options()
	if err != nil {
		return saw, err
	}
	discovery, err := agent.Open()
	if err != nil {
		return saw, err
	}

	var calls counter
	var retries orders.Retries
	var conns Connections
	inventory := orders.Connect(&retries, program.Resolver(discovery, InventoryService, *addr), rpc.WithCodec(*codec), rpc.WithObserver(conns.Observer()), rpc.WithClientOptions(how...))
	defer inventory.Close()
	srv, err := flags.NewServer(secure, rpc.WithServerMiddleware(rpc.PassStreams(calls.count)))
	if err == nil {
		err = orders.New(inventory).Register(srv)
	}
	if err == nil {
		err = program.Serve(program.Ended(*flags.UntilEOF), srv, *flags.Addr, &program.Listing{})
	}
	return Seen{Calls: calls.Load(), Retries: retries.Count(), Reconnects: conns.Again(1)}, err
}
