package cli

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func newUpdate() *cobra.Command {
	return &cobra.Command{
		Use:   "update",
		Short: "After a pull: bring the course's new tests into your folder",
		Long: "Update replaces the tests of your station, and the other files that the course has put into your folder, by those that the course has now. " +
			"The programs and what else start and next ship are renewed, and so are stubs in files that you have not touched. " +
			"Run it after \"git pull\" in the clone. It never touches your code: a shipped file that you have changed is named, and stays. " +
			"If you have changed a test, your version is kept as FILE.mine, or as FILE.mine2 if there is a FILE.mine already.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := progress.Open(".")
			if err != nil {
				return err
			}
			root, err := course.Root(p.Dir())
			if err != nil {
				return err
			}
			move, err := starter.Update(root, p)
			if err != nil {
				return err
			}
			if err := move.Do(p); err != nil {
				return err
			}
			printUpdate(fitted(cmd.OutOrStdout()), move)
			return nil
		},
	}
}

// printUpdate says what an update has changed.
func printUpdate(out io.Writer, m *starter.Move) {
	if len(m.Written())+len(m.Removed()) == 0 {
		fmt.Fprintf(out, "Nothing to update: your tests of %s are those of the course.\n", m.To.Name)
		printKept(out, m)
		return
	}
	fmt.Fprintf(out, "Updated for %s:\n", m.To.Name)
	for _, name := range m.Removed() {
		fmt.Fprintf(out, "  %s is gone\n", name)
	}
	for _, name := range m.Written() {
		i := slices.IndexFunc(m.Saved, func(b starter.Backup) bool { return b.Name == name })
		if i < 0 {
			fmt.Fprintf(out, "  %s\n", name)
			continue
		}
		fmt.Fprintf(out, "  %s: you had changed it, and what you had is in %s now\n", name, m.Saved[i].As)
	}
	printKept(out, m)
	fmt.Fprintf(out, "\nThen: go tool workshop check\n")
}

// printKept names what an update has left, since the learner has changed it.
func printKept(out io.Writer, m *starter.Move) {
	for _, name := range m.Kept {
		fmt.Fprintf(out, "\nYou have changed %s, and the course has, too: yours stays.\nThe course's: go tool workshop solution %[1]s\n", name)
	}
}
