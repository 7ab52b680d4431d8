// Package rpc is a server that answers requests over TCP, one JSON value a line,
// and the client that calls it.
package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// ErrServerClosed is what Serve and ListenAndServe return after Close.
var ErrServerClosed = errors.New("rpc: server closed")

// A Server accepts connections and gives each a goroutine of its own, so that
// a slow client does not delay the others.
//
// The zero value is ready to use. All methods may be called concurrently.
type Server struct {
	// Handle answers a request. It is called by the goroutines of all
	// connections, and must not be changed once the server serves.
	// If nil, the server echoes the method's name.
	Handle func(Request) Response

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

// serveConn answers the requests that conn sends, one after the other, until
// the client closes the connection or sends a line that is too long.
func (s *Server) serveConn(conn net.Conn) {
	defer hangUp(conn)
	r := bufio.NewReader(conn)
	for {
		req, err := readRequest(r)
		var resp Response
		switch {
		case err == nil:
			resp = s.handle(req)
		case errors.Is(err, errInvalidRequest), errors.Is(err, errLineTooLong):
			resp = Response{Error: err.Error()}
		default:
			return
		}
		if writeResponse(conn, resp) != nil || errors.Is(err, errLineTooLong) {
			return // we stopped inside a line, and cannot find the next one
		}
	}
}

func (s *Server) handle(req Request) Response {
	if s.Handle == nil {
		return echo(req)
	}
	return s.Handle(req)
}

// echo answers every request until there are methods, in step 04.
func echo(req Request) Response {
	result, err := json.Marshal("Echo: " + req.Method)
	if err != nil {
		return Response{Error: err.Error()}
	}
	return Response{Result: result}
}

// hangUp ends our direction of conn and reads what the client still sends, for
// a second at most: to close a connection with input unread is to reset it, and
// a reset can destroy the answers that the client has not read yet.
func hangUp(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.CloseWrite()
	}
	conn.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, conn)
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
