//go:build !plan9

package rpc

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// listenUnix listens at path, also if a process that was killed has left a socket there.
func listenUnix(path string) (net.Listener, error) {
	if isAbstract(path) {
		return net.Listen("unix", path)
	}
	// A socket that is bound but does not listen yet looks stale, too. So both
	// steps, and the look, are made under a lock. Without one, the look is the
	// best there is.
	unlock := lockFolder(filepath.Dir(path))
	defer unlock()
	ln, err := net.Listen("unix", path)
	if !causes.Is(err, syscall.EADDRINUSE) {
		return ln, err
	}
	if err := removeStale(path); err != nil {
		return nil, &net.OpError{Op: "listen", Net: "unix", Addr: &net.UnixAddr{Name: path, Net: "unix"}, Err: err}
	}
	return net.Listen("unix", path)
}

// removeStale removes a socket on which nothing listens.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case causes.Is(err, fs.ErrNotExist):
		return nil // its owner has removed it meanwhile
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: the file is not a socket", syscall.EADDRINUSE)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%w: another process listens there", syscall.EADDRINUSE)
	case !causes.Is(err, syscall.ECONNREFUSED): // no permission, a full backlog: it may well be alive
		return fmt.Errorf("%w: whether another process listens there is not known: %w", syscall.EADDRINUSE, err)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(info, now) {
		return fmt.Errorf("%w: another process has just replaced the socket", syscall.EADDRINUSE)
	}
	return os.Remove(path)
}
