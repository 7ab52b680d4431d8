package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
)

func newDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A B [-- FILE...]",
		Short: "What changes from one step or checkpoint to another",
		Long: "Diff shows what changes from step or checkpoint A to B, such as 02 and 03 or 5a and 5b: first the code, in the lesson's order, then the tests. " +
			"It leaves out the article's way.\n\n" +
			"Here, a step with checkpoints, such as 05, means its last one, 5f. For start, it means the first, 5a.",
		Example: "    go tool workshop diff 02 03\n    go tool workshop diff 5a 5b -- client.go",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New(`diff compares two steps or checkpoints: name both, such as "go tool workshop diff 02 03"`)
			}
			return nil
		},
	}
	stat := cmd.Flags().Bool("stat", false, "only count lines")
	names := cmd.Flags().Bool("name-only", false, "only name the files")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		from, err := course.Find(args[0])
		if err != nil {
			return err
		}
		to, err := course.Find(args[1])
		if err != nil {
			return err
		}
		d, err := diff.Between(root, from, to)
		if err != nil {
			return err
		}
		if len(args) > 2 {
			if err := d.Only(args[2:]...); err != nil {
				return err
			}
		}
		text := d.Coloured
		switch {
		case *names:
			text = d.Names
		case *stat:
			text = d.ColouredStat
		}
		_, err = fmt.Fprint(cmd.OutOrStdout(), text())
		return err
	}
	return cmd
}
