//go:build linux || darwin || freebsd

package engine

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// errHeld is returned by tryLock for a file that another process has locked.
var errHeld = unix.EWOULDBLOCK

// tryLock locks f until it is closed. Some systems of files have no locks.
func tryLock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.ENOLCK) {
		return errors.ErrUnsupported
	}
	return err
}
