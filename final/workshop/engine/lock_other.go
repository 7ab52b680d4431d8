//go:build !(linux || darwin || freebsd || windows)

package engine

import (
	"errors"
	"os"
)

// errHeld is returned by tryLock for a file that another process has locked.
var errHeld = errors.New("held")

// tryLock does nothing on this system.
func tryLock(*os.File) error { return errors.ErrUnsupported }
