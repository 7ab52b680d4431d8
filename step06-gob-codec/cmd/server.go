// Package cmd holds the bodies of the step's programs. Each program under cmd/
// is one call into this package, because a test can run only what it can
// import, and a package main cannot be imported.
package cmd

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/rpc-from-scratch/step06-gob-codec/rpc"
)

// Server is the program cmd/server.
func Server() {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "listen on this `address`; port 0 picks a free port")
	untilEOF := flags.Bool("until-eof", false, "end at the end of standard input, so that a parent process can stop the server")
	codec := flags.String("codec", "json", "json: speak JSON only; gob: also let clients choose gob (trusted clients only)")
	parse(flags, 0, 0)
	checkCodec(flags, *codec)

	srv := &rpc.Server{ErrorLog: log.New(os.Stderr, "", log.LstdFlags), AllowGob: *codec == "gob"}
	if err := srv.Register("Inventory", inventory{"item1": 100, "item2": 50}); err != nil {
		exit("server", err)
	}
	exit("server", serve(ended(*untilEOF), srv, *addr))
}

// An inventory knows how many there are of each item.
type inventory map[string]int

// CheckStock returns how many of an item are in stock.
func (inv inventory) CheckStock(itemID string) (int, error) {
	quantity, ok := inv[itemID]
	if !ok {
		return 0, fmt.Errorf("unknown item: %s", itemID)
	}
	return quantity, nil
}

// serve runs srv on addr until ctx ends, and lets running calls finish.
func serve(ctx context.Context, srv *rpc.Server, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening on", ln.Addr())
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		stopped <- srv.Shutdown(ctx)
	})
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// ended returns a context that ends on SIGINT or SIGTERM and, if untilEOF, at
// the end of standard input, which works on every system.
func ended(untilEOF bool) context.Context {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if untilEOF {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	return ctx
}

// parse parses the command line. If there are fewer than least or more than most
// arguments after the flags, or if a flag is empty (as from a shell's variable that
// is not set), it prints the usage and exits with status 2.
func parse(flags *flag.FlagSet, least, most int) {
	flags.Parse(os.Args[1:])
	if n := flags.NArg(); n < least || n > most {
		fmt.Fprintf(flags.Output(), "%s: wrong number of arguments: %d\n", flags.Name(), n)
		flags.Usage()
		os.Exit(2)
	}
	flags.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" {
			fmt.Fprintf(flags.Output(), "%s: -%s is empty\n", flags.Name(), f.Name)
			flags.Usage()
			os.Exit(2)
		}
	})
}

// checkCodec exits with status 2 and a usage message unless codec is one.
func checkCodec(flags *flag.FlagSet, codec string) {
	if codec != "json" && codec != "gob" {
		fmt.Fprintf(flags.Output(), "%s: unknown codec %q: want json or gob\n", flags.Name(), codec)
		flags.Usage()
		os.Exit(2)
	}
}

// exit ends the program with status 0. If err is not nil, exit prints it on
// standard error, and the status is 1.
func exit(program string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, plain(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}
