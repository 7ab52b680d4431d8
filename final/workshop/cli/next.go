package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func newNext() *cobra.Command {
	n := &nexting{}
	cmd := &cobra.Command{
		Use:     "next",
		PreRunE: needsGo,
		Short:   "Go on to the next step or checkpoint, with your code",
		Long: "Next adds the files and tests of the next step or checkpoint to your folder. It does not edit your code: it prints what the lesson will change. " +
			"The programs in cmd are the course's: they are renewed, unless you have changed them. " +
			"If you have changed a test, your version is kept as FILE.mine.\n\n" +
			"With -solve, next first replaces your code by ours of your present station, and runs no test. " +
			"If you have finished the station before that, the files that your station does not change stay yours. " +
			"A file of yours that is replaced, or that does not compile with ours, is kept as FILE.mine, or as FILE.mine2 if there is a FILE.mine already. " +
			"Save your files in the editor first. At the last station, -solve only puts our code in.",
		Example: "    go tool workshop next\n    go tool workshop next -solve",
		Args:    cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&n.force, "force", false, "go on although tests fail")
	cmd.Flags().BoolVar(&n.solve, "solve", false, "first replace your code by ours; yours is kept as FILE.mine")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := progress.Open(".")
		if err != nil {
			return err
		}
		root, err := course.Root(p.Dir())
		if err != nil {
			return err
		}
		move, err := n.plan(root, p)
		if err != nil {
			return err
		}
		if err := n.ready(cmd, p); err != nil {
			return err
		}
		if err := move.Do(p); err != nil {
			return err
		}
		return arrived(fitted(cmd.OutOrStdout()), root, p.Dir(), move, n.solve)
	}
	return cmd
}

// nexting is next with its flags.
type nexting struct{ force, solve bool }

func (n *nexting) plan(root string, p *progress.Progress) (*starter.Move, error) {
	if !n.solve {
		return starter.Next(root, p)
	}
	at, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	if to, ok := at.Next(); ok {
		return starter.SolveAndNext(root, p, to)
	}
	return starter.Finish(root, p)
}

// ready returns an error while tests of the present station fail, unless they need
// not pass.
func (n *nexting) ready(cmd *cobra.Command, p *progress.Progress) error {
	green := p.IsFinished(p.Station) && len(p.ToDo) == 0 // by the last check; what was green once need not be now
	if green || n.force || n.solve {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Running the tests of %s…\n", p.Station)
	switch {
	case testsPass(cmd.Context(), p.Dir()):
		return nil
	case cmd.Context().Err() != nil:
		return errors.New("interrupted: nothing has changed")
	}
	return fmt.Errorf("not all tests of %s pass yet: \"go tool workshop check\" says which, and \"go tool workshop next -force\" goes on all the same; "+
		"-solve puts our code in the place of yours first", p.Station)
}

// arrived tells a learner what a move has done, and what is to do now.
func arrived(out io.Writer, root, dir string, m *starter.Move, solved bool) error {
	if solved {
		printSolved(out, m)
	}
	if m.Last {
		fmt.Fprintf(out, "%s is the last: go on with the tour of the whole framework, %s\n", m.To.Name, starter.Tour(root))
		return nil
	}
	fmt.Fprintf(out, "You are at %s, %s:\n%s.\n", m.To.Name, m.To.Title, m.To.Adds)
	for _, name := range m.Kept {
		fmt.Fprintf(out, "\nYou have a file %s already: it stays as it is.\nThe course's: go tool workshop solution %[1]s\n", name)
	}
	if !solved {
		for _, b := range m.Saved {
			fmt.Fprintf(out, "\nYou have changed %s: what you had is in %s now.\n", b.Name, b.As)
		}
	}
	changes, err := starter.ChangesIn(root, m.To, dir)
	if err != nil {
		return err
	}
	if solved {
		changes = slices.DeleteFunc(changes, isGone)
	}
	printWork(out, starter.Lesson(root, m.To), m.Shipped, m.Stubs, changes)
	fmt.Fprintf(out, "\n%s go tool workshop check\n", heading("Then:"))
	return nil
}

// printSolved says what has become of the learner's code.
func printSolved(out io.Writer, m *starter.Move) {
	fmt.Fprintf(out, "%s\n", heading(solvedText(m)))
	for _, b := range m.Saved {
		fmt.Fprintf(out, "  %s is now %s\n", b.Name, b.As)
		if b.Why != "" {
			fmt.Fprintf(out, "    %s\n", b.Why)
		}
	}
	for _, name := range m.Stay {
		fmt.Fprintf(out, "  %s stays yours: %s does not change it\n", name, m.From.Name)
	}
	if len(m.Saved) > 0 {
		fmt.Fprintf(out, "If your editor still shows the old text of a file, reload it.\n")
	}
	fmt.Fprintln(out)
}

func solvedText(m *starter.Move) string {
	text := "Your folder is as start makes it for " + m.To.Name + "."
	if previous, ok := m.To.Previous(); ok {
		text = "Our code of " + previous.Name + " is in your folder."
	}
	if m.Last {
		text = "Our code of " + m.To.Name + " is in your folder."
	}
	if len(m.Saved)+len(m.Stay) == 0 {
		return text + " There was no work of yours to keep."
	}
	return text + " What you had is kept:"
}

// testsPass runs the tests of a learner's folder.
func testsPass(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "go", "test", "-timeout", "60s", "./...")
	cmd.Dir = dir
	return cmd.Run() == nil
}
