//go:build unix

package console

import (
	"os/exec"
	"syscall"
)

// inGroup makes the command, when it is cancelled, take its children with it: to
// kill the go command alone would leave the tool that it runs.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
