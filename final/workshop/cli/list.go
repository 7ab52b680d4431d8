package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func newList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "The steps and checkpoints: what each adds, minutes, lines, tests",
		Long: "List prints the steps and checkpoints of the course. It counts the lines of code that each adds, without comments, blank lines and tests, and the new tests. " +
			"You can skip the side trips.\n\n" +
			"In a learner's folder, > marks where you are, and * what you have finished.",
		Args: cobra.NoArgs,
	}
	verbose := cmd.Flags().BoolP("verbose", "v", false, "name the new tests, and the pins: weaknesses that a later station lifts")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		learner, err := progress.Open(".")
		if err != nil && !errors.Is(err, progress.ErrNone) {
			return err
		}
		var stations []listed
		for _, s := range course.Stations {
			l, err := newListed(root, s)
			if err != nil {
				return err
			}
			l.mark = mark(learner, s)
			stations = append(stations, l)
		}
		printList(cmd.OutOrStdout(), stations, *verbose)
		return nil
	}
	return cmd
}

// A listed station has its figures with it.
type listed struct {
	course.Station
	mark        string // where a learner stands
	lines       int
	tests, pins []string // new ones
}

func newListed(root string, s course.Station) (listed, error) {
	l := listed{Station: s}
	var err error
	if l.lines, err = linesOf(root, s); err != nil {
		return l, err
	}
	tests, err := course.NewTests(root, s)
	for _, t := range tests {
		switch {
		case t.IsPin():
			l.pins = append(l.pins, t.Name)
		case !t.IsNaive():
			l.tests = append(l.tests, t.Name)
		}
	}
	return l, err
}

// mark returns how a learner's list marks a station: where the learner stands,
// and what is finished.
func mark(learner *progress.Progress, s course.Station) string {
	switch {
	case learner == nil:
		return ""
	case learner.Station == s.Name:
		return ">"
	case learner.IsFinished(s.Name):
		return "*"
	}
	return ""
}

// linesOf returns how many lines of code a station adds.
func linesOf(root string, s course.Station) (int, error) {
	d, err := diff.Of(root, s)
	if err != nil {
		return 0, err
	}
	lines := 0
	for _, f := range d.Files {
		if course.IsCode(f.Name) {
			lines += f.Code()
		}
	}
	return lines, nil
}

func printList(out io.Writer, stations []listed, verbose bool) {
	name, number := color.New(color.Bold).SprintFunc(), color.New(color.FgCyan).SprintFunc()
	fmt.Fprintf(out, "%-20s %7s %5s %5s\n", "", "minutes", "lines", "tests")
	var core, all listed // their sums
	for _, s := range stations {
		all.count(s)
		adds := s.Adds
		if s.Side {
			adds = "(side trip) " + adds
		} else {
			core.count(s)
		}
		fmt.Fprintf(out, "%-1s %s %s  %s\n", s.mark, name(fmt.Sprintf("%s  %-14s", s.Name, s.Title)), number(s.figures()), adds)
		if verbose {
			printTests(out, "tests", s.tests)
			printTests(out, "pins", s.pins)
		}
	}
	fmt.Fprintf(out, "%-20s %s\n", "  core path", number(core.figures()))
	fmt.Fprintf(out, "%-20s %s\n", "  together", number(all.figures()))
	fmt.Fprintln(out, "\nTests are those that a station adds, without pins; \"go tool workshop check\" counts pins and the article's way, too.")
}

// count adds the figures of s.
func (l *listed) count(s listed) {
	l.Minutes += s.Minutes
	l.lines += s.lines
	l.tests = append(l.tests, s.tests...)
}

func (l *listed) figures() string {
	return fmt.Sprintf("%7d %5d %5d", l.Minutes, l.lines, len(l.tests))
}

func printTests(out io.Writer, what string, names []string) {
	if len(names) > 0 {
		fmt.Fprintf(out, "    %s\n      %s\n", what, strings.Join(names, "\n      "))
	}
}
