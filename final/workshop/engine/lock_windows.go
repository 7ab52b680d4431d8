package engine

import (
	"os"

	"golang.org/x/sys/windows"
)

// errHeld is returned by tryLock for a file that another process has locked.
var errHeld = windows.ERROR_LOCK_VIOLATION

// tryLock locks a byte of f far behind its text, which others may read.
func tryLock(f *os.File) error {
	at := &windows.Overlapped{OffsetHigh: 1}
	return windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, at)
}
