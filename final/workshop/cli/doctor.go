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
)

func init() { commands = append(commands, newDoctor) }

func newDoctor() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: `Look at this machine: "ready", or what to do`,
		Long:  "Doctor looks at Go, its settings, the modules, the disk and a port, and runs one test. The first time it may take a minute.",
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
				return orInterrupted(cmd.Context(), errors.New("not ready: mend what is marked \"to do\", and run doctor again"))
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
	fmt.Fprintf(w, "%s  %-14s %s\n", mark, f.Name, f.Found)
	if more != "" {
		indent := strings.Repeat(" ", 22)
		fmt.Fprintln(w, indent+strings.ReplaceAll(more, "\n", "\n"+indent))
	}
}
