// Package reference is the server that conform needs, on final/rpc: an example
// for other languages, and what conform itself is tested with.
package reference

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// Main is the program conform/server.
func Main() {
	addr := flag.String("addr", "127.0.0.1:0", "listen on this `address`; port 0 picks a free port")
	untilEOF := flag.Bool("until-eof", false, "shut down when standard input ends")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *untilEOF {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	ln, err := rpc.Listen(*addr)
	if err == nil {
		fmt.Println("listening on", ln.Addr())
		err = Serve(ctx, ln)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// Serve serves the methods that conform calls, until ctx ends. Then it shuts
// down, for at most five seconds.
func Serve(ctx context.Context, ln net.Listener) error {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec), rpc.WithCompression(0))
	if err := register(srv); err != nil {
		return err
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(ctx)
	})
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return <-stopped
}

type (
	checkStockRequest struct{ Item string }
	checkStockReply   struct{ Count int }
	anything          struct{ V any }
)

func stock(_ context.Context, req *checkStockRequest) (*checkStockReply, error) {
	if req.Item != "item1" {
		e := rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		e.Details = map[string]string{"item": req.Item}
		return nil, e
	}
	return &checkStockReply{Count: 100}, nil
}

func register(srv *rpc.Server) error {
	checkStock := rpc.Method[checkStockRequest, checkStockReply]("Inventory.CheckStock")
	header := rpc.Method[checkStockRequest, checkStockReply]("Test.Header")
	return errors.Join(
		checkStock.Handle(srv, stock),
		header.Handle(srv, func(ctx context.Context, req *checkStockRequest) (*checkStockReply, error) {
			if err := rpc.SetHeader(ctx, rpc.MetadataFrom(ctx)); err != nil {
				return nil, err
			}
			return stock(ctx, req)
		}),
		count.Handle(srv, counts),
		sum.Handle(srv, sums),
		echo.Handle(srv, echoes),
		first.Handle(srv, firsts),
		label.Handle(srv, labels),
		hold.Handle(srv, func(ctx context.Context, _ *number, _ *rpc.Sender[number]) error {
			<-ctx.Done()
			return ctx.Err()
		}),
		never.Handle(srv, func(ctx context.Context, _ *rpc.Receiver[number], _ *rpc.Sender[number]) error {
			<-ctx.Done()
			return ctx.Err()
		}),
		srv.RegisterFunc("Test.Any", func(a anything) anything { return a }),
		srv.RegisterFunc("Test.Wait", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		srv.RegisterFunc("Test.User", func(ctx context.Context) string { return rpc.MetadataFrom(ctx)["user"] }),
		srv.RegisterFunc("Test.Nothing", func() error { return nil }),
		srv.RegisterFunc("Test.Panic", func(context.Context) error { panic("secret") }),
		srv.RegisterFunc("Test.Upper", func(s *wrapperspb.StringValue) *wrapperspb.StringValue {
			return wrapperspb.String(strings.ToUpper(s.GetValue()))
		}),
	)
}
