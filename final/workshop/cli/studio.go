package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/engine"
	"example.com/rpc-from-scratch/final/workshop/studio"
)

func newStudio() *cobra.Command {
	var o studio.Options
	var board reporting
	cmd := &cobra.Command{
		Use:     "studio [DIR]",
		PreRunE: needsGo,
		Short:   "The book beside your editor, with what is true of your folder",
		Long: "Studio serves the course's pages to the browser of this computer. The lesson shows which of its pieces you have written, which tests pass, and what to do next. " +
			"It runs the tests whenever you save a file below DIR, until you press Ctrl-C. One page starts your server and shows each message that a client sends.\n\n" +
			"Open the address that it prints: it has a secret in it, and works on this computer alone. Nothing leaves the computer, unless you name a board with -board. One watch or studio runs in a folder.",
		Example: "    go tool workshop studio\n    go tool workshop studio -editor 'idea://open?file={path}&line={line}'",
		Args:    cobra.MaximumNArgs(1),
	}
	port := cmd.Flags().Uint16("port", 0, "listen on this `port` of 127.0.0.1; 0 picks a free one")
	cmd.Flags().StringVar(&o.Editor, "editor", "", "the `link` that opens a file in your editor, with {path}, {line} and {column}; without it, VS Code's")
	cmd.Flags().BoolVar(&o.Check.Race, "race", true, "use the race detector, where there is one")
	cmd.Flags().DurationVar(&o.Check.Timeout, "timeout", 20*time.Second, "the time limit of one test")
	cmd.Flags().BoolVar(&o.Watch.Poll, "poll", false, "look for changes every second, where the system reports none")
	board.flags(cmd)
	untilEOF := cmd.Flags().Bool("until-eof", false, "end when standard input ends, so that a parent process can stop it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if *untilEOF {
			go func() {
				io.Copy(io.Discard, cmd.InOrStdin())
				cancel()
			}()
		}
		if err := positive(o.Check.Timeout); err != nil {
			return err
		}
		return runStudio(ctx, cmd, dirOf(args), *port, o, &board)
	}
	return cmd
}

func runStudio(ctx context.Context, cmd *cobra.Command, dir string, port uint16, o studio.Options, board *reporting) error {
	target, err := check.Find(dir)
	if err != nil {
		return err
	}
	if err := board.open(target); err != nil {
		return err
	}
	o.Reporters = append(o.Reporters, board.reporter)
	go board.listen(ctx, fitted(cmd.ErrOrStderr()))
	if o.Check.Race {
		why, ok := check.CanRace(ctx, target.Dir)
		if o.Check.Race = ok; !ok && ctx.Err() == nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "Without the race detector: %s.\n", why)
		}
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("%w: -port 0 picks a free port", err)
	}
	defer ln.Close()
	s, err := studio.New(target, ln, o)
	if err != nil {
		return err
	}
	lock, err := engine.Hold(target.Dir, engine.Holder{Command: "studio", PID: os.Getpid(), URL: s.URL()})
	if err != nil {
		return err
	}
	defer lock.Release()
	fmt.Fprintf(cmd.OutOrStdout(), "The studio of %s: %s\nCtrl-C ends it.\n", target.Dir, s.URL())
	return s.Serve(ctx, ln)
}
