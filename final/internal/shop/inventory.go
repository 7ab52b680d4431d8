package shop

import (
	"errors"
	"os"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
)

// InventoryService is what the inventory is registered as.
const InventoryService = "inventory"

// Inventory is the program cmd/inventory: it serves an inventory.
func Inventory() {
	_, err := RunInventory(os.Args[1:], nil)
	program.Exit("inventory", err)
}

// inventoryFlags are the flags of cmd/inventory that say how it serves.
type inventoryFlags struct {
	program.ServerFlags
	http, metrics *string
	hosts         *string
	listLimit     *int
	consul        program.AgentFlag
}

// RunInventory runs the program with args: it serves until it is told to end, and returns
// what it saw. Wrong usage ends the process. The inventory can register with a discovery
// if there is one.
func RunInventory(args []string, discover program.Discover) (saw Seen, err error) {
	flags := inventoryFlags{ServerFlags: program.NewServerFlags("inventory", "127.0.0.1:7001")}
	file := flags.String("db", "inventory.db", "keep stock and reservations in this `file`")
	flags.http = flags.String("http", "", "serve HTTP clients such as curl on this `address`, and show a page, both under http://ADDRESS/rpc/; port 0 picks a free port")
	flags.metrics = flags.String("metrics", "", "serve metrics for Prometheus on this `address`, as http://ADDRESS/metrics; port 0 picks a free port")
	flags.hosts = flags.String("hosts", "", "let -http and -metrics answer only for localhost and these host `names`, separated by commas; default: any name, but on a loopback address only localhost")
	flags.listLimit = flags.Int("list-limit", 0, "let Inventory.List be called at most this `number` of times a second; 0: no limit")
	stockFile := flags.String("stock", "", "fill a new database with the stock in this JSON `file`; default: a built-in stock")
	flags.consul = program.NewAgentFlag(flags.FlagSet, discover, "register with the Consul agent at this `address`")
	program.Parse(flags.FlagSet, args)
	flags.CheckListen("addr", *flags.Addr, true)
	for name, addr := range map[string]string{"http": *flags.http, "metrics": *flags.metrics} {
		if addr != "" {
			flags.CheckListen(name, addr, false)
		}
	}
	if *flags.listLimit < 0 {
		program.UsageError(flags.FlagSet, "-list-limit %d: want 0 or more", *flags.listLimit)
	}
	if _, err := hostNames(*flags.hosts); err != nil {
		program.UsageError(flags.FlagSet, "-hosts: %v", err)
	}

	secure, err := flags.Secure()
	if err != nil {
		return saw, err
	}
	stock, err := readStock(*stockFile)
	if err != nil {
		return saw, err
	}
	inv, err := inventory.Open(*file, stock)
	if err != nil {
		return saw, err
	}
	var calls counter
	err = serveInventory(inv, &calls, flags, secure)
	counts, countErr := inv.Counts()
	saw = Seen{Calls: calls.Load(), Repeated: counts.Repeated, Commits: counts.Commits}
	return saw, errors.Join(err, countErr, inv.Close())
}

// serveInventory serves inv, and if asked to its metrics and HTTP clients, until it is told to end.
func serveInventory(inv *inventory.Inventory, calls *counter, flags inventoryFlags, secure program.Security) error {
	hosts, err := hostNames(*flags.hosts)
	if err != nil {
		return err
	}
	metrics, opts, err := newMetricsPage(*flags.metrics, hosts, secure)
	if err != nil {
		return err
	}
	defer metrics.close()
	page, watch, err := newCallsPage(*flags.http, hosts, secure)
	if err != nil {
		return err
	}
	defer page.close()
	opts = append(opts, watch...)
	if n := *flags.listLimit; n > 0 {
		limits, err := ratelimit.New(ratelimit.Method(inventory.List.Name(), float64(n), max(1, n/10)))
		if err != nil {
			return err
		}
		opts = append(opts, rpc.WithAuthorize(limits.Authorize))
	}
	discovery, err := flags.consul.Open()
	if err != nil {
		return err
	}
	srv, err := flags.NewServer(secure, append(opts, rpc.WithServerMiddleware(rpc.PassStreams(calls.count)))...)
	if err != nil {
		return err
	}
	if err := inv.Register(srv); err != nil {
		return err
	}
	place := &program.Listing{Discovery: discovery, Service: InventoryService}
	return program.Serve(program.Ended(*flags.UntilEOF), srv, *flags.Addr, place, metrics.serve, func() { page.serve(srv) })
}

// readStock reads the stock from a file, or the built-in one if file is empty.
func readStock(file string) (map[string]int, error) {
	data, err := inventory.DefaultStock, error(nil)
	if file != "" {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	return inventory.ParseStock(data)
}
