package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"example.com/rpc-from-scratch/step07-inventory-app/inventory"
	"example.com/rpc-from-scratch/step07-inventory-app/orders"
	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// Shop is the program cmd/shop: it starts an inventory and an order service as
// processes, sends customers, and checks that the books balance.
//
// The processes are this program again, told by its first argument which part
// to play: so there is nothing to build or install first.
func Shop() {
	if len(os.Args) > 1 && os.Args[1] == "inventory" {
		runInventory(os.Args[2:])
	}
	if len(os.Args) > 1 && os.Args[1] == "orders" {
		runOrders(os.Args[2:])
	}
	flags := flag.NewFlagSet("shop", flag.ExitOnError)
	stockFile := flags.String("stock", "", "begin with the stock in this JSON `file`, not with the built-in one")
	ordersFile := flags.String("orders", "", "place the orders in this JSON `file`, not the built-in ones")
	customers := flags.Int("customers", 16, "how many customers order at once")
	parse(flags, os.Args[1:], 0, 0)
	if *customers < 1 {
		fmt.Fprintln(os.Stderr, "shop: want at least one customer")
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := openShop(ctx, *stockFile, *ordersFile, *customers)
	if ctx.Err() != nil {
		fmt.Println("interrupted, and the books are not closed")
		exit("shop", nil)
	}
	exit("shop", err)
}

// openShop starts the services, has all orders placed, and closes the books.
func openShop(ctx context.Context, stockFile, ordersFile string, customers int) error {
	stock, err := readStock(stockFile)
	if err != nil {
		return err
	}
	list, err := readOrders(ordersFile)
	if err != nil {
		return err
	}
	var args []string
	if stockFile != "" {
		args = []string{"-stock", stockFile}
	}
	store, err := startPart(ctx, "inventory", args...)
	if err != nil {
		return err
	}
	defer store.end()
	counter, err := startPart(ctx, "orders", "-inventory", store.addr)
	if err != nil {
		return err
	}
	defer counter.end()

	books := newBooks(stock)
	if err := serveCustomers(ctx, counter.addr, list, customers, books); err != nil {
		return err
	}
	items, err := listItems(ctx, store.addr)
	if err != nil {
		return err
	}
	books.print(os.Stdout, items)
	return errors.Join(books.check(items), counter.end(), store.end())
}

func readOrders(file string) ([]orders.Order, error) {
	data, err := orders.DefaultOrders, error(nil)
	if file != "" {
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, err
	}
	return orders.ParseOrders(data)
}

// serveCustomers has that many customers, each with a connection of its own,
// place the orders, and enters in the books what they are told.
func serveCustomers(ctx context.Context, addr string, list []orders.Order, customers int, books *books) error {
	queue := make(chan orders.Order)
	failed := make(chan error, customers)
	var wg sync.WaitGroup
	for range customers {
		wg.Go(func() { failed <- serveCustomer(ctx, addr, queue, books) })
	}
	for _, order := range list {
		queue <- order
	}
	close(queue)
	wg.Wait()
	close(failed)
	var errs []error
	for err := range failed {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// serveCustomer places orders until there are no more. After a failure it still
// takes orders from the queue, so that the shop does not wait for ever.
func serveCustomer(ctx context.Context, addr string, queue <-chan orders.Order, books *books) error {
	client, err := rpc.Dial(ctx, addr)
	if err == nil {
		defer client.Close()
	}
	for order := range queue {
		if err != nil {
			continue
		}
		var receipt orders.Receipt
		placeErr := client.Call(ctx, "Orders.PlaceOrder", order, &receipt)
		if remote := new(rpc.Error); placeErr != nil && (!errors.As(placeErr, &remote) || remote.Code == "") {
			err = placeErr // nobody knows whether the order was placed
			continue
		}
		books.enter(order, receipt, placeErr)
	}
	return err
}

func listItems(ctx context.Context, addr string) (items []inventory.Item, err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	err = client.Call(ctx, "Inventory.List", nil, &items)
	return items, err
}
