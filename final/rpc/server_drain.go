package rpc

import (
	"context"
	"io"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// endReason returns why this side ends the connection, to tell the client; nil if the
// client is gone.
func (c *serverConn) endReason(reason error) *Error {
	coded, found := causes.Find[*Error](reason)
	_, system := causes.Find[net.Error](reason)
	switch {
	case found:
		return coded
	case causes.Is(reason, errIdle):
		return Errorf(Unavailable, "idle timeout: nothing received for %v", c.in.idleTimeout)
	case causes.Is(reason, errGobStream):
		return Errorf(InvalidArgument, "%w", reason)
	case system, causes.Is(reason, io.EOF), isClosed(reason):
		return nil
	case causes.Is(reason, io.ErrUnexpectedEOF): // but a client that has closed its own direction still reads
		return errProtocol("the connection ended within a frame")
	}
	return Errorf(Unavailable, "%w", reason)
}

func isClosed(err error) bool {
	return causes.Is(err, net.ErrClosed) || causes.Is(err, io.ErrClosedPipe)
}

// clientGone returns the error of a connection's streams after reading or writing has failed
// with err: the client is gone. It never wraps io.EOF, which is a good end of a stream.
func clientGone(err error) *Error {
	if causes.Is(err, io.EOF) || isClosed(err) {
		return Errorf(Canceled, "the client has left: the connection was closed")
	}
	return Errorf(Canceled, "the client has left: %w", err)
}

// goAway tells the client why this side ends the connection, and ends it.
func (c *serverConn) goAway(coded *Error) {
	c.report(&c.server.broken, coded)
	c.sayGoAway(coded)
	c.mu.Lock()
	c.abandoned = true // first: see appendReply
	c.mu.Unlock()
	c.cancelCalls(coded)
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
	charged := c.out.stop(err) + c.lightenLocked()
	err = c.out.err // the first reason: the reader finds the connection closed, and may be here before it is told
	c.changed.Broadcast()
	bodies, streams := c.bodies, c.streams
	c.mu.Unlock()
	c.replies.give(charged)
	c.replies.close()
	if streams != nil {
		streams.memory.close()
	}
	if bodies != nil { // else there was no hello
		bodies.end()
	}
	c.conn.Close()
	c.cancelCalls(err)
}

func (c *serverConn) cancelCalls(why error) {
	c.mu.Lock()
	calls := make([]*serverCall, 0, len(c.calls))
	for _, call := range c.calls {
		calls = append(calls, call)
	}
	streams := c.streams
	c.mu.Unlock()
	for _, call := range calls {
		call.end(context.Canceled)
	}
	if streams != nil {
		c.cancelStreams(why)
	}
}

var errDraining = Errorf(Unavailable, "the server is shutting down")

// drain ends the connection politely: it tells the client the reason, admits no new calls,
// and waits until the running ones are answered and the client has read the replies. It does
// not look at Shutdown's context: when that ends, Shutdown cuts the connection.
func (c *serverConn) drain(reason *Error) {
	c.mu.Lock()
	helloed, again := c.helloed, c.draining
	c.draining = true
	if helloed && !again && c.streams != nil {
		close(c.streams.draining)
	}
	c.mu.Unlock()
	if !helloed {
		c.conn.Close()
		return
	}
	if !again {
		c.sayGoAway(reason)
	}
	c.awaitQuiet(func() bool { return c.running == 0 && c.streaming == 0 && c.out.size == 0 && c.out.lane.idle() })
	c.alive.stop() // a ping cannot be sent after this
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

// DrainingFrom returns a channel that is closed when [Server.Shutdown] begins on the
// server that ctx's call or stream belongs to; for a stream also when its connection has
// reached its age: see [WithMaxConnAge]. A handler that runs for long should then end,
// most often with Unavailable. If it receives, it needs Receive and a context that ends
// when the channel is closed: All has no context. The client is not told before the
// handler ends. Elsewhere DrainingFrom returns nil, which is never ready.
func DrainingFrom(ctx context.Context) <-chan struct{} {
	if s, ok := ctx.Value(streamKey{}).(*serverStream); ok {
		return s.table.draining
	}
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok || call.method == nil || call.method.server == nil {
		return nil
	}
	return call.method.server.stopping
}
