package rpc

import (
	"context"
	"errors"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// clientStream is one stream at its caller.
type clientStream struct {
	stream
	conn      *clientConn
	method    string
	sentAt    uint64 // the end of its open, in all that was appended
	kind      MethodKind
	cancelled bool // a cancel was appended; guarded by the connection's mu, as the next
	released  bool
	heard     bool // the server has sent something of it, before its end
	judged    bool // its verdict was given
	probe     bool // it decides the probe of its server

	header  headerState
	trailer Metadata // guarded by the connection's mu

	parent context.Context // the caller's, with its deadline
	own    *ownContext     // ends with the stream; nil until it is asked for. Guarded by the connection's mu
	stop   func()          // stops the timer of parent; nil: it has none of ours

	attempt *streamAttempt // nil: no observer wants it
	again   *reopening     // which opens it again if it never ran; nil: nobody does

	unbind func() bool // from parent; guarded by the connection's mu, as the next
	onEnd  []func(err error)
}

var _ OpenedStream = (*clientStream)(nil)

// groupCaller is a group as a Caller that interceptors are put around.
type groupCaller struct{ *group }

func (c groupCaller) Call(ctx context.Context, method string, params, reply any) error {
	return c.invoke(ctx, method, params, reply)
}

func (c groupCaller) OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
	if kind == ServerStreaming {
		return c.openAgain(ctx, method, params)
	}
	s, err := c.open(ctx, &tries{stream: true}, kind, method, params, nil)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenStream opens a stream: see [StreamCaller]. The typed way is a [ServerStream],
// [ClientStream] or [BidiStream].
func (c *Client) OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
	if err := c.checkWith(ctx); err != nil {
		return nil, err
	}
	return c.options.open(ctx, c.caller, kind, method, params)
}

// OpenStream opens a stream on one of the servers: see [Client.OpenStream].
func (p *Pool) OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
	if err := p.checkWith(ctx); err != nil {
		return nil, err
	}
	return p.options.open(ctx, p.caller, kind, method, params)
}

var (
	_ StreamCaller = (*Client)(nil)
	_ StreamCaller = (*Pool)(nil)
)

// open appends the open of s. All its errors are about streams that never ran.
func (c *clientConn) open(ctx context.Context, s *clientStream, params any) error {
	t := c.streams
	if t == nil {
		without := "the server grants no streams"
		if !c.options.streams {
			without = "this client offers no streams: it has WithoutStreams"
		}
		return unrun(Errorf(Unimplemented, "open %s: %s", s.method, without))
	}
	head := requestHead{RequestHead: wire.RequestHead{Method: s.method, Metadata: optionsFrom(ctx).metadata}}
	head.deadline, _ = ctx.Deadline()
	if err := head.check(); err != nil {
		return err
	}
	var body outBody
	if s.kind == ServerStreaming && params != nil {
		var err error
		if body, err = s.encodeParams(ctx, params); err != nil {
			return unencoded(err)
		}
		body.compress(t.compress, t.maxSend-wire.MinLength-head.Size()-1)
	}
	s.derive(ctx, head.deadline) // first: the reader may end the stream as soon as it is there
	start, err := c.appendOpen(s, &head, &body)
	if err != nil {
		body.drop()
		s.unwatch()
		return err
	}
	t.flush(start, true)
	c.readSoon() // frames of a stream come at any time
	s.bind()
	return nil
}

// encodeParams encodes a request, which is kept for when it is sent again.
func (s *clientStream) encodeParams(ctx context.Context, params any) (outBody, error) {
	if kept, ok := params.(*encoded); ok {
		return kept.outBody(), nil
	}
	body, err := s.conn.streams.bodies.encode(ctx, params, nil)
	if err == nil && s.again != nil {
		s.again.keep(body.buf.B)
	}
	return body, err
}

// appendOpen gives a stream its ID, its entry in the table and its frame.
func (c *clientConn) appendOpen(s *clientStream, head *requestHead, body *outBody) (start bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.streams
	open := wire.OpenHead{Shape: wire.Shape(s.kind)}
	if err := c.sendableLocked(head, 1+body.size()); err != nil { // 1: the shape
		return false, err
	}
	open.RequestHead = head.RequestHead
	c.lastID++
	s.client = s
	t.promised-- // it is in streams now
	t.add(&s.stream, c.lastID)
	if s.kind == ServerStreaming {
		s.out.closed, s.out.err = true, errNoItems
	}
	c.out.append(func(dst []byte) []byte { return open.Append(dst, body.flags, s.id, body.size()) }, body.buf)
	s.sentAt = c.out.appended
	return c.out.start(), nil
}

var errNoItems = Errorf(FailedPrecondition, "the caller of a server stream sends nothing")

// derive makes the contexts of the stream. What it calls may be a user's.
func (s *clientStream) derive(ctx context.Context, deadline time.Time) {
	s.parent = derivable(ctx)
	if ctx.Done() == nil && !deadline.IsZero() { // a user's, which does not end by itself
		s.parent, s.stop = context.WithDeadline(s.parent, deadline)
	}
}

// unwatch stops the timer that the stream has of its own.
func (s *clientStream) unwatch() {
	if s.stop != nil {
		s.stop()
	}
}

// bind makes the stream end when its caller's context does, if that can end.
func (s *clientStream) bind() {
	if s.parent.Done() == nil {
		return
	}
	unbind := context.AfterFunc(s.parent, func() { s.leave(contextError(ctxError(s.parent))) })
	s.conn.mu.Lock()
	s.unbind = unbind
	ended := s.released
	s.conn.mu.Unlock()
	if ended {
		s.unbindReceived()
	}
}

// unbindReceived takes a stream that has ended off its caller's context, once all of it was
// received: until then the context can still end it, so that what has arrived is dropped.
func (s *clientStream) unbindReceived() {
	c := s.conn
	c.mu.Lock()
	s.count()
	over := s.in.queued == 0 || s.in.drop
	ends := over && s.again != nil && !s.neverRanLocked()
	var unbind func() bool
	if over {
		unbind, s.unbind = s.unbind, nil
	}
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, false)
	if unbind != nil {
		unbind()
	}
	if over {
		s.unwatch()
	}
	if ends {
		s.again.end()
	}
}

// release ends what the stream has beside the connection. It may be called again.
func (s *clientStream) release() {
	s.conn.mu.Lock()
	first, failed := !s.released, s.in.err
	s.released = true
	outcome := s.judgeLocked(true)
	own, again, silent := s.own, s.neverRanLocked(), s.in.items == 0
	tell := s.takeOnEnd()
	s.conn.mu.Unlock()
	s.unbindReceived()
	if first {
		s.conn.owner.streams.Add(-1)
	}
	outcome.note()
	if own != nil {
		own.end()
	}
	tell()
	if first && s.attempt != nil {
		go s.attempt.tell(failed) // for the same reason as those of OnEnd
	}
	switch {
	case !first:
	case again:
		go s.again.after(s, failed)
	case silent && answered(failed) && !NeverRan(failed): // what succeeds has earned that already
		s.conn.owner.group.budget.earn()
	}
}

// leave ends the stream for a reason of this side's, and tells the server. If that has
// ended it already, only dropping what has arrived is left.
func (s *clientStream) leave(why *Error) {
	c := s.conn
	c.mu.Lock()
	if s.in.closed {
		s.count()
		s.stopReceiving(why)
	} else {
		s.fail(why)
		s.header.settle(nil, why)
		s.cancelLocked()
	}
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, false)
	s.release()
}

// cancelLocked says that nothing of the stream is wanted any more. Its slot is free with
// the server's end.
func (s *clientStream) cancelLocked() {
	if s.cancelled || s.conn.err != nil {
		return
	}
	s.cancelled, s.out.closed, s.out.last = true, true, nil
	s.conn.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindCancel, 0, s.id, 0) }, nil)
}

// end ends a stream of a connection that has lost it.
func (s *clientStream) end(why *Error) {
	s.conn.mu.Lock()
	why = s.ranLocked(why)
	s.stopSending(why)
	s.peerEnded(why)
	s.header.settle(nil, why)
	s.conn.mu.Unlock()
	s.release()
}

// ranLocked returns an end, which may say that the stream never ran, as it is for a stream
// of which some of an item has arrived: that has run, whatever a server says.
func (s *clientStream) ranLocked(failed *Error) *Error {
	if failed == nil || s.in.items == 0 && s.in.part == nil {
		return failed
	}
	return toError(ran(failed))
}

// takeAfter takes the streams with a higher ID out of a client's table.
func (t *streamTable) takeAfter(id uint64) (all []*clientStream) {
	if t == nil {
		return nil
	}
	for other, s := range t.streams {
		if other > id {
			all = append(all, s.client)
			delete(t.streams, other)
			t.memory.line.drop(s)
		}
	}
	return all
}

// notEncoded is the error for an item that cannot be encoded.
func (s *clientStream) notEncoded(err error) *Error {
	return toError(Errorf(InvalidArgument, "encode an item of %s: %w", s.method, printed(err)))
}

// Receive implements [Stream].
func (s *clientStream) Receive(ctx context.Context, item any) error {
	err := s.receive(ctx, item)
	if bad, ok := err.(*badItem); ok {
		failed := onOneLine(Errorf(undecoded(bad.err, Internal), "decode an item of %s: %w", s.method, printed(bad.err)))
		s.leave(toError(failed))
		s.in.stuck = &stuck{failed: failed}
		return failed
	}
	return err
}

// CloseSend implements [OpenedStream].
func (s *clientStream) CloseSend() error {
	s.conn.mu.Lock()
	if !s.out.closed && s.out.err == nil {
		s.out.err = Errorf(FailedPrecondition, "the sending half has ended")
		s.out.last = &lastFrame{}
		s.out.wait.signal()
		s.table.lane.ready.push(&s.stream)
	}
	start := s.conn.out.start()
	s.conn.mu.Unlock()
	s.table.flush(start, true)
	return nil
}

var errStreamClosed = errors.New("the stream was closed")

// Close implements [OpenedStream]. A caller whose deadline has passed is often here before
// the context has ended the stream: it has still ended by that.
func (s *clientStream) Close() error {
	why := Errorf(Canceled, "%w", errStreamClosed)
	defer func() { s.leave(why) }() // also if the context is a user's, and ends the goroutine
	if deadline, bounded := s.parent.Deadline(); bounded && !time.Now().Before(deadline) {
		why = contextError(context.DeadlineExceeded)
	}
	return nil
}

// ownContext is a stream's context, for its caller.
type ownContext struct {
	context.Context
	end context.CancelFunc
}

// Context implements [OpenedStream].
func (s *clientStream) Context() context.Context {
	own := new(ownContext) // without the lock: parent may be a user's
	own.Context, own.end = context.WithCancel(s.parent)
	s.conn.mu.Lock()
	first, released := s.own == nil, s.released
	if first {
		s.own = own
	}
	kept := s.own
	s.conn.mu.Unlock()
	if !first || released {
		own.end()
	}
	return kept.Context
}
