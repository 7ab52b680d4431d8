package cli

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func init() { commands = append(commands, newNext) }

func newNext() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "next",
		Short: "Go on to the next step or checkpoint, with your code",
		Long: "Next brings the files and tests of the next step or checkpoint into your folder. It edits none of your code:\n" +
			"it prints what the lesson will change. A test that you have changed is kept as FILE.mine.",
		Args: cobra.NoArgs,
	}
	force := cmd.Flags().Bool("force", false, "go on although tests fail")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		p, err := progress.Open(".")
		if err != nil {
			return err
		}
		root, err := course.Root(p.Dir())
		if err != nil {
			return err
		}
		move, err := starter.Next(root, p)
		if err != nil {
			return err
		}
		green := p.IsFinished(p.Station) && len(p.ToDo) == 0 // by the last check; what was green once need not be now
		if !green && !*force {
			fmt.Fprintf(cmd.ErrOrStderr(), "Running the tests of %s…\n", p.Station)
			green = testsPass(cmd.Context(), p.Dir())
		}
		if !green && !*force {
			if cmd.Context().Err() != nil {
				return errors.New("interrupted: nothing has changed")
			}
			return fmt.Errorf("not all tests of %s pass yet: \"go tool workshop check\" says which, and \"go tool workshop next -force\" goes on all the same", p.Station)
		}
		if err := move.Do(p); err != nil {
			return err
		}
		out := cmd.OutOrStdout()
		fmt.Fprintf(out, "You are at %s, %s:\n%s.\n", move.To.Name, move.To.Title, move.To.Adds)
		for _, name := range move.Kept {
			fmt.Fprintf(out, "\nYou have a file %s already: it stays as it is.\nThe course's: go tool workshop solution %[1]s\n", name)
		}
		for _, name := range move.Saved {
			fmt.Fprintf(out, "\nYou have changed %s: what you had is in %[1]s.mine now.\n", name)
		}
		changes, err := starter.Changes(root, move.To)
		if err != nil {
			return err
		}
		printWork(out, starter.Lesson(root, move.To), move.Stubs, changes)
		fmt.Fprintf(out, "\n%s go tool workshop check\n", heading("Then:"))
		return nil
	}
	return cmd
}

// testsPass runs the tests of a learner's folder.
func testsPass(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "go", "test", "-timeout", "60s", "./...")
	cmd.Dir = dir
	return cmd.Run() == nil
}
