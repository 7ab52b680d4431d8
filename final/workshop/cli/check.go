package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/engine"
	"example.com/rpc-from-scratch/final/workshop/hint"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func newCheck() *cobra.Command {
	c := &checking{}
	cmd := &cobra.Command{
		Use:     "check [DIR]",
		PreRunE: needsGo,
		Short:   "Run the tests on your code: what is done, what is to do",
		Long: "Check compiles each package by itself and runs each test in a process of its own, so a panic or a test that hangs does not hide the others. " +
			"DIR is a folder that start made, or one of the course's steps.",
		Example: "    go tool workshop check\n    go tool workshop check -run Client -v",
		Args:    cobra.MaximumNArgs(1),
	}
	c.flags(cmd)
	cmd.Flags().BoolVar(&c.json, "json", false, "print one JSON object per test, one per line; check/result.schema.json describes it")
	cmd.Flags().StringVar(&c.junit, "junit", "", "also write the results to `FILE`, as JUnit XML")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		c.open(cmd)
		target, err := check.Find(dirOf(args))
		if err != nil {
			return err
		}
		if err := c.board.open(target); err != nil {
			return err
		}
		err = orInterrupted(cmd.Context(), c.check(cmd.Context(), target))
		c.board.finish(fitted(cmd.ErrOrStderr()))
		return err
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
	width   int // of out, if it is a terminal
	run     string
	verbose bool
	race    bool
	timeout time.Duration
	plain   bool
	json    bool
	junit   string // a file; "": none
	told    bool   // that there is no race detector
	board   reporting
}

func (c *checking) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.run, "run", "", "run only the tests whose names match `REGEXP`; such a run does not count as progress")
	cmd.Flags().BoolVarP(&c.verbose, "verbose", "v", false, "print the whole output of the test that is explained")
	cmd.Flags().BoolVar(&c.race, "race", true, "use the race detector, where there is one")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 20*time.Second, "the time limit of one test")
	cmd.Flags().BoolVar(&c.plain, "plain", false, "print one line per problem, file:line:col: message, for editors; in a pipe this is the default")
	c.board.flags(cmd)
}

// open prepares the output: in a pipe it is plain, unless the user says otherwise.
func (c *checking) open(cmd *cobra.Command) {
	c.out = cmd.OutOrStdout()
	terminal := isTerminal(c.out)
	if !cmd.Flags().Changed("plain") {
		c.plain = !terminal
	}
	c.width = widthOf(c.out)
	c.meter = newMeter(cmd.ErrOrStderr(), c.plain)
}

// check runs the tests once, and returns an error while something is to do.
func (c *checking) check(ctx context.Context, t check.Target) error {
	options, err := c.options(ctx, t.Dir)
	if err != nil {
		return err
	}
	report, err := check.Run(ctx, t, c.begin(options))
	c.meter.stop()
	if err != nil {
		return err
	}
	all := options.Run == nil
	if all { // else it says nothing about the others
		c.board.reporter.Report(report)
	} else {
		c.board.some()
	}
	return c.finish(report, all)
}

// begin starts the meter of a check, and returns the check's options.
func (c *checking) begin(o check.Options) check.Options {
	c.meter.start(o.Timeout)
	o.Progress, o.Late = c.meter.step, c.meter.isLate
	return o
}

// finish prints a report and keeps it, and returns an error while something is to do.
func (c *checking) finish(report *check.Report, all bool) error {
	t := report.Target
	if len(report.Results) == 0 {
		return fmt.Errorf("no test's name matches %q: without -run, all are run", c.run)
	}
	hinted, err := c.print(report)
	if err != nil {
		return err
	}
	if err := engine.Record(report, all, hinted); err != nil {
		return err
	}
	if !report.Done() {
		return toDo(report)
	}
	if !all || t.Progress == nil || c.json {
		return nil
	}
	return c.afterLast(t)
}

// print writes the report in the form that the flags name, and returns the test
// whose first hint is in it, "" if none.
func (c *checking) print(r *check.Report) (hinted string, err error) {
	if c.junit != "" {
		var xml bytes.Buffer
		if err := errors.Join(check.JUnit(&xml, r), os.WriteFile(c.junit, xml.Bytes(), 0o666)); err != nil {
			return "", err
		}
	}
	hint := c.firstHint(r.Target, r.Why(""))
	switch {
	case c.json:
		return "", check.JSON(c.out, r)
	case c.plain:
		check.Plain(c.out, r, hint)
		return "", nil
	}
	printer := c.printer()
	printer.Hint = hint
	printer.Header(r.Target)
	return printer.Print(r), nil
}

// positive refuses a timeout that would end a test before it begins.
func positive(timeout time.Duration) error {
	if timeout <= 0 {
		return fmt.Errorf("-timeout %v: want more than 0", timeout)
	}
	return nil
}

// options turns the flags into the check's options. That there is no race
// detector is said once.
func (c *checking) options(ctx context.Context, dir string) (check.Options, error) {
	o := check.Options{Race: c.race, Timeout: c.timeout}
	if err := positive(c.timeout); err != nil {
		return o, err
	}
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
		fmt.Fprintf(c.meter.w, "Without the race detector: %s.\n", why)
		c.told = true
	}
	return o, nil
}

// firstHint returns what to show of a test's hints.
func (c *checking) firstHint(t check.Target, why map[string]progress.Why) func(string) string {
	return func(test string) string { return hint.First(t, test, why[test].Case) }
}

// toDo is the error of a report with something to do.
func toDo(r *check.Report) error {
	if mistakes := r.Mistakes(); len(mistakes) > 0 {
		return errors.New(mistakes[0].String())
	}
	todo := r.ToDo()
	if len(todo) == 0 {
		return errors.New("all tests pass, but go test refuses to run: fix what go vet names above")
	}
	if r.Target.Progress == nil {
		return fmt.Errorf("%d to do", len(todo))
	}
	return fmt.Errorf(`%d to do: "go tool workshop hint" helps`, len(todo))
}

// afterLast tells a learner who has finished a station what changed, asks its
// question, and says how to go on.
func (c *checking) afterLast(t check.Target) error {
	s, p := t.Station, c.printer()
	fmt.Fprintln(c.out)
	p.Paragraph("You have finished " + s.Name + ".")
	if previous, ok := s.Previous(); ok {
		d, err := diff.Between(t.Root, previous, s)
		if err != nil {
			return err
		}
		p.Paragraph(fmt.Sprintf("What changed, in our code: go tool workshop diff %s %s\n%s", previous.Name, s.Name, strings.TrimSuffix(d.Stat(), "\n")))
	}
	page, err := hint.Load(s)
	if err != nil {
		return err
	}
	if page.Question != "" {
		p.Paragraph(fmt.Sprintf("Can you say it? %s\nWhen you have tried: go tool workshop hint -answer", page.Question))
	}
	p.Paragraph(onward(s))
	return nil
}

// printer returns one for people.
func (c *checking) printer() *check.Printer {
	p := &check.Printer{W: c.out, Verbose: c.verbose}
	if !c.plain {
		p.Width = c.width
	}
	return p
}

// onward says what is next.
func onward(s course.Station) string {
	next, ok := s.Next()
	if !ok {
		return "That was the last. What a framework adds is in final: final/README.md is a tour of it."
	}
	text := fmt.Sprintf("Next is %s, %s:\n    go tool workshop next", next.Name, next.Adds)
	if !next.Side {
		return text
	}
	for core, ok := next.Next(); ok; core, ok = core.Next() {
		if !core.Side {
			return text + fmt.Sprintf("\nIt is a side trip. The core path goes on with %s:\n    go tool workshop start -solve %s", core.Name, core.Name)
		}
	}
	return text + "\nIt is a side trip: the core path has ended."
}
