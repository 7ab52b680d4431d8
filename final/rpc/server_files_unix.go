//go:build unix

package rpc

import "syscall"

// fileLimit returns how many files the process may have open.
func fileLimit() (limit uint64, known bool) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return 0, false
	}
	return uint64(files.Cur), true
}
