package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/bridge"
	"example.com/rpc-from-scratch/final/workshop/course"
)

func newBridge() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bridge [NAME [DIR]]",
		Short: "After step 07: carry your code towards final",
		Long: "Bridge adds the tests of a bridge to DIR, your folder, in which step 07 is finished. It prints what the bridge's lesson will change. " +
			"Without DIR it takes the current folder, without NAME it lists the bridges.",
		Args: cobra.MaximumNArgs(2),
	}
	solve := cmd.Flags().Bool("solve", false, "also add the course's code, where yours is still that of step 07")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		out := cmd.OutOrStdout()
		if len(args) == 0 {
			for _, b := range bridge.Bridges {
				fmt.Fprintf(out, "%-13s %s\n", b.Name, b.Adds)
			}
			return nil
		}
		b, err := bridge.Find(args[0])
		if err != nil {
			return err
		}
		dir := "."
		if len(args) == 2 {
			dir = args[1]
		}
		root, err := course.Root(dir)
		if err != nil {
			return err
		}
		return putBridge(out, root, dir, b, *solve)
	}
	return cmd
}

// putBridge puts a bridge on, and says what it did and what is to be done.
func putBridge(out io.Writer, root, dir string, b bridge.Bridge, solve bool) error {
	names, err := b.Tests(root, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s\n", heading("Tests:"), strings.Join(names, ", "))
	if solve {
		names, err := b.Solve(root, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s %s\n", heading("Written:"), strings.Join(slices.Compact(names), ", "))
		return nil
	}
	changes, err := b.Changes(root)
	if err != nil {
		return err
	}
	for _, c := range changes {
		fmt.Fprintf(out, "%s %s: %s\n", heading("The lesson changes"), c.File, strings.Join(c.Decls, ", "))
	}
	fmt.Fprintf(out, "\n%s final/workshop/bridge/%s/README.md\n", heading("Lesson:"), b.Name)
	return nil
}
