package demo

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/internal/shop"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

const orderServers = 3

// Main runs the program and exits. With a discover it has the flag -consul: then the
// inventory server may come back at another address.
func Main(discover program.Discover) {
	playRole(discover)
	flags := flag.NewFlagSet("demo", flag.ExitOnError)
	n := flags.Int("orders", 10_000, "place this `number` of orders")
	customers := flags.Int("customers", 64, "let this `number` of customers order at the same time")
	seed := flags.Uint64("seed", 1, "the orders are the same for the same `seed`")
	codec := program.CodecFlag(flags, "let customers and servers speak this `codec`")
	agent := program.NewAgentFlag(flags, discover, "let the order servers find the inventory through the Consul agent at this `address`")
	program.Parse(flags, os.Args[1:])
	discovery, err := agent.Open()
	if err != nil {
		program.Exit("demo", err)
	}
	if *n < 2 {
		program.UsageError(flags, "-orders %d: want at least 2", *n)
	}
	if *customers < 1 {
		program.UsageError(flags, "-customers %d: want at least 1", *customers)
	}
	d := &demo{
		list: planOrders(*n, *customers, *seed), customers: *customers, codec: *codec, out: os.Stdout,
		discovery: discovery, findBy: agent.Args(),
	}
	program.Exit("demo", d.run(program.Ended(false)))
}

// A demo is one run. It belongs to one goroutine, apart from what the customers do.
type demo struct {
	list      []wish
	customers int
	codec     rpc.Codec // of all connections
	out       io.Writer
	discovery program.Discovery // nil without Consul
	findBy    []string          // the parts' flags for it

	dir       string // of the database
	inventory *part
	servers   []*part
	killed    time.Time // when the inventory server was killed
	back      time.Time // when it listened again
}

// run opens the shop, has all orders placed, closes it and balances the books.
// Nothing of it is left when run returns: no process, no file.
func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "rpc-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	defer d.killAll()

	books := newLedger(planStock(d.list))
	if err := d.open(books.stock); err != nil {
		return err
	}
	begun := time.Now()
	visitors, w, err := d.trade(ctx, books)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	metrics, err := scrape(ctx, d.inventory.page)
	if err != nil {
		return err
	}
	return d.account(books, report{parts: []partRow{visitors}, window: w, metrics: metrics, took: took})
}

// account closes the shop, adds what it says at the end to the report, prints that,
// and balances the books.
func (d *demo) account(books *ledger, r report) error {
	servers, second, err := d.close()
	if err != nil {
		return err
	}
	items, records, err := readBooks(d.database())
	if err != nil {
		return err
	}
	r.d, r.books, r.second, r.items = d, books, second, items
	r.parts = append(r.parts, servers...)
	r.print(d.out)
	if err := books.balance(d.list, items, records); err != nil {
		return fmt.Errorf("the books do not balance:\n%w", err)
	}
	fmt.Fprintln(d.out, "books balance")
	return nil
}

func (d *demo) database() string { return filepath.Join(d.dir, "inventory.db") }

// open starts the inventory server with that stock, and the order servers.
func (d *demo) open(stock map[string]int) error {
	data, err := json.Marshal(stock)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.stockFile(), data, 0o600); err != nil {
		return err
	}
	if err := d.startInventory("127.0.0.1:0"); err != nil {
		return err
	}
	for range orderServers {
		p, err := startPart("orders", "127.0.0.1:0", append(d.findBy, "-inventory", d.inventory.addr, "-codec", d.codec.Name(), d.gob())...)
		if err != nil {
			return err
		}
		d.servers = append(d.servers, p)
	}
	fmt.Fprintf(d.out, "inventory server on %s, %s order servers, %s customers\n", d.inventory.addr, figure(orderServers), figure(d.customers))
	return nil
}

func (d *demo) stockFile() string { return filepath.Join(d.dir, "stock.json") }

func (d *demo) startInventory(addr string) (err error) {
	d.inventory, err = startPart("inventory", addr, append(d.findBy, "-db", d.database(), "-stock", d.stockFile(), d.gob(),
		"-metrics", "127.0.0.1:0", "-list-limit", fmt.Sprint(listsPerSecond))...)
	return err
}

// gob is the servers' flag about gob, which only a demo that speaks it wants.
func (d *demo) gob() string { return fmt.Sprintf("-gob=%t", d.codec == rpc.Gob) }

// trade has the customers place all orders while others look at the window and,
// when half of the orders are answered, kills the inventory server and starts it
// again.
func (d *demo) trade(ctx context.Context, books *ledger) (row partRow, w *window, err error) {
	w, err = newWindow(program.Resolver(d.discovery, shop.InventoryService, d.inventory.addr), d.codec)
	if err != nil {
		return row, nil, err
	}
	defer w.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.open(ctx)
	show := newProgress(os.Stderr, d.out, len(d.list))
	half := make(chan struct{})
	c := newCustomers(d.servers, d.codec, books, func(answered int) {
		show.step()
		if answered == len(d.list)/2 {
			close(half)
		}
	})
	defer c.pool.Close()

	var crash sync.WaitGroup
	crash.Go(func() {
		select {
		case <-half:
			if err := d.crash(ctx, show); err != nil {
				cancel(err)
			}
		case <-ctx.Done():
		}
	})
	if err = c.placeAll(ctx, d.customers, d.list); err != nil {
		cancel(err)
	}
	crash.Wait()
	show.finish()
	return partRow{"customers", c.saw()}, w, err
}

// crash kills the inventory server and starts it again, on the same database and
// the same address. With Consul it gets another address, which only Consul knows.
func (d *demo) crash(ctx context.Context, show progress) error {
	addr := d.inventory.addr
	if d.discovery != nil {
		addr = "127.0.0.1:0"
	}
	d.killed = time.Now()
	d.inventory.kill()
	show.note("killed the inventory server, without warning")
	err := d.startInventory(addr)
	// The port may be in use for a moment: by one of the connections that are
	// tried to the server that is not there.
	for tries := 1; err != nil && tries < 10 && pause(ctx, 200*time.Millisecond); tries++ {
		err = d.startInventory(addr)
	}
	if err != nil {
		return err
	}
	d.back = time.Now()
	where := ""
	if d.discovery != nil {
		where = fmt.Sprintf(", on %s, where Consul finds it", d.inventory.addr)
	}
	show.note(fmt.Sprintf("started it again%s: it was away for %s", where, round(d.back.Sub(d.killed))))
	return nil
}

// pause waits for d; false means that ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// close ends the shop, the servers before what they use, and returns what each
// order server saw, and the inventory server.
func (d *demo) close() (rows []partRow, inventory shop.Seen, err error) {
	for i, p := range d.servers {
		saw, err := p.end()
		if err != nil {
			return nil, inventory, err
		}
		rows = append(rows, partRow{fmt.Sprintf("order server %d", i+1), saw})
	}
	inventory, err = d.inventory.end()
	return rows, inventory, err
}

// killAll ends what still runs.
func (d *demo) killAll() {
	for _, p := range append(d.servers, d.inventory) {
		if p != nil {
			p.kill()
		}
	}
}

// readBooks reads the database itself, now that no server has it open.
func readBooks(path string) (items []inventory.Item, records []inventory.Reservation, err error) {
	inv, err := inventory.Open(path, nil)
	if err != nil {
		return nil, nil, err
	}
	defer inv.Close()
	list, err := inv.List(context.Background(), &inventory.ListRequest{})
	if err != nil {
		return nil, nil, err
	}
	err = inv.Reservations(func(r inventory.Reservation) error {
		records = append(records, r)
		return nil
	})
	return list.Items, records, err
}
