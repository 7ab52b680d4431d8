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
	"net"
	"os"
	"os/signal"
	"syscall"

	"example.com/rpc-from-scratch/step03-client/rpc"
)

// Server is the program cmd/server.
func Server() {
	flags := flag.NewFlagSet("server", flag.ExitOnError)
	addr := flags.String("addr", "127.0.0.1:8080", "listen on this `address`; port 0 picks a free port")
	untilEOF := flags.Bool("until-eof", false, "end at the end of standard input, so that a parent process can stop the server")
	parse(flags, 0, 0)

	srv := &rpc.Server{}
	exit("server", serve(ended(*untilEOF), srv, *addr))
}

// serve runs srv on addr until ctx ends.
func serve(ctx context.Context, srv *rpc.Server, addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening on", ln.Addr())
	context.AfterFunc(ctx, func() { srv.Close() })
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return srv.Close() // waits until the connections have ended
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

// exit ends the program with status 0. If err is not nil, exit prints it on
// standard error, and the status is 1.
func exit(program string, err error) {
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", program, plain(err.Error()))
		os.Exit(1)
	}
	os.Exit(0)
}
