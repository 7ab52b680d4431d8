package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/verify"
)

func newSync() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sync [LESSON... | diffs]",
		Short: "Rewrite what lessons quote, print and count, from the code (for maintainers)",
		Long: "Sync rewrites the code, output, excerpts and regions of the lessons that you name, by a station's name or a page's path below the root. " +
			"It prints the pages that it has changed. Without names it rewrites all lessons and testdata/diffs. \"sync diffs\" rewrites testdata/diffs alone, in a second.",
		Example: "    go tool workshop sync 03\n    go tool workshop sync final/README.md\n    go tool workshop sync diffs",
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		diffs := slices.Equal(args, []string{"diffs"})
		if diffs {
			args = nil
		}
		c, err := verify.New(root, args...)
		if err != nil {
			return err
		}
		var changed []string
		if diffs {
			changed, err = c.SyncDiffs()
		} else {
			changed, err = c.Sync(cmd.Context())
		}
		for _, page := range changed {
			fmt.Fprintln(cmd.OutOrStdout(), page)
		}
		return err
	}
	return cmd
}
