//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package rpc

import "syscall"

// maxUnixPath is how long a socket's path may be.
const maxUnixPath = 103

// passingFailures are what accepting fails with for a reason that may be gone soon.
var passingFailures = []error{syscall.EMFILE}

// lockFolder does nothing: there is no flock here.
func lockFolder(string) (unlock func()) { return func() {} }
