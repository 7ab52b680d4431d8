// Package rpc is a TCP server that echoes lines: the ground on which the
// following steps build remote procedure calls.
package rpc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// ErrServerClosed is what Serve and ListenAndServe return after Close.
var ErrServerClosed = errors.New("rpc: server closed")

// A Server accepts connections and gives each a goroutine of its own, so that
// a slow client does not delay the others.
//
// The zero value is ready to use. All methods may be called concurrently.
type Server struct {
	mu      sync.Mutex
	closed  bool
	open    map[io.Closer]struct{} // the listeners and connections that Close closes
	serving sync.WaitGroup         // counts the goroutines that use something in open
}

// ListenAndServe listens on the TCP address addr, such as "127.0.0.1:8080",
// and calls Serve.
func (s *Server) ListenAndServe(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("rpc: %w", err)
	}
	return s.Serve(ln)
}

// Serve accepts connections on ln and serves them until Close is called or
// accepting fails. It closes ln, and always returns an error: after Close,
// ErrServerClosed.
func (s *Server) Serve(ln net.Listener) error {
	if !s.track(ln) {
		return ErrServerClosed
	}
	defer s.forget(ln)
	for {
		conn, err := ln.Accept()
		if err != nil {
			if s.isClosed() {
				return ErrServerClosed
			}
			// Enough for a lesson. A busy server that has run out of file
			// descriptors would wait a little and accept again.
			return fmt.Errorf("rpc: %w", err)
		}
		s.start(conn)
	}
}

// start serves conn in a goroutine of its own.
func (s *Server) start(conn net.Conn) {
	if !s.track(conn) {
		return
	}
	go func() {
		defer s.forget(conn)
		s.serveConn(conn)
	}()
}

// serveConn echoes what conn sends, line by line, until the client closes the
// connection or sends a line that is too long.
func (s *Server) serveConn(conn net.Conn) {
	r := bufio.NewReader(conn)
	for {
		line, err := readLine(r)
		if err != nil {
			return
		}
		if _, err := conn.Write(append(line, '\n')); err != nil {
			return
		}
	}
}

// Close stops accepting, closes the open connections and waits for the
// goroutines that serve them to end. Calling it again does no harm.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
	return nil
}

// track adds c to s.open, for Close to close, and counts the goroutine that will
// use c. If Close was first, it closes c and reports false.
func (s *Server) track(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.Close()
		return false
	}
	if s.open == nil {
		s.open = make(map[io.Closer]struct{})
	}
	s.open[c] = struct{}{}
	s.serving.Add(1)
	return true
}

// forget closes c, removes it from s.open, and counts its goroutine as ended. That
// goroutine calls it last.
func (s *Server) forget(c io.Closer) {
	c.Close()
	s.mu.Lock()
	delete(s.open, c)
	s.mu.Unlock()
	s.serving.Done()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
