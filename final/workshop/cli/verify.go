package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fatih/color"
	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/verify"
)

func newVerify() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "verify [CHECK...]",
		Short:   "Compare the lessons with the code (for maintainers)",
		Long:    "Verify compares all that the lessons quote, count, name or print with the code. It runs the checks that you name, or all, and fails if there is a problem.",
		Example: "    go tool workshop verify\n    go tool workshop verify -lesson 03 code complete console",
	}
	list := cmd.Flags().Bool("list", false, "list the checks")
	lessons := cmd.Flags().StringSlice("lesson", nil, "look only at these `lessons`: the name of a step or station, or a page's path below the root; exercises have pages of their own, such as step03-client/EXERCISES.md")
	figures := cmd.Flags().Bool("figures", false, "print what was measured, one line per page")
	long := cmd.Flags().Bool("long", false, "mutants: try each variant at all stations that it fits, not only at its first")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		checks, err := verify.Select(args)
		if err != nil {
			return err
		}
		if *list {
			listChecks(cmd.OutOrStdout(), checks)
			return nil
		}
		root, err := course.Root(".")
		if err != nil {
			return err
		}
		c, err := verify.New(root, *lessons...)
		if err != nil {
			return err
		}
		c.Long = *long
		problems := 0
		for _, check := range checks {
			found := check.Run(cmd.Context(), c)
			if *figures {
				fmt.Fprint(cmd.OutOrStdout(), lines(found.Figures))
			}
			printFindings(cmd.OutOrStdout(), check.Name, found)
			problems += len(found.Problems)
		}
		if problems > 0 {
			return errors.New(counted(problems, "problem") + ": each line above says what to do")
		}
		return nil
	}
	return cmd
}

func listChecks(w io.Writer, checks []verify.Check) {
	for _, check := range checks {
		fmt.Fprintf(w, "%-10s %s\n", check.Name, check.Short)
	}
}

// printFindings prints a check's problems, and a line that sums them up.
func printFindings(w io.Writer, name string, f *verify.Findings) {
	for _, p := range f.Problems {
		fmt.Fprintln(w, p)
	}
	for _, note := range f.Notes {
		fmt.Fprintf(w, "%s: not checked: %s\n", name, note)
	}
	for _, report := range f.Reports {
		fmt.Fprintf(w, "%-10s %s\n", name, report)
	}
	result := color.GreenString("ok")
	if len(f.Problems) > 0 {
		result = color.RedString(counted(len(f.Problems), "problem"))
	}
	fmt.Fprintf(w, "%-10s %s (%.1fs)\n", name, result, f.Took.Round(100*time.Millisecond).Seconds())
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// lines returns each text with a newline.
func lines(texts []string) string {
	var b strings.Builder
	for _, text := range texts {
		b.WriteString(text + "\n")
	}
	return b.String()
}
