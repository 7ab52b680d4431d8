package cmd

import (
	"errors"
	"os"
	"strings"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
)

// Inventory is the program cmd/inventory: it serves an inventory.
func Inventory() {
	_, err := runInventory(os.Args[1:])
	exit("inventory", err)
}

// inventoryFlags are the flags of cmd/inventory that say how it serves.
type inventoryFlags struct {
	serverFlags
	http, metrics *string
	hosts         *string
	listLimit     *int
	consul        *string // nil where there is no Discover
}

// runInventory serves until it is told to end, and returns what it saw.
func runInventory(args []string) (saw seen, err error) {
	flags := inventoryFlags{serverFlags: newServerFlags("inventory", "127.0.0.1:7001")}
	file := flags.String("db", "inventory.db", "keep stock and reservations in this `file`")
	flags.http = flags.String("http", "", "serve HTTP clients such as curl on this `address`, and show a page, both under http://ADDRESS/rpc/; port 0 picks a free port")
	flags.metrics = flags.String("metrics", "", "serve metrics for Prometheus on this `address`, as http://ADDRESS/metrics; port 0 picks a free port")
	flags.hosts = flags.String("hosts", "", "let -http and -metrics answer only for localhost and these host `names`, separated by commas; default: any name, but on a loopback address only localhost")
	flags.listLimit = flags.Int("list-limit", 0, "let Inventory.List be called at most this `number` of times a second; 0: no limit")
	stockFile := flags.String("stock", "", "fill a new database with the stock in this JSON `file`; default: a built-in stock")
	flags.consul = discoveryFlag(flags.FlagSet, "register with the Consul agent at this `address`")
	parse(flags.FlagSet, args)
	if *flags.listLimit < 0 {
		usageError(flags.FlagSet, "-list-limit %d: want 0 or more", *flags.listLimit)
	}
	if _, err := hostNames(*flags.hosts); err != nil {
		usageError(flags.FlagSet, "-hosts: %v", err)
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
	err = serveInventory(inv, &calls, flags)
	counts, countErr := inv.Counts()
	saw = seen{Calls: calls.Load(), Repeated: counts.Repeated, Commits: counts.Commits}
	return saw, errors.Join(err, countErr, inv.Close())
}

// serveInventory serves inv, and if asked to its metrics and HTTP clients, until it is told to end.
func serveInventory(inv *inventory.Inventory, calls *counter, flags inventoryFlags) error {
	hosts, err := hostNames(*flags.hosts)
	if err != nil {
		return err
	}
	metrics, opts, err := newMetricsPage(*flags.metrics, hosts)
	if err != nil {
		return err
	}
	defer metrics.close()
	page, watch, err := newHTTPPage(*flags.http, hosts)
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
	discovery, err := discover(flags.consul)
	if err != nil {
		return err
	}
	srv, err := newServer("inventory", append(opts, flags.codecs(), rpc.WithServerInterceptors(calls.count))...)
	if err != nil {
		return err
	}
	if err := inv.Register(srv); err != nil {
		return err
	}
	place := &listing{discovery: discovery, service: inventoryService}
	return serve(ended(*flags.untilEOF), srv, *flags.addr, place, metrics.serve, func() { page.serve(srv) })
}

// hostNames splits a list of names and adds those of the machine for itself, which
// probes use. Of none it makes none. "*" is one that allows any.
func hostNames(list string) (names []string, err error) {
	if list == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		name := strings.TrimSpace(part)
		if err := misuse.CheckHost(name); err != nil && name != "*" {
			return nil, err
		}
		names = append(names, name)
	}
	return append(names, "localhost", "127.0.0.1", "::1"), nil
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
