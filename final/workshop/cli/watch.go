package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
)

func newWatch() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:     "watch [DIR]",
		PreRunE: needsGo,
		Short:   "Check again whenever you save a file",
		Long:    "Watch runs check, and again whenever a file below DIR is saved, until it is interrupted.",
		Args:    cobra.MaximumNArgs(1),
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&w.options.Poll, "poll", false, "look every second in place of waiting for the system's notice")
	untilEOF := cmd.Flags().Bool("until-eof", false, "end when the standard input does")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		w.open(cmd)
		w.screen, w.err = w.out, cmd.ErrOrStderr()
		ctx := cmd.Context()
		if *untilEOF {
			var cancel context.CancelFunc
			ctx, cancel = context.WithCancel(ctx)
			go func() {
				io.Copy(io.Discard, cmd.InOrStdin())
				cancel()
			}()
		}
		return w.watch(ctx, dirOf(args))
	}
	return cmd
}

type watching struct {
	checking
	screen  io.Writer
	err     io.Writer
	options watch.Options
}

// waiting ends what is written of a check; editors wait for it.
const waiting = "\nWaiting until you save a file. Ctrl-C ends this."

// watch checks, and again after each change, until ctx ends. A check that is
// under way when a file is saved is given up: its result would be of yesterday.
func (w *watching) watch(ctx context.Context, dir string) error {
	target, err := check.Find(dir)
	if err != nil {
		return err
	}
	changes := watch.Changes(ctx, target.Dir, w.options)
	for ctx.Err() == nil {
		if changed := w.once(ctx, target.Dir, changes); changed {
			continue
		}
		fmt.Fprintln(w.screen, waiting)
		<-changes // closed when ctx ends
	}
	return nil
}

// once checks, and reports whether it was given up because of a change. It shows
// what the check has written when that is whole.
func (w *watching) once(ctx context.Context, dir string, changes <-chan struct{}) (changed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var out bytes.Buffer
	w.out = &out
	done := make(chan error, 1)
	go func() {
		target, err := check.Find(dir) // again: next may have moved on
		if err == nil {
			err = w.check(ctx, target)
		}
		done <- err
	}()
	select {
	case err := <-done:
		if ctx.Err() == nil {
			w.show(out.Bytes(), err)
		}
		return false
	case <-changes:
		cancel()
		<-done
		return true
	}
}

// show writes a check's output, on an empty screen if it is a terminal.
func (w *watching) show(out []byte, err error) {
	if isTerminal(w.screen) && !w.plain {
		fmt.Fprint(w.screen, "\x1b[H\x1b[2J\x1b[3J")
	}
	w.screen.Write(out)
	if err != nil {
		fmt.Fprintln(w.err, "workshop:", err)
	}
}
