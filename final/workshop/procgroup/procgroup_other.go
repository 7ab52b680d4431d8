//go:build !unix

package procgroup

import "os/exec"

// Set does nothing here.
func Set(*exec.Cmd) {}

// End does nothing here.
func End(*exec.Cmd) {}
