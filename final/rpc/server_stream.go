package rpc

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// serverStream is one stream on the server, and what the context of its handler derives from.
type serverStream struct {
	stream
	call        serverCall
	trailer     atomic.Pointer[Metadata] // see SetTrailer; what it points to does not change
	ctx         context.Context
	cancelCause context.CancelCauseFunc
	held        atomic.Int64 // of the memory of params, for the item received last
	failure     *Error       // what the peer, or a Send, has ended it with; guarded by the connection's mu
}

var (
	_ Stream          = (*serverStream)(nil)
	_ context.Context = (*serverStream)(nil)
)

// Deadline implements context.Context.
func (s *serverStream) Deadline() (time.Time, bool) { return s.call.Deadline() }

// Done implements context.Context. What ends before its deadline is the context that
// derives from this one, which needs to watch nothing if there is no deadline.
func (s *serverStream) Done() <-chan struct{} {
	if s.call.deadline.IsZero() {
		return nil
	}
	return s.call.Done()
}

// Err implements context.Context.
func (s *serverStream) Err() error {
	if s.call.deadline.IsZero() {
		return nil
	}
	return s.call.Err()
}

// AfterFunc is what package context looks for: see serverCall.
func (s *serverStream) AfterFunc(f func()) (stop func() bool) { return s.call.AfterFunc(f) }

// Value answers for this stream.
func (s *serverStream) Value(key any) any {
	if key == (streamKey{}) {
		return s
	}
	return s.call.Value(key)
}

var errLeft = errors.New("the caller has left")

// timeUp ends the stream at its deadline, also if the caller cannot say so.
func (s *serverStream) timeUp() {
	s.table.conn.endHalves(func() {
		if s.late() && s.failure == nil && s.out.last == nil && !s.out.closed {
			s.failWith(s.leftBecause())
		}
	})
}

// endHalves runs end, which ends halves of streams, under the lock. What they had lent or
// kept may let other streams go on, so what these have to send is sent.
func (c *serverConn) endHalves(end func()) {
	c.mu.Lock()
	end()
	start := c.out.start()
	c.mu.Unlock()
	c.streams.flush(start, false)
}

// cancel ends the context of the handler.
func (s *serverStream) cancel(cause error) {
	if s.late() {
		s.call.cancel() // with DeadlineExceeded
		<-s.ctx.Done()  // a goroutine of ours ends it, and waits for nothing: Send and Receive must not fail before that
		return
	}
	s.cancelCause(cause)
	s.call.cancel()
}

// late reports whether the stream's deadline has passed.
func (s *serverStream) late() bool {
	deadline := s.call.deadline
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// leftBecause returns the error of a stream that its caller has left: that of its deadline, if
// it has passed.
func (s *serverStream) leftBecause() *Error {
	if s.late() {
		return contextError(context.DeadlineExceeded)
	}
	return Errorf(Canceled, "%w", errLeft)
}

// handleStream does what a frame of a stream says. Its errors end the connection.
func (c *serverConn) handleStream(f *wire.Frame) error {
	defer func() { bytepool.Put(f.Large) }()
	c.mu.Lock()
	s := c.streams.find(f.ID)
	last, draining := c.lastID, c.draining
	if s == nil {
		c.mu.Unlock()
		return overOrNever(f, last, draining)
	}
	failed, err := c.streams.handleFromClient(s, f)
	if failed != nil {
		s.server.blame(failed)
	}
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, false)
	if failed != nil {
		s.server.cancel(failed)
		c.endHalves(func() { s.server.failWith(failed) })
	}
	return err
}

// blame sets what the end will say, whatever the handler returns. First comes this, then the
// context of the handler ends, and then its Send and Receive fail: a handler that is told
// by one of them finds that its context has ended.
func (s *serverStream) blame(why *Error) {
	if s.failure == nil {
		s.failure = why
	}
}

// toldByContext reports whether the handler can know why the stream fails, by its context,
// though the halves go on for a moment.
func (s *serverStream) toldByContext() bool { return s.failure != nil && s.ctx.Err() != nil }

// failWith ends both halves at once.
func (s *serverStream) failWith(why *Error) {
	s.blame(why)
	s.fail(why)
}

// handleFromClient is handleStream for a stream that is there.
func (t *streamTable) handleFromClient(s *stream, f *wire.Frame) (failed *Error, err error) {
	switch f.Kind {
	case wire.KindData:
		return t.handleData(s, f)
	case wire.KindCredit:
		return nil, t.handleCredit(s, f)
	case wire.KindWant:
		return t.handleWant(s, f)
	case wire.KindEnd:
		if f.Flags != 0 || len(f.Payload) > 0 {
			return nil, errProtocol("an end of stream %d with fields or flags, from the client", f.ID)
		}
		return t.handleClientEnd(s)
	}
	return nil, errProtocol("the client sent a frame of kind %d", f.Kind)
}

// overOrNever returns what is wrong with a frame for a stream that is not open: nothing, if
// the frame and the end of the stream, or a go-away, may have crossed.
func overOrNever(f *wire.Frame, last uint64, draining bool) error {
	switch {
	case f.ID > last && draining:
		return nil
	case f.ID > last:
		return errProtocol("%s for stream %d, which was not opened", f.Kind, f.ID)
	case f.Kind == wire.KindCredit: // it may have crossed the end
		_, err := wire.ParseBytes(f)
		return fromWire(err)
	}
	return errProtocol("%s for stream %d, which is over", f.Kind, f.ID)
}

// cancelStream ends a stream because its caller has left.
func (c *serverConn) cancelStream(id uint64) {
	c.mu.Lock()
	s := c.streams.streams[id]
	if s == nil { // its end has crossed the cancel
		c.mu.Unlock()
		return
	}
	why := s.server.leftBecause()
	s.server.blame(why)
	c.mu.Unlock()
	s.server.cancel(s.server.failure) // which is set once
	c.endHalves(func() {
		s.server.failWith(why)
		s.peerEnded(io.EOF)
		if c.streams.streams[id] == s {
			c.streams.settleEnds(s)
		}
	})
}

// cancelStreams ends all streams, since the connection ends.
func (c *serverConn) cancelStreams(why error) {
	c.mu.Lock()
	var all []*serverStream
	for _, s := range c.streams.streams {
		s.server.blame(canceledBy(why))
		all = append(all, s.server)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.cancel(s.failure) // which is set once
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range all {
		s.failWith(s.failure)
	}
}

// canceledBy returns the error of a stream whose connection has ended because of why.
func canceledBy(why error) *Error {
	if e, ok := why.(*Error); ok && e.Code == Canceled {
		return e
	}
	return Errorf(Canceled, "%w", why)
}

// notEncoded is the error for an item that cannot be encoded. The server hears of it, too.
func (s *serverStream) notEncoded(err error) *Error {
	failed := Errorf(Internal, "encode an item of %s: %w", s.call.method.info.Name, err)
	s.table.conn.server.callFailed(s.ctx, failed)
	return toError(failed)
}

// giveUp ends the stream for the reason that an item was not sent. If the end is fixed, so
// is what comes before it.
func (s *serverStream) giveUp(why *Error) {
	s.table.conn.endHalves(func() {
		if s.out.last == nil && !s.out.closed {
			s.failWith(why)
		}
	})
}

// Receive implements [Stream].
func (s *serverStream) Receive(ctx context.Context, item any) error {
	s.giveRoom()
	err := s.receive(ctx, item)
	if bad, ok := err.(*badItem); ok {
		if none, ok := bad.err.(*noRoom); ok {
			return none.refused
		}
		failed := onOneLine(Errorf(undecoded(bad.err, InvalidArgument), "decode an item of %s: %w", s.call.method.info.Name, bad.err))
		if _, panicked := causes.Find[*codecPanic](bad.err); panicked {
			s.table.conn.server.callFailed(s.ctx, failed)
		}
		return failed
	}
	return err
}
