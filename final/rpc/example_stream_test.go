package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"

	"example.com/rpc-from-scratch/final/rpc"
)

type WatchRequest struct{ Item string }
type StockChange struct {
	Item  string
	Count int
}
type Order struct{ Units int }
type ImportReport struct{ Orders, Units int }
type Change struct{ Count int }

var (
	Watch  = rpc.ServerStream[WatchRequest, StockChange]("Inventory.Watch")
	Import = rpc.ClientStream[Order, ImportReport]("Orders.Import")
	Sync   = rpc.BidiStream[Change, Change]("Inventory.Sync")
)

// serve connects a client to srv.
func serve(srv *rpc.Server) *rpc.Client {
	near, far := net.Pipe()
	go srv.ServeConn(far)
	return rpc.NewClient(near)
}

func ExampleServerStream() {
	srv := rpc.NewServer()
	err := Watch.Handle(srv, func(ctx context.Context, req *WatchRequest, out *rpc.Sender[StockChange]) error {
		for count := 3; count > 0; count-- {
			if err := out.Send(ctx, &StockChange{Item: req.Item, Count: count}); err != nil {
				return err
			}
		}
		return nil
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
	// Output:
	// item1 3
	// item1 2
	// item1 1
}

func ExampleClientStream() {
	srv := rpc.NewServer()
	err := Import.Handle(srv, func(ctx context.Context, in *rpc.Receiver[Order]) (*ImportReport, error) {
		report := new(ImportReport)
		for order, err := range in.All() {
			if err != nil {
				return nil, err
			}
			report.Orders++
			report.Units += order.Units
		}
		return report, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := serve(srv)
	defer client.Close()

	ctx := context.Background()
	batch, err := Import.Open(ctx, client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batch.Close()
	for i := range 3 {
		err := batch.Send(ctx, &Order{Units: i})
		if errors.Is(err, rpc.ErrStreamEnded) {
			break // the handler needs no more, and its reply is there
		}
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	report, err := batch.CloseAndReceive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Orders, "orders,", report.Units, "units")
	// Output: 3 orders, 3 units
}

// Each change is answered by the count that it leads to.
func ExampleBidiStream() {
	srv := rpc.NewServer()
	err := Sync.Handle(srv, func(ctx context.Context, in *rpc.Receiver[Change], out *rpc.Sender[Change]) error {
		total := 0
		for change, err := range in.All() {
			if err != nil {
				return err
			}
			total += change.Count
			if err := out.Send(ctx, &Change{Count: total}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := serve(srv)
	defer client.Close()

	ctx := context.Background()
	sync, err := Sync.Open(ctx, client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sync.Close()
	go func() { // sending and receiving are independent
		defer sync.CloseSend() // also if Send fails: the handler waits for the end
		for _, n := range []int{1, 2, 3} {
			if err := sync.Send(ctx, &Change{Count: n}); err != nil {
				fmt.Println(err)
				return
			}
		}
	}()
	for change, err := range sync.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(change.Count)
	}
	// Output:
	// 1
	// 3
	// 6
}

// A handler that sends looks at the channel where it waits for what to send.
func ExampleDrainingFrom() {
	srv := rpc.NewServer()
	counts := make(chan int, 1)
	err := Watch.Handle(srv, func(ctx context.Context, req *WatchRequest, out *rpc.Sender[StockChange]) error {
		for {
			select {
			case count := <-counts:
				if err := out.Send(ctx, &StockChange{Item: req.Item, Count: count}); err != nil {
					return err
				}
			case <-rpc.DrainingFrom(ctx):
				return rpc.Errorf(rpc.Unavailable, "the server is shutting down")
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := serve(srv)
	defer client.Close()

	ctx := context.Background()
	changes, err := Watch.Open(ctx, client, &WatchRequest{Item: "item1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer changes.Close()
	counts <- 3
	change, err := changes.Receive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(change.Item, change.Count)

	down := make(chan error)
	go func() { down <- srv.Shutdown(ctx) }()
	_, err = changes.Receive(ctx)
	fmt.Println(err)
	fmt.Println(<-down)
	// Output:
	// item1 3
	// unavailable: the server is shutting down
	// <nil>
}

// A handler that receives gives Receive a context that ends when the server drains, and
// returns what it has.
func ExampleDrainingFrom_receiving() {
	srv := rpc.NewServer()
	received := make(chan bool, 1)
	err := Import.Handle(srv, func(ctx context.Context, in *rpc.Receiver[Order]) (*ImportReport, error) {
		waiting, stop := context.WithCancel(ctx)
		defer stop()
		go func() {
			select {
			case <-rpc.DrainingFrom(ctx):
				stop()
			case <-waiting.Done():
			}
		}()
		report := new(ImportReport)
		for {
			order, err := in.Receive(waiting)
			switch {
			case err == io.EOF, err != nil && waiting.Err() != nil && ctx.Err() == nil:
				return report, nil // the last item, or the server drains
			case err != nil:
				return nil, err
			}
			report.Orders++
			report.Units += order.Units
			received <- true
		}
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	client := serve(srv)
	defer client.Close()

	ctx := context.Background()
	batch, err := Import.Open(ctx, client)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer batch.Close()
	if err := batch.Send(ctx, &Order{Units: 5}); err != nil {
		fmt.Println(err)
		return
	}
	<-received
	down := make(chan error)
	go func() { down <- srv.Shutdown(ctx) }()
	report, err := batch.CloseAndReceive(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Orders, "order,", report.Units, "units")
	fmt.Println(<-down)
	// Output:
	// 1 order, 5 units
	// <nil>
}
