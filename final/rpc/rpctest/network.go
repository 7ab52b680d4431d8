// Package rpctest helps to test code that makes or answers calls: without ports,
// and with a clock that a test controls, because all of it works in a bubble of
// testing/synctest.
//
// [NewClient] connects a client to a server in memory. A [Network] does the same
// for several servers and a pool. A [Fake] is an [rpc.Caller] whose replies and streams
// the test decides, for code that takes a Caller.
package rpctest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Network is a network in memory: [Network.Listen] is for servers, and
// [Network.Dial] for clients and pools, by [rpc.WithDialer]. Its connections have
// no buffer, so a write waits until the other end reads. The zero value is ready,
// and all methods may be called by many goroutines.
type Network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	dialled   int
}

// Listen listens at addr, which is any text that is not empty. The error wraps
// syscall.EADDRINUSE if a listener that is not closed has the address. Close of
// the listener frees the address, and keeps the connections that were accepted.
func (n *Network) Listen(addr string) (net.Listener, error) {
	if addr == "" {
		return nil, errors.New("rpctest: listen: the address is empty")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr] != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: address(addr), Err: syscall.EADDRINUSE}
	}
	if n.listeners == nil {
		n.listeners = map[string]*listener{}
	}
	ln := &listener{in: n, addr: address(addr), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.listeners[addr] = ln
	return ln, nil
}

// Dial connects to the listener at addr. It waits until the listener accepts, or
// until ctx ends. Without a listener it fails at once, as a closed port does: the
// error wraps syscall.ECONNREFUSED.
func (n *Network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	n.mu.Lock()
	ln := n.listeners[addr]
	n.dialled++
	from := address("client-" + strconv.Itoa(n.dialled))
	n.mu.Unlock()
	refused := &net.OpError{Op: "dial", Net: network, Addr: address(addr), Err: syscall.ECONNREFUSED}
	if ln == nil {
		return nil, refused
	}
	near, far := pipe(from, ln.addr)
	select {
	case ln.conns <- far:
		return near, nil
	case <-ln.closed:
		return nil, refused
	case <-ctx.Done():
		return nil, fmt.Errorf("rpctest: dial %s: %w", addr, context.Cause(ctx))
	}
}

type listener struct {
	in     *Network
	addr   address
	conns  chan net.Conn
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "accept", Net: network, Addr: l.addr, Err: net.ErrClosed}
	}
}

// Close may be called again, and then does nothing.
func (l *listener) Close() error {
	l.in.mu.Lock()
	defer l.in.mu.Unlock()
	if l.in.listeners[string(l.addr)] == l {
		delete(l.in.listeners, string(l.addr))
		close(l.closed)
	}
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

func pipe(client, server address) (near, far net.Conn) {
	a, b := net.Pipe()
	return &conn{a, client, server}, &conn{b, server, client}
}

// conn is an end of a pipe with addresses, for logs and rules by peer.
type conn struct {
	net.Conn
	local, remote address
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

const network = "memory"

type address string

func (a address) Network() string { return network }
func (a address) String() string  { return string(a) }
