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

	"example.com/rpc-from-scratch/step07-inventory-app/rpc"
)

// serverFlags are the flags that all servers have.
type serverFlags struct {
	*flag.FlagSet
	addr, codec *string
	untilEOF    *bool
}

func newServerFlags(program string) serverFlags {
	flags := flag.NewFlagSet(program, flag.ExitOnError)
	return serverFlags{
		FlagSet:  flags,
		addr:     flags.String("addr", "127.0.0.1:8080", "listen on this `address`; port 0 picks a free port"),
		codec:    flags.String("codec", "json", "speak json alone, or gob, too, with clients that ask for it: trusted ones"),
		untilEOF: flags.Bool("until-eof", false, "end when standard input does, as a parent process may arrange it"),
	}
}

// parse parses the command line args of a server.
func (f serverFlags) parse(args []string) {
	parse(f.FlagSet, args, 0, 0)
	checkCodec(f.FlagSet, *f.codec)
}

// serve runs a server with one service until it is told to end.
func (f serverFlags) serve(name string, service any) error {
	srv := &rpc.Server{ErrorLog: log.New(os.Stderr, "", log.LstdFlags), AllowGob: *f.codec == "gob"}
	if err := srv.Register(name, service); err != nil {
		return err
	}
	return serve(ended(*f.untilEOF), srv, *f.addr)
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

// parse parses args, and exits with status 2 and a usage message unless there
// are between least and most of them after the flags, and no flag is empty: a
// shell's variable that is not set makes it so.
func parse(flags *flag.FlagSet, args []string, least, most int) {
	flags.Parse(args)
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
