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
	failed   *Error // err, if it is there because the result cannot be sent
	returned bool   // false: the handler ended its goroutine by runtime.Goexit
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
	if err == nil {
		done.body, err = c.encode(call, result, own)
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
		done.err = errPanicked(call.method)
	}
	call.end(context.Canceled)
	c.server.release()
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
		c.awaitRoomLocked()
	}
	c.releaseLocked() // before the client can know, for it may call again at once
	size := done.body.size()
	if done.err == nil && wire.MinLength+size > c.maxReply {
		done.failed = Errorf(ResourceExhausted, "reply of %d bytes: the client reads at most %d", wire.MinLength+size, c.maxReply)
		done.err = done.failed
	}
	if done.err != nil {
		done.body.drop()
		c.out.append(func(dst []byte) []byte { return appendError(dst, id, done.err, c.maxReply) }, nil)
	} else {
		c.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindResponse, done.body.flags, id, size) }, done.body.buf)
		done.body.sent()
	}
	return own && c.out.start(), c.running > 0
}

// awaitRoom waits until the client has read enough of what was sent before, or the
// connection has ended.
func (c *serverConn) awaitRoom() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.awaitRoomLocked()
}

func (c *serverConn) awaitRoomLocked() {
	for c.out.size >= highWater && c.out.err == nil {
		c.changed.Wait()
	}
}

// invoke decodes params and runs the handler, panics caught.
func (c *serverConn) invoke(call *serverCall) (result any, err error) {
	if call.method.newParams != nil && call.params == nil {
		call.params = call.method.newParams()
		err = c.decode(call)
	}
	bytepool.Put(call.body)
	call.body, call.data = nil, nil // a handler may keep its context, and an inline call is kept until the next
	if err != nil {
		err = unrun(Errorf(undecoded(err, InvalidArgument), "decode params of %s: %w", call.method.info.Name, err))
		c.server.callFailed(call, err)
		return nil, err
	}
	params := call.params
	call.params = nil
	return c.server.runHandler(call, call.method, params)
}

// decode decodes params that were not decoded when they arrived.
func (c *serverConn) decode(call *serverCall) (err error) {
	if call.expandsTo > 0 {
		if call.body, err = expand(call.body, call.data, call.expandsTo); err != nil {
			return err
		}
		call.data = call.body.B
	}
	return c.bodies.decode(call.data, 0, call.params)
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

// encode encodes a result. A result that has its turn in a stream waits for room
// before it is encoded: the turn is not given back until it is appended.
func (c *serverConn) encode(call *serverCall, result any, own bool) (body outBody, err error) {
	if result == nil {
		return outBody{}, nil
	}
	var ready func()
	if own && c.bodies.inOrder() {
		ready = c.awaitRoom
	}
	if body, err = c.bodies.encode(context.Background(), result, ready); err != nil {
		err = Errorf(Internal, "encode the result: %w", err)
		c.server.callFailed(call, err)
		return outBody{}, err
	}
	body.compress(c.compress, c.maxReply-wire.MinLength)
	return body, nil
}
