package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
)

func newDiff() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "diff A B [-- FILE...]",
		Short: "What changes from one step or checkpoint to another",
		Long: "Diff shows what changes from step or checkpoint A to B, such as 02 and 03 or 5a and 5b:\n" +
			"code first, in the lesson's order, then tests. The article's way is left out. A step with checkpoints, such as 05,\n" +
			"means its last one here, 5f, with which it is whole; \"go tool workshop start 05\" begins with its first, 5a.",
		Example: "  go tool workshop diff 02 03\n  go tool workshop diff 5a 5b -- client.go",
		Args:    cobra.MinimumNArgs(2),
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
