package cli

import (
	"errors"
	"os/exec"

	"github.com/spf13/cobra"
)

// needsGo is the PreRunE of the commands that run "go" on a learner's code: without
// it, each would fail in words of its own, after half its work.
func needsGo(*cobra.Command, []string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New(`this command runs "go", and no folder of PATH has it: use a terminal where "go version" works; "go tool workshop doctor" says more`)
	}
	return nil
}
