package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Shutdown ends the server without breaking off what it is doing: it stops
// accepting, answers new requests with an error, waits until those in flight
// are answered, and closes the connections. When ctx ends first, Shutdown breaks
// off the rest, as Close does, and returns ctx's error (wrapped).
//
// A method must not wait for Shutdown, which waits for the method.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopAccepting()
	defer s.Close()
	done := make(chan struct{})
	go func() {
		s.requests.Wait()
		s.stopReading()
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("rpc: shutdown: %w", ctx.Err())
	}
}

func (s *Server) stopAccepting() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.open {
		if ln, ok := c.(net.Listener); ok {
			ln.Close()
		}
	}
}

// stopReading makes the connections hang up.
func (s *Server) stopReading() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		if conn, ok := c.(net.Conn); ok {
			conn.SetReadDeadline(time.Now())
		}
	}
}

var errShuttingDown = errors.New("server is shutting down")

// beginRequest counts a request in flight, or refuses it.
func (s *Server) beginRequest() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errShuttingDown
	}
	s.requests.Add(1)
	return nil
}

// timeout returns how long the call that req asks for may take.
func (s *Server) timeout(req Request) time.Duration {
	limit := 5 * time.Second
	if s.Timeout > 0 {
		limit = s.Timeout
	}
	if req.TimeoutMS > 0 {
		limit = min(limit, req.timeout())
	}
	return limit
}
