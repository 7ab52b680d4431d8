// Package cmd holds the bodies of the shop's programs. Each program under cmd/ is
// one call into this package, because a test can run only what it can import,
// and a package main cannot be imported.
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

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// serverFlags are the flags that every server has.
type serverFlags struct {
	*flag.FlagSet
	addr     *string
	gob      *bool
	untilEOF *bool
}

func newServerFlags(program, addr string) serverFlags {
	flags := flag.NewFlagSet(program, flag.ExitOnError)
	return serverFlags{
		FlagSet:  flags,
		addr:     flags.String("addr", addr, "listen on this `address`; port 0 picks a free port"),
		gob:      flags.Bool("gob", false, "offer gob, too, beside json and protobuf; only if you trust all clients"),
		untilEOF: flags.Bool("until-eof", false, "end when standard input ends; for a parent process"),
	}
}

// newServer returns a server that says on standard error what goes wrong, and
// tells callers what it can do and how it is: see the program rpc.
func newServer(program string, opts ...rpc.ServerOption) (*rpc.Server, error) {
	srv := rpc.NewServer(append(logTo(os.Stderr, program), opts...)...)
	h, err := health.Register(srv)
	if err != nil {
		return nil, err
	}
	return srv, introspect.Register(srv, h)
}

// logTo returns the options of a server that logs to w. An error or a panic may
// hold what a peer has sent: it is one line of text.
func logTo(w io.Writer, program string) []rpc.ServerOption {
	logger := log.New(w, program+": ", log.LstdFlags|log.Lmsgprefix)
	return []rpc.ServerOption{
		rpc.WithErrorHandler(func(err error) { logger.Print(plaintext.Line(err.Error())) }),
		rpc.WithPanicHandler(func(_ context.Context, value any, stack []byte) {
			logger.Printf("panic: %s\n%s", plaintext.Line(fmt.Sprint(value)), stack)
		}),
	}
}

// drain is how long running calls may take to end once a server is told to.
const drain = 10 * time.Second

// serve runs srv on addr until ctx ends, and lets running calls finish. Once it
// listens, it makes itself known, says so, and calls the functions of listening.
func serve(ctx context.Context, srv *rpc.Server, addr string, l *listing, listening ...func()) error {
	ln, err := rpc.Listen(addr)
	if err != nil {
		return err
	}
	at := dialAddr(ln.Addr())
	if err := l.begin(context.WithoutCancel(ctx), at); err != nil {
		ln.Close()
		return err
	}
	fmt.Println("listening on", at)
	for _, f := range listening {
		f()
	}
	stopped := make(chan error, 1)
	context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.Background(), drain)
		defer cancel()
		stopped <- l.shutdown(ctx, srv)
	})
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return <-stopped
}

// dialAddr returns a listener's address as rpc.Dial takes it.
func dialAddr(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return addr.String()
}

// ended returns a context that ends on SIGINT or SIGTERM and, if untilEOF, at
// the end of standard input: the one signal that every system has. A second
// signal ends the program at once.
func ended(untilEOF bool) context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	if untilEOF {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	return ctx
}

// parse parses args, and exits with status 2 and a usage message if there is
// anything after the flags, or a flag is there without its text.
func parse(flags *flag.FlagSet, args []string) {
	flags.Parse(args)
	if n := flags.NArg(); n > 0 {
		usageError(flags, "wrong number of arguments: %d", n)
	}
	flags.Visit(func(f *flag.Flag) {
		if value, ok := f.Value.(flag.Getter); ok && value.Get() == "" {
			want, _ := flag.UnquoteUsage(f)
			usageError(flags, "-%s is empty: want its %s", f.Name, want)
		}
	})
}

// usageError says what is wrong with the command line, and exits with status 2.
func usageError(flags *flag.FlagSet, format string, args ...any) {
	fmt.Fprintf(flags.Output(), flags.Name()+": "+format+"\n", args...)
	flags.Usage()
	os.Exit(2)
}

// exit ends the program with status 0. If err is not nil, exit prints it on
// standard error, and the status is 1.
func exit(program string, err error) {
	if err != nil {
		printError(os.Stderr, program, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// printError prints err on one line, and joined errors on a line each.
func printError(w io.Writer, program string, err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && err.Error() == errors.Join(joined.Unwrap()...).Error() {
		for _, one := range joined.Unwrap() {
			printError(w, program, one)
		}
		return
	}
	plaintext.Fprintf(w, "%s: %s\n", program, err.Error())
}
