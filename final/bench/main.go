// Command bench measures the framework of this workspace beside other RPC systems in one run.
//
//	go run ./final/bench             # from the workspace's root
//	go run . -only 'grpc|net/rpc'    # in this folder; -h lists the flags
//
// Client and server run in one process over loopback and share its processors, which is also how the figures are to be read:
// calls per second of both sides' work together. Rounds are short and the peers take turns, so that whatever else the machine
// does falls on all of them; the tables hold the medians of the rounds.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
)

// Exit codes, as a shell's user expects them.
const (
	exitOK          = 0
	exitFailed      = 1   // something could not be measured or written
	exitUsage       = 2   // the command line makes no sense
	exitInterrupted = 130 // 128 + SIGINT
)

func main() {
	if runRole(os.Args[1:], os.Stdin, os.Stdout) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second interrupt ends the program at once
	os.Exit(benchmark(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// benchmark is the program: tables to stdout, progress and errors to stderr.
func benchmark(ctx context.Context, args []string, stdout, stderr io.Writer) (exit int) {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	}
	// Before measuring: nobody wants to learn afterwards that there is no place for the results.
	if o.out, err = makeFolder(o.out); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	r := &run{options: o}
	r.progress = newProgress(stderr, r.steps())
	switch err := r.measureAll(ctx); {
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "bench: interrupted, nothing written")
		return exitInterrupted
	case err != nil:
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	return finish(&r.results, o.out, stdout, stderr)
}

// makeFolder returns the folder to write to, which is there then.
func makeFolder(folder string) (string, error) {
	if folder == "" {
		return os.MkdirTemp("", "rpc-bench-")
	}
	return folder, os.MkdirAll(folder, 0o755)
}

func finish(r *results, folder string, stdout, stderr io.Writer) (exit int) {
	r.writeReport(stdout)
	if err := r.writeFiles(folder); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "\nWritten to %s\n", folder)
	for _, failure := range r.Failures {
		fmt.Fprintf(stderr, "bench: %s\n", failure)
		exit = exitFailed
	}
	return exit
}
