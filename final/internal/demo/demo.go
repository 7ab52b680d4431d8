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
	"slices"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/history"
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
	pace := flags.Int("pace", 0, "place at most this `number` of orders a second, and leave the killed server away for two; 0: as fast as they go")
	seed := flags.Uint64("seed", 1, "the orders are the same for the same `seed`")
	codec := program.CodecFlag(flags, "let customers and servers speak this `codec`")
	secure := flags.Bool("tls", false, "let all parts speak TLS, with certificates and a token that are made for this run")
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
	if *pace < 0 {
		program.UsageError(flags, "-pace %d: want 0 or more", *pace)
	}
	d := &demo{
		list: planOrders(*n, *customers, *seed), customers: *customers, pace: *pace, codec: *codec, secure: *secure, out: os.Stdout,
		discovery: discovery, findBy: agent.Args(),
	}
	program.Exit("demo", d.run(program.Ended(false)))
}

// A demo is one run. It belongs to one goroutine, apart from what the customers do.
type demo struct {
	list      []wish
	customers int
	pace      int       // orders a second at most; 0: no limit
	codec     rpc.Codec // of all connections
	secure    bool      // TLS and a token for all parts
	out       io.Writer
	discovery program.Discovery // nil without Consul
	findBy    []string          // the parts' flags for it

	dir       string // of the database
	safety    safety
	inventory *part
	servers   []*part
	board     *board
	killed    time.Time // when the inventory server was killed
	back      time.Time // when it listened again

	history history.Recorder // of all calls of the customers
}

// run opens the shop, has all orders placed, closes it and balances the books.
// Nothing of it is left when run returns: no process, no file.
func (d *demo) run(ctx context.Context) (err error) {
	if d.dir, err = os.MkdirTemp("", "rpc-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	defer d.killAll()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx) // whatever it interrupted
		}
	}()

	if d.secure {
		if d.safety, err = newSafety(d.dir); err != nil {
			return err
		}
	}
	books := newLedger(planStock(d.list))
	if err := d.open(books.stock); err != nil {
		return err
	}
	down, err := d.hangBoard(ctx)
	if err != nil {
		return err
	}
	defer down()
	begun := time.Now()
	visitors, w, err := d.trade(ctx, books)
	if err != nil {
		return err
	}
	took := time.Since(begun)
	metrics, err := scrape(ctx, d.safety.browser, d.inventory.page)
	if err != nil {
		return err
	}
	again, err := d.sendAgain(ctx, books)
	if err != nil {
		return err
	}
	return d.account(ctx, books, report{parts: []partRow{visitors}, window: w, metrics: metrics, took: took, again: again})
}

// hangBoard puts up the board, and waits until it shows the stock. down takes it down.
func (d *demo) hangBoard(ctx context.Context) (down func(), err error) {
	pool := rpc.NewPool(program.Resolver(d.discovery, shop.InventoryService, d.inventory.addr), rpc.WithCodec(d.codec), rpc.WithClientOptions(d.safety.clients...))
	d.board = newBoard(pool)
	following, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { d.board.follow(following) })
	down = func() {
		cancel()
		wg.Wait()
		pool.Close()
	}
	if err := d.board.settle(ctx); err != nil {
		down()
		return nil, err
	}
	return down, nil
}

// sendAgain sends all orders to an order server again, and compares its report with the books.
func (d *demo) sendAgain(ctx context.Context, books *ledger) (resent, error) {
	pool := rpc.NewPool(rpc.StaticResolver{d.servers[0].addr}, rpc.WithCodec(d.codec), rpc.WithClientOptions(d.safety.clients...))
	defer pool.Close()
	again, err := sendAgain(ctx, pool, d.list)
	if err != nil {
		return again, err
	}
	return again, books.confirm(again.report)
}

// account closes the shop, adds what it says at the end to the report, prints that,
// and balances the books.
func (d *demo) account(ctx context.Context, books *ledger, r report) error {
	servers, second, err := d.close(ctx)
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
	if err := errors.Join(books.balance(d.list, items, records), d.board.compare(items)); err != nil {
		return fmt.Errorf("the books do not balance:\n%w", err)
	}
	fmt.Fprintln(d.out, "books balance")
	return d.prove(books.stock, items)
}

// decideWithin bounds the search for an explanation of the history. For ten thousand
// orders it takes less than a second.
const decideWithin = time.Minute

// prove checks that what the customers were told, and what the database holds at the end,
// could come from a shop with one copy of the stock.
func (d *demo) prove(stock map[string]int, items []inventory.Item) error {
	d.history.Saw(items)
	calls := d.history.Calls()
	if err := history.Check(stock, calls, decideWithin); err != nil {
		return fmt.Errorf("the customers' history: %w", err)
	}
	fmt.Fprintf(d.out, "history of %s calls is linearizable\n", figure(len(calls)))
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
		args := slices.Concat(d.findBy, d.safety.serve, d.safety.reserve, []string{"-inventory", d.inventory.addr, "-codec", d.codec.Name(), d.gob()})
		p, err := startPart("orders", "127.0.0.1:0", args...)
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
	args := slices.Concat(d.findBy, d.safety.serve, []string{"-db", d.database(), "-stock", d.stockFile(), d.gob(),
		"-metrics", "127.0.0.1:0", "-list-limit", fmt.Sprint(listsPerSecond)})
	d.inventory, err = startPart("inventory", addr, args...)
	return err
}

// gob is the servers' flag about gob, which only a demo that speaks it wants.
func (d *demo) gob() string { return fmt.Sprintf("-gob=%t", d.codec == rpc.Gob) }

// trade has the customers place all orders while others look at the window and,
// when half of the orders are answered, kills the inventory server and starts it
// again.
func (d *demo) trade(ctx context.Context, books *ledger) (row partRow, w *window, err error) {
	w, err = newWindow(program.Resolver(d.discovery, shop.InventoryService, d.inventory.addr), d.codec, d.safety.clients)
	if err != nil {
		return row, nil, err
	}
	defer w.close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w.open(ctx)
	show := newProgress(os.Stderr, d.out, len(d.list))
	half := make(chan struct{})
	c := newCustomers(d.servers, d.codec, d.safety.clients, &d.history, books, func(answered int) {
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
	if err = c.placeAll(ctx, d.customers, d.pace, d.list); err != nil {
		cancel(err)
	}
	crash.Wait()
	show.finish()
	return partRow{"customers", c.saw()}, w, err
}

// awayFor is how long a demo with a pace leaves the killed server away.
const awayFor = 2 * time.Second

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
	if d.pace > 0 {
		pause(ctx, awayFor) // a room wants to see that orders wait
	}
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
// order server saw, and the inventory server. When the last order server has ended,
// the stock is final, and the board has to show it.
func (d *demo) close(ctx context.Context) (rows []partRow, inventory shop.Seen, err error) {
	for i, p := range d.servers {
		saw, err := p.end()
		if err != nil {
			return nil, inventory, err
		}
		rows = append(rows, partRow{fmt.Sprintf("order server %d", i+1), saw})
	}
	if err := d.board.settle(ctx); err != nil {
		return nil, inventory, err
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
