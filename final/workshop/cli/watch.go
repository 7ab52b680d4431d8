package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
	"example.com/rpc-from-scratch/final/workshop/engine"
)

func newWatch() *cobra.Command {
	w := &watching{}
	cmd := &cobra.Command{
		Use:     "watch [DIR]",
		PreRunE: needsGo,
		Short:   "Check again whenever you save a file",
		Long:    "Watch runs check, and runs it again whenever a file below DIR is saved, until you press Ctrl-C.",
		Args:    cobra.MaximumNArgs(1),
	}
	w.flags(cmd)
	cmd.Flags().BoolVar(&w.options.Poll, "poll", false, "look for changes every second, where the system reports none")
	untilEOF := cmd.Flags().Bool("until-eof", false, "end when standard input ends, so that a parent process can stop it")
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

// watch checks, and again after each change, until ctx ends. What a check prints is shown
// when it is whole.
func (w *watching) watch(ctx context.Context, dir string) error {
	target, err := check.Find(dir)
	if err != nil {
		return err
	}
	if err := w.board.open(target); err != nil {
		return err
	}
	go w.board.listen(ctx, fitted(w.err))
	lock, err := engine.Hold(target.Dir, engine.Holder{Command: "watch", PID: os.Getpid()})
	if err != nil {
		return err
	}
	defer lock.Release()
	e := &engine.Engine{Dir: target.Dir, Watch: w.options, Reporters: []engine.Reporter{w.board.reporter}, Options: func(ctx context.Context, t check.Target) (check.Options, error) {
		o, err := w.checking.options(ctx, t.Dir)
		if err != nil {
			return o, err
		}
		return w.begin(o), nil
	}}
	return e.Run(ctx, w.event)
}

// event shows how a check ended.
func (w *watching) event(e engine.Event) {
	var out bytes.Buffer
	w.out = &out
	switch e.Kind {
	case engine.Saved:
		w.board.begin()
		return
	case engine.GaveUp:
		w.meter.stop()
		return
	case engine.Checked:
		w.meter.stop()
		if !e.All {
			w.board.some()
		}
		e.Err = w.finish(e.Report, e.All)
	case engine.Failed:
		w.meter.stop()
	default:
		return
	}
	w.show(out.Bytes(), e.Err)
	fmt.Fprintln(w.screen, waiting)
	w.board.end(fitted(w.err))
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
