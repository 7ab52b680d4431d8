package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/hint"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func init() { commands = append(commands, newHint) }

func newHint() *cobra.Command {
	return &cobra.Command{
		Use:   "hint [TEST]",
		Short: "The next stronger hint for a test that fails",
		Long: "Hint shows one hint more each time, for TEST or for the first test that the last check saw fail.\n" +
			"A part of the test's name will do.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := check.Find(".")
			if err != nil {
				return err
			}
			if target.Progress == nil {
				return progress.ErrNone // nowhere to count what has been shown
			}
			test, err := testFor(target, args)
			if err != nil {
				return err
			}
			if slices.Contains(target.Progress.NotRun, test) {
				sayWhyItDidNotRun(cmd.OutOrStdout(), target.Progress, test)
				return nil
			}
			return nextHint(cmd.OutOrStdout(), target, test)
		},
	}
}

// testFor returns the test that args name, or the first that is to do.
func testFor(t check.Target, args []string) (string, error) {
	if len(args) == 1 {
		return findTest(t, args[0])
	}
	if len(t.Progress.ToDo) > 0 {
		return t.Progress.ToDo[0], nil
	}
	if len(t.Progress.Passed[t.Station.Name]) == 0 {
		return "", errors.New(`nothing has been checked yet at ` + t.Station.Name + `: run "go tool workshop check" first, or name a test`)
	}
	return "", errors.New(`the last check saw all tests pass: name a test to see its hints`)
}

// findTest returns the one test whose name has part in it.
func findTest(t check.Target, part string) (string, error) {
	tests, err := course.Tests(t.Root, t.Station)
	if err != nil {
		return "", err
	}
	var found []string
	for _, test := range tests {
		if test.Name == part {
			return part, nil
		}
		if strings.Contains(strings.ToLower(test.Name), strings.ToLower(part)) && !slices.Contains(found, test.Name) {
			found = append(found, test.Name)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("no test of %s has %q in its name: check lists them", t.Station.Name, part)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("which one? %s", strings.Join(found, ", "))
}

// sayWhyItDidNotRun takes a hint's place where no test is to blame.
func sayWhyItDidNotRun(w io.Writer, p *progress.Progress, test string) {
	what := test + " has not run"
	if len(p.NotRun) == len(p.ToDo) && len(p.Passed[p.Station]) == 0 {
		what = "no test has run"
	}
	fmt.Fprintf(w, "Your code does not compile, so %s. The compiler says:\n\n  %s\n\nMend that, then check again.\n",
		what, strings.ReplaceAll(p.Mistake, "\n", "\n  "))
}

// nextHint shows the first hint of a test that has not been shown, or all of them
// again when there is no other.
func nextHint(w io.Writer, t check.Target, test string) error {
	found, err := hint.For(t.Station, test)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		fmt.Fprintf(w, "There are no hints for %s: what it wants stands in its own text.\n", test)
		return sayThatSolutionsAreThere(w, t)
	}
	if t.Progress.Hints[test] >= len(found) {
		fmt.Fprintf(w, "All hints for %s have been shown. Here they are again.\n", test)
		for i := range found {
			showHint(w, test, found, i)
		}
		return sayThatSolutionsAreThere(w, t)
	}
	shown := t.Progress.ShowHint(test)
	showHint(w, test, found, shown-1)
	if shown == len(found) {
		return errors.Join(sayThatSolutionsAreThere(w, t), t.Progress.Save())
	}
	return t.Progress.Save()
}

func showHint(w io.Writer, test string, found []string, i int) {
	fmt.Fprintf(w, "\n%s, hint %d of %d\n\n%s\n", test, i+1, len(found), found[i])
}

// sayThatSolutionsAreThere names the files in which the station's code is.
func sayThatSolutionsAreThere(w io.Writer, t check.Target) error {
	files, err := changedCode(t)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "\nOur code is there when you want it:")
	for _, file := range files {
		fmt.Fprintf(w, "  go tool workshop solution %s\n", file)
	}
	return nil
}
