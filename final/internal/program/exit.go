package program

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

// Ended returns a context that ends on SIGINT or SIGTERM and, if untilEOF, at
// the end of standard input, which works on every system. A second
// signal ends the program at once.
func Ended(untilEOF bool) context.Context {
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

// Exit ends the program with status 0. If err is not nil, Exit prints it on
// standard error, and the status is 1.
func Exit(program string, err error) {
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
