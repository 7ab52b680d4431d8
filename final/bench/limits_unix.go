//go:build linux || darwin

package main

import "syscall"

// allowOpenFiles raises this process's limit of open files, which its children inherit, to n or as far as the machine allows,
// and returns what it is then.
func allowOpenFiles(n int) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return n // not known: opening the files will tell
	}
	want := uint64(n)
	if limit.Max < want {
		// Only root may raise the hard limit; for anybody else this fails and changes nothing.
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: want, Max: want})
	} else {
		// Also where the limit is high enough already: Go hands a limit on to children only when it was set.
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: max(want, limit.Cur), Max: limit.Max})
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur > want {
		return n
	}
	return int(limit.Cur)
}
