package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func newStart() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "start STATION DIR | start -solve STATION [DIR]",
		Short: "Make a folder for your code, at any step or checkpoint",
		Long: "Start makes the folder DIR for a learner who begins at a step or checkpoint, such as 01 or 5a. " +
			"It has the code of the stations before, stubs for what you will write, and the tests. DIR may be inside the clone or outside; it must be new or empty.\n\n" +
			"With -solve, start takes the folder in which you work to that station: DIR, or the current folder if you name none. " +
			"Your code is replaced by ours of the stations before. " +
			"A file of yours that is replaced, or that does not compile with ours, is kept as FILE.mine, or as FILE.mine2 if there is a FILE.mine already. " +
			"Save your files in the editor first.",
		Example: "    go tool workshop start 01 ../mine\n    go tool workshop start -solve 5a",
	}
	solve := cmd.Flags().Bool("solve", false, "go on at STATION in the folder in which you work; your code is kept as FILE.mine")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) > 2:
			return fmt.Errorf("start takes a station and a folder, not %d words", len(args))
		case len(args) == 0 && *solve:
			return errors.New(`start -solve needs a station, such as "go tool workshop start -solve 5a"`)
		case len(args) < 2 && !*solve:
			return errors.New(`start needs a station and a folder, such as "go tool workshop start 01 ../mine"`)
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "."
		if len(args) == 2 {
			dir = args[1]
		}
		if *solve {
			p, err := learner(dir, len(args) == 2)
			if err != nil {
				return err
			}
			if p != nil {
				return skipTo(cmd, p, args[0])
			}
		}
		return start(cmd, args[0], dir)
	}
	return cmd
}

// start makes a folder.
func start(cmd *cobra.Command, station, arg string) error {
	root, err := course.Root(".")
	if err != nil {
		return err
	}
	s, err := course.FindFirst(station)
	if err != nil {
		return err
	}
	if err := starter.Write(root, s, arg); err != nil {
		return err
	}
	dir, err := filepath.Abs(arg)
	if err != nil {
		return err
	}
	out := fitted(cmd.OutOrStdout())
	if err := starter.Fetch(cmd.Context(), dir); err != nil {
		fmt.Fprintf(fitted(cmd.ErrOrStderr()), "workshop: the folder is made, but its modules are not all here: "+
			"go there once with network, and run \"go test ./...\" and \"go tool workshop\"\n%v\n", err)
	}
	fmt.Fprintf(out, "%s is ready for %s, %s:\n%s.\n", dir, s.Name, s.Title, s.Adds)
	stubs, err := starter.Stubs(root, s)
	if err != nil {
		return err
	}
	changes, err := starter.Changes(root, s)
	if err != nil {
		return err
	}
	shipped, err := starter.Shipped(root, s)
	if err != nil {
		return err
	}
	printWork(out, starter.Lesson(root, s), shipped, stubs, slices.DeleteFunc(changes, isGone))
	fmt.Fprintf(out, "\n%s\n  cd %s\n  go tool workshop check\n", heading("Now:"), quoted(arg))
	return nil
}

// learner returns the progress in dir, if it is a learner's folder. A folder that is
// named has to be all of it; the current one may be inside.
func learner(dir string, named bool) (*progress.Progress, error) {
	p, err := progress.Open(dir)
	switch {
	case err == nil && named && !sameFolder(p.Dir(), dir):
		return nil, nil
	case named && errors.Is(err, progress.ErrNone):
		return nil, nil
	}
	return p, err
}

func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// skipTo takes a learner to a station in the folder that there is.
func skipTo(cmd *cobra.Command, p *progress.Progress, station string) error {
	root, err := course.Root(p.Dir())
	if err != nil {
		return err
	}
	to, err := course.FindFirst(station)
	if err != nil {
		return err
	}
	move, err := starter.CatchUp(root, p, to)
	if err != nil {
		return err
	}
	if err := move.Do(p); err != nil {
		return err
	}
	return arrived(fitted(cmd.OutOrStdout()), root, p.Dir(), move, true)
}

// quoted returns a path as shells want it.
func quoted(path string) string {
	if strings.Contains(path, " ") {
		return `"` + path + `"`
	}
	return path
}

// isGone reports whether a file is deleted: start does that itself.
func isGone(c starter.Change) bool { return c.Gone }

// printWork tells what a station brings, and what it leaves to the learner: files with
// stubs, and what the lesson changes in the others.
func printWork(out io.Writer, lesson string, shipped []starter.Shipment, stubs []string, changes []starter.Change) {
	fmt.Fprintf(out, "\n%s %s\n", heading("The lesson:"), lesson)
	if len(shipped) > 0 {
		fmt.Fprintf(out, "\n%s\n", heading("Written already, for you to read and use:"))
	}
	for _, s := range shipped {
		fmt.Fprintf(out, "  %s\n", s.File)
		if len(s.Names) > 0 {
			fmt.Fprintf(out, "    %s\n", strings.Join(s.Names, ", "))
		}
	}
	if len(stubs) > 0 {
		fmt.Fprintf(out, "\n%s\n", heading("New files, with stubs for what is yours to write:"))
	}
	for _, name := range stubs {
		fmt.Fprintf(out, "  %s\n", name)
	}
	if len(changes) > 0 {
		fmt.Fprintf(out, "\n%s\n", heading("What the lesson changes in your files:"))
	}
	for _, c := range changes {
		fmt.Fprintf(out, "  %s\n", c.File)
		if c.Gone {
			fmt.Fprintf(out, "    delete it: the step does without\n")
		}
		printNames(out, "new:", c.New)
		printNames(out, "changed:", c.Edited)
		printNames(out, "gone:", c.Cut)
	}
}

func printNames(out io.Writer, what string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(out, "    %-8s %s\n", what, strings.Join(names, ", "))
	}
}

// heading returns text as a heading: bold on a terminal.
func heading(text string) string { return color.New(color.Bold).Sprint(text) }
