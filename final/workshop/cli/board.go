package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/board"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
)

func newBoard() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "board",
		Short: "Show how far a room is, for instructors",
		Long: "Board collects reports of participants who run watch, studio or check with -board, and shows them in a browser. " +
			"The room's page is for the projector: how many participants are at each piece, the one in the middle, and a countdown. " +
			"Your own page has the names, and for how long a test has been red; it sets the countdown and exports CSV. Each page has a secret in its URL. " +
			"Everything is in memory, and ends with the board.\n\n" +
			"By itself, the board is for this machine alone. For a room, -addr names an address of this machine in the room's network, or :7070 for all of them. " +
			"Anyone who can read along in that network can read the URLs.",
		Example: "    go tool workshop board -addr :7070\n    go tool workshop watch -board URL -name Ada",
		Args:    cobra.NoArgs,
	}
	addr := cmd.Flags().String("addr", "127.0.0.1:7070", "listen on this `address`; port 0 picks a free port")
	most := cmd.Flags().Int("participants", board.DefaultMost, "take at most this `number` of participants")
	untilEOF := cmd.Flags().Bool("until-eof", false, "end when standard input ends, so that a parent process can stop it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		b, err := board.New(root, *most)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(cmd.Context())
		defer cancel()
		if *untilEOF {
			go func() {
				io.Copy(io.Discard, cmd.InOrStdin())
				cancel()
			}()
		}
		ln, err := net.Listen("tcp", *addr)
		if err != nil {
			return fmt.Errorf("%w: -addr :0 picks a free port", err)
		}
		return serveBoard(ctx, fitted(cmd.OutOrStdout()), b, ln)
	}
	return cmd
}

// serveBoard says where the board is, and serves it until ctx ends.
func serveBoard(ctx context.Context, out io.Writer, b *board.Board, ln net.Listener) error {
	networks, _ := net.InterfaceAddrs() // without them, there is the loopback address
	hosts := board.Hosts(ln.Addr(), networks)
	b.Join = "http://" + hosts[0] + "/" + b.Room
	fmt.Fprintf(out, "listening on %s, for at most %d participants\n", ln.Addr(), b.Most())
	printURLs(out, "The room's page, for the projector and for -board:", hosts, b.Room)
	printURLs(out, "Your page, with names. Keep it, and this window, off the projector:", hosts, b.Instructor)
	fmt.Fprintf(out, "\nParticipants run this in their folders:\n    go tool workshop watch -board %s -name NAME\n", b.Join)
	if tcp, ok := ln.Addr().(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		fmt.Fprintf(out, "\nNo other machine reaches this address. For the room, end this and begin again with -addr :%d.\n", tcp.Port)
	}
	fmt.Fprint(out, "\nCtrl-C ends the board, and what it knows is gone: your page exports it.\n\n")
	var mu sync.Mutex // one line at a time
	b.Joined = func(name string, participants int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(out, "%s has joined (%d of %d)\n", name, participants, b.Most())
	}
	return b.Serve(ctx, ln)
}

func printURLs(out io.Writer, what string, hosts []string, secret string) {
	fmt.Fprintf(out, "\n%s\n", what)
	for _, host := range hosts {
		fmt.Fprintf(out, "    http://%s/%s\n", host, secret)
	}
}

// reporting is what check and watch have in common about a board.
type reporting struct {
	url, name string
	reporter  *board.Reporter // nil: nothing is reported

	mu   sync.Mutex // guards what follows
	busy bool       // a check is under way: what is said now would be wiped off the screen
	held []string   // what is to be said afterwards
}

func (r *reporting) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&r.url, "board", "", "report your station, which tests pass, and how long one has been red, to the board at `URL`; no code is sent")
	cmd.Flags().StringVar(&r.name, "name", "", "your `NAME` for the board; it is remembered in your folder")
}

// open looks for the board, if there is one, for reports about t. A board that does not
// answer is no error.
func (r *reporting) open(t check.Target) (err error) {
	switch {
	case r.url == "" && r.name != "":
		return errors.New("-name is for a board: -board names it")
	case r.url == "":
		return nil
	}
	if err := board.Refuse(t); err != nil {
		return err
	}
	r.reporter, err = board.NewReporter(r.url, r.name)
	return err
}

// finish says how the last report ended, in a line.
func (r *reporting) finish(w io.Writer) {
	if line := r.reporter.Finish(); line != "" {
		fmt.Fprintln(w, line)
	}
	r.end(w)
}

// some notes that a check was of some tests: a participant must not wait for its report.
func (r *reporting) some() {
	if r.reporter == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.held = append(r.held, "board: not reported: a report is of all tests, and -run leaves some out")
}

// listen writes what becomes of the reports, until ctx ends: a line when it changes.
func (r *reporting) listen(ctx context.Context, w io.Writer) {
	for {
		select {
		case <-ctx.Done():
			return
		case line := <-r.reporter.Notices():
			r.say(w, line)
		}
	}
}

func (r *reporting) say(w io.Writer, line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy {
		r.held = append(r.held, line)
		return
	}
	fmt.Fprintln(w, line)
}

// begin notes that a check is under way.
func (r *reporting) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = true
}

// end notes that a check's output is whole, and writes what has waited for that.
func (r *reporting) end(w io.Writer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.held {
		fmt.Fprintln(w, line)
	}
	r.busy, r.held = false, nil
}
