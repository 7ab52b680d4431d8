package rpc

import (
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"example.com/rpc-from-scratch/final/internal/belowtls"
)

// userConn is a connection of a user's: from NewClient, ServeConn, a dialer or a
// listener, or from crypto/tls, which calls a user's functions. It returns only what
// net.Conn promises: a panic is an error, a number of bytes is one that there can be,
// and an error can be read.
type userConn struct{ net.Conn }

// guardConn returns conn, with its methods guarded if they can be a user's.
func guardConn(conn net.Conn) net.Conn {
	switch conn.(type) {
	case *net.TCPConn, *net.UnixConn:
		return conn // which writes several slices with one system call
	}
	return userConn{conn}
}

// Read implements net.Conn. A Read that returns nothing again and again is an error, as
// in package bufio: its goroutine would never end.
func (c userConn) Read(p []byte) (n int, err error) {
	defer c.guard(&err)
	for range maxEmptyReads {
		n, err = c.Conn.Read(p)
		if n = max(0, min(n, len(p))); n > 0 || err != nil || len(p) == 0 {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

const maxEmptyReads = 100

// Write implements net.Conn. Without an error it has written all, whatever number
// the user's Write returns. With an error and a number that there cannot be, or after
// a panic, it is not known what was written: it may have been all.
func (c userConn) Write(p []byte) (n int, err error) {
	defer c.guard(&err)
	n = len(p)
	if written, failed := c.Conn.Write(p); failed != nil {
		if 0 <= written && written < n {
			n = written
		}
		err = failed
	}
	return n, err
}

// Close implements net.Conn. It may be called on a user's goroutine, and others wait
// for what follows.
func (c userConn) Close() error {
	return c.apart(func() error {
		belowtls.EndWrites(c.Conn)
		return c.Conn.Close()
	})
}

// CloseWrite ends the sending direction, if the connection can do that.
func (c userConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return c.apart(half.CloseWrite)
	}
	return nil
}

// apart calls a method of the connection that may neither panic nor end the goroutine
// that needs it.
func (c userConn) apart(method func() error) error {
	return runApart(fmt.Sprintf("the connection %T", c.Conn), method)
}

// SetDeadline implements net.Conn.
func (c userConn) SetDeadline(when time.Time) (err error) {
	defer c.guard(&err)
	return c.Conn.SetDeadline(when)
}

// SetReadDeadline implements net.Conn.
func (c userConn) SetReadDeadline(when time.Time) (err error) {
	defer c.guard(&err)
	return c.Conn.SetReadDeadline(when)
}

// SetWriteDeadline implements net.Conn.
func (c userConn) SetWriteDeadline(when time.Time) (err error) {
	defer c.guard(&err)
	return c.Conn.SetWriteDeadline(when)
}

// guard is deferred. It makes a panic an error, and an error one that can be read.
func (c userConn) guard(err *error) {
	if p := recover(); p != nil {
		printPanic(fmt.Sprintf("in the connection %T", c.Conn), p, debug.Stack())
		*err = errors.New("the connection panicked")
	}
	if *err != nil {
		*err = plainError(*err)
	}
}
