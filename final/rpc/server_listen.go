package rpc

import (
	"context"
	"net"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// Listen listens on "host:port" or "unix:path". Without a host, as in ":7001", it
// listens on all addresses of the machine; port 0 picks a free port. An address that
// cannot be parsed is InvalidArgument, and so is "": an address that somebody forgot
// must not open a port to the world.
//
// A Unix socket stays in the file system when its process is killed. Listen
// removes such a file if it is a socket on which no process listens. Anything
// else at path is an error that wraps syscall.EADDRINUSE. If two processes
// start at the same time, one of them gets the socket, on systems that can lock
// the socket's folder by flock. A path that is too long for a socket is
// InvalidArgument.
func Listen(addr string) (net.Listener, error) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if err := checkUnixPath(path); err != nil {
			return nil, err
		}
		return listenUnix(path)
	}
	if err := checkAddr(context.Background(), addr, 0); err != nil {
		return nil, err
	}
	return net.Listen("tcp", addr)
}

// checkUnixPath refuses what can be no socket's path, in clearer words than the
// system has ("invalid argument").
func checkUnixPath(path string) error {
	switch n := len(path); {
	case path == "" || strings.ContainsRune(path, 0):
		return Errorf(InvalidArgument, "address %q: want unix: and a path", "unix:"+path)
	case n > maxUnixPath && !(n == maxUnixPath+1 && isAbstract(path)):
		return Errorf(InvalidArgument, "unix socket path of %d bytes: at most %d are allowed: %s", n, maxUnixPath, path)
	}
	return nil
}

// isAbstract reports whether a socket has a name that is no file's: see unix(7) of Linux.
func isAbstract(path string) bool { return path[0] == '@' }

// temporary reports whether a listener that failed with err may accept again. An
// error in the listener's own words is for good: a loop would never end.
func temporary(err error) bool {
	if !tellsItself(err) {
		return false
	}
	if timeout, ok := causes.Find[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	if passing, ok := causes.Find[interface{ Temporary() bool }](err); ok && passing.Temporary() {
		return true
	}
	return slices.ContainsFunc(passingFailures, func(target error) bool { return causes.Is(err, target) })
}
