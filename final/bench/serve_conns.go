package main

import (
	"net"
	"sync"
)

// serveConns runs serve in a goroutine for every connection of ln: the accept loop of the peers that bring none of their own.
// Stop closes the listener and the connections and waits for the goroutines.
func serveConns(ln net.Listener, serve func(net.Conn)) (stop func()) {
	open := connSet{conns: map[net.Conn]bool{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			open.add(conn)
			wg.Go(func() {
				serve(conn)
				open.remove(conn)
			})
		}
	})
	return func() {
		ln.Close()
		open.close()
		wg.Wait()
	}
}

// A connSet knows the open connections, so that they can all be closed.
type connSet struct {
	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// add takes conn into the set; after close, where an accepted connection can still arrive, it closes it instead.
func (s *connSet) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return
	}
	s.conns[conn] = true
}

func (s *connSet) remove(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

func (s *connSet) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
}
