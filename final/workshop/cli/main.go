// Package cli is the workshop tool's command line. Each command has a file of
// its own here, and its work in a package beside this one.
package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"example.com/rpc-from-scratch/final/workshop/wrap"
)

// Main runs the tool with args and returns its exit status: 0 if all is well, 1
// if not, with a line on stderr that says what to do next.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	color.NoColor = !isTerminal(stdout) || os.Getenv("NO_COLOR") != ""
	root := newRoot()
	root.SetArgs(goFlags(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	if err := root.ExecuteContext(ctx); err != nil {
		if strings.HasPrefix(err.Error(), "unknown command") && !strings.Contains(err.Error(), "\n") {
			err = fmt.Errorf("%w: \"go tool workshop\" lists what there is", err)
		}
		fmt.Fprintln(fitted(stderr), "workshop:", err)
		return 1
	}
	return 0
}

// isTerminal reports whether w is a terminal, and so may have colour.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// widthOf returns how many columns w has: those of the terminal, else what the
// variable COLUMNS says, else 80.
func widthOf(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	if width, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && width > 0 {
		return width
	}
	return 80
}

// fitWidth returns the width that what is written to w is to fit into: that of the
// terminal, else what COLUMNS says, else 0, for lines as long as they are.
func fitWidth(w io.Writer) int {
	if isTerminal(w) || os.Getenv("COLUMNS") != "" {
		return widthOf(w)
	}
	return 0
}

// fitted returns a writer of texts that fit into w's width.
func fitted(w io.Writer) io.Writer { return wrap.Writer{W: w, Width: fitWidth(w)} }

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "workshop",
		Annotations:   map[string]string{cobra.CommandDisplayNameAnnotation: "go tool workshop"},
		Short:         "The tool of the course RPC from scratch, for learners, instructors and maintainers",
		SilenceErrors: true, // Main prints them
		SilenceUsage:  true,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(usage)
	root.SetHelpFunc(help(root.HelpFunc()))
	for _, cmd := range commands() {
		if check := cmd.Args; check != nil {
			cmd.Args = func(cmd *cobra.Command, args []string) error { return usage(cmd, check(cmd, args)) }
		}
		root.AddCommand(cmd)
	}
	return root
}

// usage adds to an error about a command's arguments or flags how it is used.
func usage(cmd *cobra.Command, err error) error {
	if err == nil || errors.Is(err, pflag.ErrHelp) {
		return err
	}
	return fmt.Errorf("%w\nIt is used like this: %s\nMore: %s -h", err, cmd.UseLine(), cmd.CommandPath())
}

// helpWidth is how wide help is where no terminal says it.
const helpWidth = 100

// help returns cobra's help, fitted to the terminal.
func help(unfitted func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(cmd *cobra.Command, args []string) {
		out := cmd.OutOrStdout()
		var text bytes.Buffer
		cmd.SetOut(&text)
		unfitted(cmd, args)
		cmd.SetOut(out)
		fmt.Fprint(out, wrap.Text(text.String(), cmp.Or(fitWidth(out), helpWidth)))
	}
}

// commands makes all commands there are.
func commands() []*cobra.Command {
	return []*cobra.Command{
		newBoard(),
		newBook(),
		newBridge(),
		newCheck(),
		newConform(),
		newDiff(),
		newDoctor(),
		newHint(),
		newList(),
		newNext(),
		newPack(),
		newSolution(),
		newStart(),
		newStudio(),
		newSync(),
		newUpdate(),
		newVerify(),
		newWatch(),
		newWire(),
	}
}
