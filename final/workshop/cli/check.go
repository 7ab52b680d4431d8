package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/hint"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func init() { commands = append(commands, newCheck) }

func newCheck() *cobra.Command {
	c := &checking{}
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Run the tests on your code: what is done, what is to do",
		Long: "Check compiles each package by itself and runs each test in a process of its own, so that a panic or\n" +
			"a test that hangs hides no other. DIR is a folder that start made, or one of the course's steps.",
		Example: "  go tool workshop check\n  go tool workshop check -run Client -v",
		Args:    cobra.MaximumNArgs(1),
	}
	c.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.out, c.meter = cmd.OutOrStdout(), newMeter(cmd.ErrOrStderr())
		target, err := check.Find(dirOf(args))
		if err != nil {
			return err
		}
		return orInterrupted(cmd.Context(), c.check(cmd.Context(), target))
	}
	return cmd
}

// orInterrupted returns err, in plain words if it comes of an interrupt.
func orInterrupted(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errors.New("interrupted")
	}
	return err
}

// dirOf returns the folder that args name, or this one.
func dirOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// checking is what check and watch have in common.
type checking struct {
	out     io.Writer
	meter   *meter
	run     string
	verbose bool
	race    bool
	timeout time.Duration
	told    bool // that there is no race detector
}

func (c *checking) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.run, "run", "", "only tests whose name matches `REGEXP`; progress is not kept then")
	cmd.Flags().BoolVarP(&c.verbose, "verbose", "v", false, "the whole output of tests that fail")
	cmd.Flags().BoolVar(&c.race, "race", true, "with the race detector, where there is one")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 20*time.Second, "how long one test may take")
}

// check runs the tests once, and returns an error while something is to do.
func (c *checking) check(ctx context.Context, t check.Target) error {
	options, err := c.options(ctx, t.Dir)
	if err != nil {
		return err
	}
	c.meter.start(options.Timeout)
	options.Progress = c.meter.step
	report, err := check.Run(ctx, t, options)
	c.meter.stop()
	if err != nil {
		return err
	}
	if len(report.Results) == 0 {
		return fmt.Errorf("no test's name matches %q: without -run, all are run", c.run)
	}
	fmt.Fprintf(c.out, "%s %s: %s\n\n", t.Station.Name, t.Station.Title, t.Dir)
	printer := check.Printer{W: c.out, Verbose: c.verbose, Hint: c.firstHint(t)}
	printer.Print(report)
	if options.Run == nil {
		if err := record(report); err != nil {
			return err
		}
	}
	if !report.Done() {
		return toDo(report)
	}
	if options.Run != nil || t.Progress == nil {
		return nil
	}
	return c.afterLast(t)
}

// options turns the flags into the check's options. That there is no race
// detector is said once.
func (c *checking) options(ctx context.Context, dir string) (check.Options, error) {
	o := check.Options{Race: c.race, Timeout: c.timeout}
	if c.run != "" {
		run, err := regexp.Compile(c.run)
		if err != nil {
			return o, fmt.Errorf("-run: %w", err)
		}
		o.Run = run
	}
	if !c.race {
		return o, nil
	}
	why, ok := check.CanRace(ctx, dir)
	if ok || ctx.Err() != nil {
		return o, ctx.Err()
	}
	o.Race = false
	if !c.told {
		fmt.Fprintf(c.out, "Without the race detector: %s.\n\n", why)
		c.told = true
	}
	return o, nil
}

// firstHint returns what to show of a test's hints.
func (c *checking) firstHint(t check.Target) func(string) string {
	return func(test string) string {
		found, err := hint.For(t.Station, test)
		if err != nil || len(found) == 0 {
			return "" // verify tells about pages that cannot be read
		}
		return found[0]
	}
}

// record keeps what the report says in the learner's folder. It is read again,
// since hint may have written to it while the tests ran.
func record(r *check.Report) error {
	if r.Target.Progress == nil {
		return nil
	}
	p, err := progress.Open(r.Target.Dir)
	if err != nil {
		return err
	}
	if p.Station != r.Target.Station.Name {
		return nil // the learner has gone on meanwhile
	}
	p.Record(r.Passed(), r.ToDo(), r.Done())
	if mistakes := r.Mistakes(); len(mistakes) > 0 {
		p.RecordMistake(strings.Join(mistakes[0].Lines, "\n"), r.NotCompiled())
	}
	return p.Save()
}

// toDo is the error of a report with something to do: what comes first.
func toDo(r *check.Report) error {
	if mistakes := r.Mistakes(); len(mistakes) > 0 {
		return errors.New(mistakes[0].String())
	}
	todo := r.ToDo()
	if len(todo) == 0 {
		return errors.New("all tests pass, but go test refuses to run: mend what go vet names above")
	}
	if r.Target.Progress == nil {
		return fmt.Errorf("%d to do", len(todo))
	}
	return fmt.Errorf(`%d to do, %s first: "go tool workshop hint" helps`, len(todo), todo[0])
}

// afterLast tells a learner who has finished a station what changed, asks its
// question, and says how to go on.
func (c *checking) afterLast(t check.Target) error {
	s := t.Station
	fmt.Fprintf(c.out, "\nYou have finished %s.\n", s.Name)
	if previous, ok := s.Previous(); ok {
		d, err := diff.Between(t.Root, previous, s)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "\nWhat changed, in our code: go tool workshop diff %s %s\n%s", previous.Name, s.Name, d.Stat())
	}
	page, err := hint.Load(s)
	if err != nil {
		return err
	}
	if page.Question != "" {
		fmt.Fprintf(c.out, "\nCan you say it? %s\nWhen you have tried: go tool workshop hint -answer\n", page.Question)
	}
	if next, ok := s.Next(); ok {
		fmt.Fprintf(c.out, "\nNext is %s, %s: go tool workshop next\n", next.Name, next.Adds)
		return nil
	}
	fmt.Fprintln(c.out, "\nThat was the last. What a framework adds is in final: final/README.md is a tour of it.")
	return nil
}
