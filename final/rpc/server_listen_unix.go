//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package rpc

import (
	"os"
	"syscall"
	"time"
)

// maxUnixPath is how long a socket's path may be; the system's field has one byte
// more, for a zero.
const maxUnixPath = len(syscall.RawSockaddrUnix{}.Path) - 1

// passingFailures are what accept(2) fails with for a reason that may be gone soon.
var passingFailures = []error{
	syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR, syscall.EAGAIN,
	syscall.ECONNABORTED, syscall.ECONNRESET, syscall.EPROTO,
	syscall.ENETDOWN, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.EHOSTUNREACH,
}

const (
	lockTries = 100
	lockPause = 10 * time.Millisecond
)

// lockFolder keeps other processes out of their lockFolder, and returns what lets
// them in again. After a second it goes on without the lock: who has it for so long
// has it for another purpose.
func lockFolder(folder string) (unlock func()) {
	f, err := os.Open(folder)
	if err != nil {
		return func() {}
	}
	for range lockTries {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
			break
		}
		time.Sleep(lockPause)
	}
	return func() { f.Close() }
}
