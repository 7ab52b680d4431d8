package cli

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/pack"
)

func newPack() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pack FILE",
		Short: "One archive of the course and its modules, for a room without a network",
		Long: "Pack writes the workspace, its book and the modules that it needs into FILE, a .zip or .tar.gz, and prints the commands that unpack and use it. " +
			"The modules come from this machine's cache, or from the network if they are not there.",
		Example: "    go tool workshop pack ../rpc-from-scratch.zip",
		Args:    cobra.ExactArgs(1),
	}
	bench := cmd.Flags().Bool("bench", false, "also pack what final/bench and final/tracing need; no lesson needs it")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		w := cmd.OutOrStdout()
		tell := func(message string) { fmt.Fprintln(w, message) }
		s, err := pack.Write(cmd.Context(), root, args[0], pack.Options{Bench: *bench, Tell: tell})
		if err != nil {
			return orInterrupted(cmd.Context(), err)
		}
		fmt.Fprintf(w, "%s: %d files and %d modules, %d MB.\n\n", args[0], s.Files, s.Modules, (s.Bytes+1<<20-1)>>20)
		fmt.Fprint(w, pack.Commands(filepath.Base(args[0])))
		if !*bench {
			fmt.Fprintln(w, "\nfinal/bench and final/tracing cannot be built there, and so \"go test work\" fails: with -bench, what they need is packed, too.")
		}
		return nil
	}
	return cmd
}
