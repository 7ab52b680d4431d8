package rpc

import (
	"context"
	"io"
	"runtime/debug"
	"strconv"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// handleOpen admits a stream, or refuses it with an end that says that it never ran.
func (c *serverConn) handleOpen(f *wire.Frame) error {
	o, err := wire.ParseOpen(f)
	if err != nil {
		return fromWire(err)
	}
	s, err := c.beginStream(f.ID, &o)
	if s == nil {
		bytepool.Put(f.Large)
		return err
	}
	c.alive.resume()
	exited := true
	defer func() {
		if exited { // a hook has ended the goroutine that reads
			c.endStream(s, unrun(Errorf(Internal, "%w", errExited)), false)
			s.cancel(context.Canceled)
			go c.read()
		}
	}()
	if err := c.admitStream(s, f, &o); err != nil {
		bytepool.Put(f.Large)
		c.refuseStream(s, toError(err))
		exited = false
		return nil
	}
	exited = false
	s.call.expandsTo = c.in.expandsTo(f, o.Body)
	s.call.keep(f, o.Body)
	go c.serveStream(s)
	return nil
}

// beginStream counts an open, also one that will be refused. It returns nil if nothing is
// to be done for it.
func (c *serverConn) beginStream(id uint64, o *wire.Open) (*serverStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining:
		return nil, nil
	case id <= c.lastID:
		return nil, errProtocol("call ID %d after %d: IDs must rise", id, c.lastID)
	case c.streams.open() >= c.granted.most:
		return nil, Errorf(ResourceExhausted, "more than %d streams are open on this connection", c.granted.most)
	case c.streams == nil:
		c.makeStreamsLocked()
	}
	c.lastID = id
	c.streaming++
	s := new(serverStream)
	s.server = s
	s.call.id, s.call.peer = id, c.peer
	if o.Timeout > 0 {
		s.call.deadline = c.in.arrived().Add(o.Timeout)
	}
	s.ctx, s.cancelCause = context.WithCancelCause(s)
	c.streams.add(&s.stream, id)
	if o.Shape == wire.ServerStream {
		s.peerEnded(io.EOF)
	}
	return s, nil
}

// admitStream is admit for a stream.
func (c *serverConn) admitStream(s *serverStream, f *wire.Frame, o *wire.Open) (err error) {
	call := &s.call
	call.method = c.server.registry.find(o.Method)
	if len(o.Pairs) > 0 {
		if call.metadata, err = c.metadata(o.Pairs); err != nil {
			return err
		}
	}
	m, kind := call.method, MethodKind(o.Shape)
	if m == nil {
		return c.server.noMethod(s.ctx, call, o.Method)
	}
	if err := m.suits(kind); err != nil {
		return err
	}
	if err := c.server.authorize(s.ctx, call, m.info.Name); err != nil {
		return err
	}
	if refusal := c.server.acquire(m, c.origin); refusal != nil {
		return refusal
	}
	if !c.streams.promiseWindow(&s.stream) {
		c.server.release(c.origin)
		return Errorf(ResourceExhausted, "there is no room for the window of another stream now").
			WithDetail(RetryAfterDetail, strconv.FormatInt(crowdedPause.Milliseconds(), 10))
	}
	return c.chargeArrived(call, f, o.Body)
}

// refuseStream ends a stream that never ran.
func (c *serverConn) refuseStream(s *serverStream, e *Error) {
	refusal := unrun(e.clone())
	c.server.callFailed(&s.call, refusal)
	c.endStream(s, refusal, false)
	s.cancel(context.Canceled) // else its deadline would keep it
}

// serveStream runs and ends a stream. It is a goroutine's whole life.
func (c *serverConn) serveStream(s *serverStream) {
	var failed *Error
	returned := false
	defer func() {
		if !returned { // a user's code has ended the goroutine
			failed = errGoexit(s.call.method)
		}
		c.discharge(&s.call)
		c.server.release(c.origin)
		c.endStream(s, failed, true)
		s.cancel(errAfterHandler)
	}()
	if !s.call.deadline.IsZero() {
		defer context.AfterFunc(s.ctx, s.timeUp)()
	}
	if err := c.runStream(s); err != nil {
		failed = toError(err)
	}
	returned = true
}

// runStream is all of a stream that is a user's code, panics caught.
func (c *serverConn) runStream(s *serverStream) error {
	params, err := c.takeParams(&s.call, &s.table.bodies)
	if err != nil {
		return err
	}
	return c.server.runStreamHandler(s.ctx, s.call.method, params, s)
}

// runStreamHandler is runHandler for a stream.
func (s *Server) runStreamHandler(ctx context.Context, m *method, params any, stream Stream) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanicked(m)
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	return noEOF(ran(m.stream(ctx, params, stream)))
}

// noEOF returns the error of a handler. io.EOF, with which its loop over Receive ended, would
// look like a good end to the caller: it becomes an error that says what to return.
func noEOF(err error) error {
	if err == io.EOF {
		return Errorf(Unknown, "EOF was returned as an error: return nil, or a reply, after the last item")
	}
	return err
}

// endStream says how a handler has returned, after what it has sent. What the client still
// sends is dropped. The reader, which does not wait, lets another goroutine write.
func (c *serverConn) endStream(s *serverStream, failed *Error, own bool) {
	c.mu.Lock()
	c.streaming--
	if s.failure != nil {
		failed = s.failure
	} else {
		s.headerLeaves()
	}
	s.stopReceiving(errHandlerReturned)
	s.out.err = errHandlerReturned
	s.out.wait.signal() // one that the handler has left behind
	s.giveRoom()
	if c.abandoned && failed != nil && failed.Code == Canceled { // nobody has cancelled it: see appendReply
		s.out.closed = true
		s.table.settleEnds(&s.stream)
	} else {
		s.out.last = &lastFrame{reason: failed, trailer: s.trailerSet(), server: true, limit: c.maxReply}
		s.table.lane.ready.push(&s.stream)
	}
	start := c.out.start()
	c.changed.Broadcast()
	c.mu.Unlock()
	s.table.flush(start, own)
}

var errHandlerReturned = Errorf(FailedPrecondition, "the handler of the stream has returned")

// errAfterHandler is the cause of its context's end: of a handler that has left a goroutine behind.
var errAfterHandler = Errorf(Canceled, "the handler of the stream has returned: %w", context.Canceled)
