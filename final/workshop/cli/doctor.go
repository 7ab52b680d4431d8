package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/doctor"
	"example.com/rpc-from-scratch/final/workshop/wrap"
)

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: `Check this machine: "ready", or what to do`,
		Long:  "Doctor checks Go, its settings, the modules, the disk and a port, and runs one test. The first run may take a minute.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := course.Root(".")
			if err != nil {
				return err
			}
			w := cmd.OutOrStdout()
			machine := &doctor.Machine{Root: root}
			ready := machine.Examine(cmd.Context(), func(f doctor.Finding) { tell(w, f) })
			if !ready {
				return orInterrupted(cmd.Context(), errors.New("not ready: fix what is marked \"to do\", and run doctor again"))
			}
			fmt.Fprintln(w, "ready")
			return nil
		},
	}
}

// tell prints a finding.
func tell(w io.Writer, f doctor.Finding) {
	mark, more := color.GreenString("%-5s", "ok"), f.Note
	switch {
	case f.ToDo != "":
		mark, more = color.RedString("%-5s", "to do"), f.ToDo
	case f.Note != "":
		mark = color.YellowString("%-5s", "note")
	}
	indent := strings.Repeat(" ", 22)
	line := func(text string) { fmt.Fprintln(w, wrap.Words(text, fitWidth(w), indent)) }
	line(fmt.Sprintf("%s  %-14s %s", mark, f.Name, f.Found))
	if more == "" {
		return
	}
	for text := range strings.SplitSeq(more, "\n") {
		line(indent + text)
	}
}
