package rpc

import (
	"context"
	"runtime/debug"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// outcome is the result of running a call, or its error.
type outcome struct {
	body     outBody // the result, encoded
	err      *Error
	failed   *Error   // err, if it is there because the result cannot be sent
	header   Metadata // of the reply
	charge   int64    // what the result has taken of the connection's share for replies
	returned bool     // false: the handler ended its goroutine by runtime.Goexit
	canceled bool     // err says that the call's context was canceled
}

// serveCall runs and answers a call. It is a goroutine's whole life.
func (c *serverConn) serveCall(call *serverCall) {
	var done outcome
	defer func() {
		c.forget(call)
		c.reply(call, &done, true)
	}()
	c.runCall(call, &done, true)
}

// runCall is all of a call that is a user's code, on a goroutine of the call's own
// or on the reader's.
func (c *serverConn) runCall(call *serverCall, done *outcome, own bool) {
	result, err := c.invoke(call)
	done.header = c.headerOf(call)
	if err == nil {
		done.body, err = c.encode(call, done, result, own)
	}
	if err != nil {
		done.err = toError(err) // not later: its methods must not run under a lock
	}
	done.returned = true
}

// reply hands the one reply to the outbox. On a goroutine of the call's own it
// waits for room and sees to the sending; the reader never waits.
func (c *serverConn) reply(call *serverCall, done *outcome, own bool) {
	if !done.returned {
		done.err, done.header = errGoexit(call.method), c.headerOf(call)
	}
	done.canceled = done.err != nil && done.err.Code == Canceled && call.Err() != nil
	call.end(context.Canceled)
	call.header.Store(nil) // done has it; a slow call beside this one may keep its memory
	c.release(call)
	start, busy := c.appendReply(call.id, done, own)
	if start {
		defer c.flusher.flush(busy) // also if the hook below ends this goroutine
	}
	if done.failed != nil {
		c.server.callFailed(call, done.failed)
	}
}

// appendReply appends the one reply to a call: the result, if the client reads
// messages of that size, or the error. It reports whether the caller has to flush,
// and whether other calls are running.
func (c *serverConn) appendReply(id uint64, done *outcome, own bool) (start, busy bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if own && done.body.turn == nil { // else it has waited, and others wait for its turn
		c.awaitRoomLocked(done.err == nil && done.charge == 0)
	}
	size := done.body.size()
	if done.err == nil && wire.MinLength+size > c.maxReply {
		done.failed = Errorf(ResourceExhausted, "reply of %d bytes: the client reads at most %d", wire.MinLength+size, c.maxReply)
		done.err = done.failed
	}
	if done.err == nil && wire.MinLength+wire.ReplyMetadataSize(done.header)+size > c.maxReply {
		done.header = nil
	}
	if done.err != nil || c.out.err != nil {
		c.replies.forgo(&done.charge)
	}
	c.releaseLocked() // before the client can know, for it may call again at once
	switch {
	case done.canceled && c.abandoned: // its caller did not cancel it: the end of the connection says why
		done.body.drop()
	case done.err != nil:
		done.body.drop()
		c.out.append(func(dst []byte) []byte { return appendError(dst, id, done.err, done.header, c.maxReply) }, nil)
	default:
		c.out.append(func(dst []byte) []byte { return wire.AppendResponse(dst, done.body.flags, id, done.header, size) }, done.body.buf)
		c.out.next.charge += done.charge
		done.body.sent()
	}
	return own && c.out.start(), c.running > 0
}

// awaitRoom waits until the client has read enough of what was sent before, or the
// connection has ended.
func (c *serverConn) awaitRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaitRoomLocked(true)
}

// awaitRoomLocked waits for room for a reply, a light one if it was not charged.
func (c *serverConn) awaitRoomLocked(light bool) {
	for c.out.err == nil && (c.out.size >= highWater || light && !c.lightRoomLocked()) {
		c.changed.Wait()
	}
}

// invoke decodes params and runs the handler, panics caught.
func (c *serverConn) invoke(call *serverCall) (result any, err error) {
	params, err := c.takeParams(call, c.bodies)
	if err != nil {
		return nil, err
	}
	result, err = c.server.runHandler(call, call.method, params)
	c.discharge(call) // not later: the reply may have to wait
	return result, err
}

// takeParams returns the decoded params of a call, or of a stream's open, for its handler.
// The call keeps none of them: a handler may keep its context for long, and an inline call is
// kept until the next.
func (c *serverConn) takeParams(call *serverCall, bodies bodyCodec) (params any, err error) {
	if call.method.newParams != nil && call.params == nil {
		call.params = call.method.newParams()
		err = c.decode(call, bodies)
	}
	bytepool.Put(call.body)
	call.body, call.data = nil, nil
	if err != nil {
		err = undecodable(call.method, err)
		c.server.callFailed(call, err)
		return nil, err
	}
	params, call.params = call.params, nil
	return params, nil
}

// decode decodes params that were not decoded when they arrived.
func (c *serverConn) decode(call *serverCall, bodies bodyCodec) error {
	if call.expandsTo > 0 {
		if err := c.expand(call); err != nil {
			return err
		}
	}
	if err := call.measure(&c.params, call.method.sizes[c.codec], call.data); err != nil {
		return err
	}
	return bodies.decode(call.data, 0, call.params)
}

// runHandler runs a handler. A panic becomes Internal: neither text nor stack
// is for the caller.
func (s *Server) runHandler(ctx context.Context, m *method, params any) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, errPanicked(m)
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	result, err = m.handler(ctx, params)
	return result, ran(err)
}

func errPanicked(m *method) *Error {
	return Errorf(Internal, "the handler of %s panicked", m.info.Name)
}

// errGoexit is the error of a call or a stream whose handler, or a marshaler after it, never
// returned: runtime.Goexit is no panic, and has neither a value nor a stack to report.
func errGoexit(m *method) *Error {
	return Errorf(Internal, "the handler of %s ended its goroutine (runtime.Goexit)", m.info.Name)
}

// encode encodes a result, once there is memory for that. If it becomes much larger
// than was guessed, it may have to be encoded once more.
func (c *serverConn) encode(call *serverCall, done *outcome, result any, own bool) (body outBody, err error) {
	if result == nil {
		return outBody{}, nil
	}
	size, learn := guess(call.method, result, c.readable, c.replies.most)
	for again := false; ; again = true {
		if !c.replies.reserve(&done.charge, size, own, nil) {
			return outBody{}, errCut
		}
		if body, err = c.encodeNow(done, result, own); err != nil {
			err = Errorf(Internal, "encode the result: %w", err)
			c.server.callFailed(call, err)
			return outBody{}, err
		}
		size = int64(body.size())
		if learn {
			call.method.replySizes.note(size)
		}
		size += int64(wire.ReplyMetadataSize(done.header))
		if c.replies.settle(&done.charge, size, again || !own || body.turn != nil) {
			return body, nil
		}
		body.drop()
		c.replies.forgo(&done.charge)
	}
}

// errCut is the outcome of a call whose connection has ended: nobody sees it.
var errCut = Errorf(Canceled, "the connection has ended")

// encodeNow encodes a result. A result that has its turn in a stream waits for room
// before it is encoded: the turn is not given back until it is appended.
func (c *serverConn) encodeNow(done *outcome, result any, own bool) (body outBody, err error) {
	var ready func()
	if own && c.bodies.inOrder() {
		ready = c.awaitRoom
	}
	if body, err = c.bodies.encode(context.Background(), result, ready); err != nil {
		return outBody{}, err
	}
	body.compress(c.compress, c.maxReply-wire.MinLength-wire.ReplyMetadataSize(done.header))
	return body, nil
}
