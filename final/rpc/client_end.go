package rpc

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// failRead ends the connection because reading did.
func (c *clientConn) failRead(err error) {
	coded, found := causes.Find[*Error](err)
	switch {
	case causes.Is(err, io.EOF) && c.goAway != nil: // the server has said why it would close
		err = c.goAway
	case causes.Is(err, io.EOF):
		err = errors.New("the server closed the connection")
	case found:
		err = coded
	default:
		err = fmt.Errorf("read: %w", err)
	}
	c.fail(err)
}

// handleGoAway: calls after the frame's ID never run; those before are answered.
func (c *clientConn) handleGoAway(f *wire.Frame) error {
	reason, err := parseGoAway(f)
	if err != nil {
		return err
	}
	c.goAway = reason
	c.mu.Lock()
	c.retired = c.answered && reason.Code == Unavailable
	c.mu.Unlock()
	// First, so that no call is appended after the loop: it would never be answered.
	c.stopCalls(goingAway(reason))
	c.mu.Lock()
	var late []*clientCall // sent too late for the server
	for id, call := range c.pending {
		if id > f.ID {
			delete(c.pending, id)
			c.inFlight--
			c.params.taken -= call.params
			late = append(late, call)
		}
	}
	taken := c.out.taken
	streams := c.streams.takeAfter(f.ID)
	c.grantLocked()
	c.mu.Unlock()
	for _, s := range streams {
		s.end(unserved(reason, s.sentAt <= taken))
	}
	for _, call := range late {
		if !call.isAbandoned() {
			call.result.err = unserved(reason, call.end <= taken)
			call.done <- struct{}{}
		}
	}
	return nil
}

// goingAway is why there are no new calls on a connection: its server leaves, for reason.
func goingAway(reason *Error) *Error {
	return &Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true}
}

// unserved is the error of a call that was sent too late for a server that is going away.
// Sending it again costs nothing of the retry budget, since no server has failed.
func unserved(reason *Error, handed bool) *Error {
	e := unrun(goingAway(reason))
	e.handed, e.unpaid = handed, true
	return e
}

// endsWell reports whether the connection's end says nothing about the next one: it was of
// use for a while, or until its server went away.
func (c *clientConn) endsWell() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired || c.livedLocked()
}

func (c *clientConn) livedLocked() bool {
	return c.greeted && time.Since(c.since) >= c.options.backoffMax
}

// drain ends the connection once nothing is in flight.
func (c *clientConn) drain() {
	c.stopCalls(nil)
	c.mu.Lock()
	c.grantLocked()
	c.mu.Unlock()
}

// stopCalls lets no new call begin and tells the Client, once. reason is nil if this
// side ends the connection.
func (c *clientConn) stopCalls(reason *Error) {
	c.why.CompareAndSwap(nil, reason) // first: who sees that it is over, reads why
	if !c.over.Swap(true) {
		c.owner.dropped(c)
		c.reportLoss(reason)
	}
}

// reportLoss tells the callbacks for errors why the connection is no more. A
// connection that was never made is a failed attempt, and is told as one.
func (c *clientConn) reportLoss(reason *Error) {
	c.mu.Lock()
	made := c.greeted || c == c.owner.fixed
	c.mu.Unlock()
	if made && reason != nil && !errors.Is(reason, ErrClientClosed) {
		c.options.report(lossOf(c.owner.addr, reason))
	}
}

// lossOf returns the error of a lost connection, with its server's address. It does not say
// that calls never ran.
func lossOf(addr string, why *Error) *Error {
	return &Error{Code: Unavailable, Message: cmp.Or(addr, "the server") + ": " + why.Message, cause: why}
}

// fail ends the connection, once, because of err, which may be a user's: it is not
// read under the lock.
func (c *clientConn) fail(err error) {
	if causes.Is(err, ErrClientClosed) {
		c.lose(Errorf(Canceled, "%w", err))
		return
	}
	c.lose(lostError(err))
}

func lostError(err error) *Error { return because(Unavailable, "connection lost: ", err) }

// lose ends the connection, once. Its calls fail with lost, and learn that first: the
// connection and the observer may be a user's, and take their time.
func (c *clientConn) lose(lost *Error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = lost // first: the calls that wait are told why
	}
	c.mu.Unlock()
	c.stopCalls(lost)
	if !c.endCalls() {
		return
	}
	close(c.ended)
	c.owner.gone(c)
	defer c.events.closed()
	c.conn.Close()
}

// endCalls ends the calls in flight, once. Those that were not handed to Write never
// ran, nor did those of which Write says that it has not taken all.
func (c *clientConn) endCalls() (first bool) {
	c.mu.Lock()
	calls, taken, lost := c.pending, c.out.taken, c.err
	sent, known := c.out.written()
	lived := c.livedLocked()
	if calls == nil { // another goroutine was first
		c.mu.Unlock()
		return false
	}
	c.pending = nil
	streams := c.streams.takeAfter(0)
	c.out.stop(lost)
	c.stopKeepaliveLocked()
	c.overdue.stop()
	c.readyLocked()
	c.mu.Unlock()
	c.bodies.end()
	why := func(end uint64) *Error { // whether it ran differs from call to call
		e := lost.clone()
		e.handed, e.unpaid = end <= taken, lived
		e.neverRan = !e.handed || known && end > sent
		return e
	}
	for _, s := range streams {
		s.end(why(s.sentAt))
	}
	for _, call := range calls {
		if !call.isAbandoned() {
			call.result.err = why(call.end)
			call.done <- struct{}{}
		}
	}
	return true
}
