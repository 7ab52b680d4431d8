package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func init() { commands = append(commands, newStart) }

func newStart() *cobra.Command {
	return &cobra.Command{
		Use:   "start STATION DIR",
		Short: "Make a folder for your code, at any step or checkpoint",
		Long: "Start makes the folder DIR for a learner at a step or checkpoint, such as 01 or 5a: the code before it, stubs\n" +
			"for what is yours to write, and the tests. DIR may be inside of the clone or outside; it must be new or empty.",
		Example: "  go tool workshop start 01 ../mine",
		Args:    cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := course.Root(".")
			if err != nil {
				return err
			}
			s, err := course.FindFirst(args[0])
			if err != nil {
				return err
			}
			if err := starter.Write(root, s, args[1]); err != nil {
				return err
			}
			dir, err := filepath.Abs(args[1])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if err := starter.Fetch(cmd.Context(), dir); err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "workshop: the folder is made, but its modules are not all here: "+
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
			printWork(out, starter.Lesson(root, s), stubs, slices.DeleteFunc(changes, isGone))
			fmt.Fprintf(out, "\n%s\n  cd %s\n  go tool workshop check\n", heading("Now:"), quoted(args[1]))
			return nil
		},
	}
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

// printWork tells what a station leaves to the learner: files with stubs, and
// what the lesson changes in the others.
func printWork(out io.Writer, lesson string, stubs []string, changes []starter.Change) {
	fmt.Fprintf(out, "\n%s %s\n", heading("The lesson:"), lesson)
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
