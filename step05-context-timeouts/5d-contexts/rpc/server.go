// Package rpc has a server, which calls registered functions for its clients, and
// the client. They speak over TCP, one JSON value per line.
package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"runtime/debug"
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
	// Handle answers a request. It is called by many goroutines, and must not
	// be changed once the server serves. Its context ends with the connection, and
	// when the server closes.
	// If nil, the server calls the registered method.
	Handle func(context.Context, Request) Response

	// ErrorLog gets a report of each panic in a method, with its stack. The
	// client learns only of an internal error. If nil, nothing is logged.
	ErrorLog *log.Logger

	mu      sync.Mutex
	closed  bool
	open    map[io.Closer]struct{} // the listeners and connections that Close closes
	serving sync.WaitGroup         // counts the goroutines that use something in open

	ctx    context.Context // parent of the calls' contexts; made with open
	cancel context.CancelFunc

	methods map[string]*method // by full name: "SERVICE.METHOD"
}

// Register publishes the methods of receiver under the names "NAME.METHOD":
// exported methods that have a parameter and a result. It leaves out each method
// whose name is that of an embedded field's method. It may be called while the
// server serves.
//
// For any other function, make a Service and register that.
func (s *Server) Register(name string, receiver any) error {
	svc := NewService(name)
	if err := svc.registerMethods(receiver); err != nil {
		return err
	}
	return s.RegisterService(svc)
}

// RegisterService publishes the methods of svc, all or none. It may be called
// while the server serves.
func (s *Server) RegisterService(svc *Service) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range svc.methods {
		if s.methods[name] != nil {
			return fmt.Errorf("rpc: register %q: %w", name, errTaken)
		}
	}
	if s.methods == nil {
		s.methods = make(map[string]*method)
	}
	maps.Copy(s.methods, svc.methods)
	return nil
}

// method returns the method of that full name, or nil.
func (s *Server) method(name string) *method {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.methods[name]
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
//
// A client that has finished sending counts as gone: the contexts of its calls
// in flight end. It still gets one response to each request: the result, if the
// method has returned it already, else "canceled".
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

// serveConn reads the requests that conn sends, and starts the answer to each, until
// the client closes the connection or sends a line that is too long.
func (s *Server) serveConn(conn net.Conn) {
	c := newServerConn(s, conn)
	defer hangUp(conn)
	defer c.end()
	r := bufio.NewReader(conn)
	for {
		req, err := readRequest(r)
		switch {
		case err == nil:
			c.start(req)
		case errors.Is(err, errInvalidRequest):
			c.reply(req, Response{Error: err.Error()})
		case errors.Is(err, errLineTooLong):
			c.reply(req, Response{Error: err.Error()})
			return // we stopped inside a line, and cannot find the next one
		default:
			return
		}
	}
}

// handle answers a request, even if the method panics.
func (s *Server) handle(ctx context.Context, req Request) (resp Response) {
	defer func() {
		if v := recover(); v != nil {
			s.logf("rpc: panic in %q: %q\n%s", req.Method, fmt.Sprint(v), debug.Stack())
			resp = Response{Error: "internal error"}
		}
	}()
	if s.Handle != nil {
		return s.Handle(ctx, req)
	}
	m := s.method(req.Method)
	if m == nil {
		return Response{Error: "method not found: " + req.Method}
	}
	return newResponse(m.call(ctx, req.decode))
}

func (s *Server) logf(format string, args ...any) {
	if s.ErrorLog != nil {
		s.ErrorLog.Printf(format, args...)
	}
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

// Close stops accepting, closes the open connections, ends the contexts of their
// calls, and waits for the goroutines that serve them to end. Calling it again
// does no harm.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	for c := range s.open {
		c.Close()
	}
	if s.cancel != nil {
		s.cancel()
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
		s.ctx, s.cancel = context.WithCancel(context.Background())
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
