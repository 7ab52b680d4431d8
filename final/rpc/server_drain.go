package rpc

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// goAway tells the client why this side ends the connection, and ends it.
func (c *serverConn) goAway(reason error) {
	coded, found := causes.Find[*Error](reason)
	_, system := causes.Find[net.Error](reason)
	switch {
	case found:
	case causes.Is(reason, errIdle):
		coded = Errorf(Unavailable, "idle timeout: nothing received for %v", c.in.idleTimeout)
	case causes.Is(reason, errGobStream):
		coded = Errorf(InvalidArgument, "%w", reason)
	case system, causes.Is(reason, net.ErrClosed), causes.Is(reason, io.ErrClosedPipe):
		return // the client is gone
	case causes.Is(reason, io.ErrUnexpectedEOF): // but a client that has closed its own direction still reads
		coded = errProtocol("the connection ended within a frame")
	default:
		coded = Errorf(Unavailable, "%w", reason)
	}
	c.server.report(fmt.Errorf("rpc: %s: %w", c.peer.Addr, coded))
	c.sayGoAway(coded)
	c.cancelCalls()
	c.awaitQuiet(func() bool { return c.out.size == 0 })
	c.linger()
}

// sayGoAway sends a go-away and admits no more calls.
func (c *serverConn) sayGoAway(reason *Error) {
	c.mu.Lock()
	c.draining = true
	last := c.lastID
	c.mu.Unlock()
	c.control(false, func(dst []byte) []byte { return appendGoAway(dst, last, reason) })
}

// awaitQuiet waits until quiet, called with mu held, is true or the
// connection is over.
func (c *serverConn) awaitQuiet(quiet func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for !quiet() && c.out.err == nil {
		c.changed.Wait()
	}
}

// linger ends the sending side and reads what still arrives, for lingerTime.
func (c *serverConn) linger() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	end := time.Now().Add(lingerTime)
	c.conn.SetReadDeadline(end)
	unread := make([]byte, 4<<10)
	for time.Now().Before(end) { // a user's connection may know no deadlines
		if _, err := c.conn.Read(unread); err != nil {
			return
		}
	}
}

// cut ends the connection at once.
func (c *serverConn) cut(err error) {
	c.mu.Lock()
	c.out.stop(err)
	c.changed.Broadcast()
	bodies := c.bodies
	c.mu.Unlock()
	if bodies != nil { // else there was no hello
		bodies.end()
	}
	c.conn.Close()
	c.cancelCalls()
}

// end is the end after reading has ended.
func (c *serverConn) end() { c.cut(net.ErrClosed) }

func (c *serverConn) cancelCalls() {
	c.mu.Lock()
	calls := make([]*serverCall, 0, len(c.calls))
	for _, call := range c.calls {
		calls = append(calls, call)
	}
	c.mu.Unlock()
	for _, call := range calls {
		call.end(context.Canceled)
	}
}

var errDraining = Errorf(Unavailable, "the server is shutting down")

// drain ends the connection politely: no new calls, the running ones are
// answered, the client has read it all. If Shutdown's context ends first, which is a
// user's and is for Shutdown's goroutine alone, the connection is cut.
func (c *serverConn) drain() {
	c.mu.Lock()
	helloed, again := c.helloed, c.draining
	c.draining = true
	c.mu.Unlock()
	if !helloed {
		c.conn.Close()
		return
	}
	if !again {
		c.sayGoAway(errDraining)
	}
	c.awaitQuiet(func() bool { return c.running == 0 && c.out.size == 0 })
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-c.finished:
	case <-timer.C:
		c.cut(ErrServerClosed)
	}
}
