package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/hint"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func newHint() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hint [TEST]",
		Short: "The next hint for a test that fails",
		Long:  "Hint shows one more hint each time, for TEST or for the first test that failed in the last check. A part of the test's name is enough.",
		Args:  cobra.MaximumNArgs(1),
	}
	answer := cmd.Flags().Bool("answer", false, "answer the question that check asked last; -answer 03 answers that of station 03")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		target, err := learnersFolder()
		if err != nil {
			return err
		}
		out := fitted(cmd.OutOrStdout())
		if *answer {
			return showAnswer(out, target, args)
		}
		test, err := testFor(target, args)
		if err != nil {
			return err
		}
		if slices.Contains(target.Progress.NotRun, test) {
			return nextCompilerHint(out, target, test)
		}
		return nextHint(out, target, test)
	}
	return cmd
}

// learnersFolder returns the folder in which hints are counted: the one around
// the current folder that start made.
func learnersFolder() (check.Target, error) {
	if _, err := progress.Open("."); errors.Is(err, progress.ErrNone) {
		return check.Target{}, errors.New(`hint counts what it has shown in your own folder: go into the folder that start made, or make one with "go tool workshop start 01 DIR"`)
	}
	return check.Find(".")
}

// showAnswer answers the question of a station: the one that args name, or the one
// that check asked last.
func showAnswer(w io.Writer, t check.Target, args []string) error {
	s := lastAsked(t)
	if len(args) == 1 {
		var err error
		if s, err = course.Find(args[0]); err != nil {
			return err
		}
	}
	page, err := hint.Load(s)
	if err != nil {
		return err
	}
	if page.Answer == "" {
		return fmt.Errorf("%s has no question with an answer", s.Name)
	}
	_, err = fmt.Fprintf(w, "%s asks: %s\n\n%s\n", s.Name, page.Question, page.Answer)
	if len(args) == 0 && s.Name != t.Station.Name {
		fmt.Fprintf(w, "\nYou are at %s now. Its question: go tool workshop hint -answer %[1]s\n", t.Station.Name)
	}
	return err
}

// lastAsked returns the station whose question check asked last: after next that is
// the one before, until the learner has finished the new one.
func lastAsked(t check.Target) course.Station {
	previous, ok := t.Station.Previous()
	if ok && !t.Progress.IsFinished(t.Station.Name) && t.Progress.IsFinished(previous.Name) {
		return previous
	}
	return t.Station
}

// testFor returns the test that args name, or the first that is to do.
func testFor(t check.Target, args []string) (string, error) {
	if len(args) == 1 {
		return findTest(t, args[0])
	}
	if notRun := t.Progress.NotRun; len(notRun) > 0 { // fixed first
		if i := slices.IndexFunc(t.Progress.ToDo, func(test string) bool { return slices.Contains(notRun, test) }); i >= 0 {
			return t.Progress.ToDo[i], nil
		}
		return notRun[0], nil
	}
	for _, todo := range [][]string{t.Progress.Some, t.Progress.ToDo} {
		if len(todo) > 0 {
			return firstWithHints(t, todo), nil
		}
	}
	if len(t.Progress.Passed[t.Station.Name]) == 0 {
		return "", errors.New(`nothing has been checked yet at ` + t.Station.Name + `: run "go tool workshop check" first, or name a test`)
	}
	return "", errors.New(`all tests passed in the last check: name a test to see its hints`)
}

// firstWithHints returns the first test of todo that has hints: naive tests and pins,
// which may come before it, turn with the others. If none has, it is the first of all.
func firstWithHints(t check.Target, todo []string) string {
	for _, test := range todo {
		if found, err := hint.Of(t, test); err == nil && len(found) > 0 {
			return test
		}
	}
	return todo[0]
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
		return "", fmt.Errorf("no test of %s has %q in its name: \"go tool workshop check\" lists them", t.Station.Name, part)
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("%q is in the names of %d tests: %s", part, len(found), strings.Join(found, ", "))
}

// climb returns all hints for a test, each stronger than the one before: about how it
// ended at the last check, then about what it checks.
func climb(t check.Target, test string) ([]string, error) {
	own, err := hint.Of(t, test)
	if err != nil {
		return nil, err
	}
	why := t.Progress.Why[test]
	hints := slices.Clone(why.Hints)
	for _, h := range hint.CaseFirst(own, why.Case) {
		if len(why.Hints) > 0 {
			h = "About what the test checks: " + h
		}
		hints = append(hints, h)
	}
	return hints, nil
}

// nextHint shows the first hint of a test that has not been shown, or all of them
// again when there is no other.
func nextHint(w io.Writer, t check.Target, test string) error {
	found, err := climb(t, test)
	if err != nil {
		return err
	}
	if why := t.Progress.Why[test]; why.Cause != "" {
		fmt.Fprintf(w, "At the last check: %s\n", why.Cause)
	}
	if len(found) == 0 {
		fmt.Fprintf(w, "There are no hints for %s: read what the test itself does.\n", test)
		return sayThatSolutionsAreThere(w, t, test)
	}
	if t.Progress.Hints[test] >= len(found) {
		fmt.Fprintf(w, "All hints for %s have been shown. Here they are again.\n", test)
		for i := range found {
			showHint(w, t, test, found, i)
		}
		return sayThatSolutionsAreThere(w, t, test)
	}
	shown := t.Progress.ShowHint(test)
	showHint(w, t, test, found, shown-1)
	if shown == len(found) {
		return errors.Join(sayThatSolutionsAreThere(w, t, test), t.Progress.Save())
	}
	return t.Progress.Save()
}

// showHint shows the i-th hint. Whether the test still fails, only a check can
// tell.
func showHint(w io.Writer, t check.Target, test string, found []string, i int) {
	when := ""
	if slices.Contains(t.Progress.ToDo, test) || slices.Contains(t.Progress.Some, test) {
		when = " (to do as of the last check)"
	}
	fmt.Fprintf(w, "\n%s%s, hint %d of %d\n\n%s\n", test, when, i+1, len(found), found[i])
}

// sayThatSolutionsAreThere names the files that a test is about: the one in which it
// ended, and by the lesson those whose code turns it green; all that the station changes
// if neither is known. Those that are as ours already are left out.
func sayThatSolutionsAreThere(w io.Writer, t check.Target, test string) error {
	files, err := changedCode(t)
	if err != nil {
		return err
	}
	of, err := course.FilesFor(t.Root, t.Station, test)
	if err != nil {
		return err
	}
	if file := t.Progress.Why[test].File; file != "" {
		of = append(of, file)
	}
	ours, err := ourFiles(t)
	if err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(name string) bool {
		yours, err := os.ReadFile(filepath.Join(t.Dir, filepath.FromSlash(name)))
		return err == nil && strings.ReplaceAll(string(yours), "\r\n", "\n") == string(ours[name])
	})
	if slices.ContainsFunc(files, func(name string) bool { return slices.Contains(of, name) }) {
		files = slices.DeleteFunc(files, func(name string) bool { return !slices.Contains(of, name) })
	}
	if len(files) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nOur code is there when you want it:")
	for _, file := range files {
		fmt.Fprintf(w, "  go tool workshop solution %s\n", file)
	}
	return nil
}
