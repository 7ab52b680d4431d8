//go:build unix

package procgroup

import (
	"os/exec"
	"syscall"
)

// Set makes a command, which is not started yet, take its children with it when its context
// ends: to kill the go command alone would leave the tool that it runs.
func Set(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// End ends what a command for which Set was called has left behind. The command has ended,
// or was never started.
func End(cmd *exec.Cmd) {
	if cmd.Process != nil {
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
}
