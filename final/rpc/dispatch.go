package rpc

import (
	"context"
	"runtime/debug"
)

// outcome is the result of running a call, or its error.
type outcome struct {
	result   any
	body     *buffer // result encoded, by a codec that keeps no state
	flags    uint8   // what body's frame needs
	err      error
	returned bool // false: the handler ended its goroutine by runtime.Goexit
}

// serveCall runs and answers a call. It is a goroutine's whole life.
func (c *serverConn) serveCall(call *serverCall) {
	var done outcome
	defer func() {
		c.forget(call)
		c.reply(call, &done, true)
	}()
	c.runCall(call, &done)
}

// runCall is all of a call that is a user's code.
func (c *serverConn) runCall(call *serverCall, done *outcome) {
	done.result, done.err = c.invoke(call)
	if done.err == nil {
		done.body, done.flags, done.err = c.encode(call, done.result)
	}
	done.returned = true
}

// reply hands the one reply to the writer. On a goroutine of the call's own it
// waits for room and sees to the sending; the reader never waits.
func (c *serverConn) reply(call *serverCall, done *outcome, own bool) {
	if !done.returned {
		done.err = errPanicked(call.method)
	}
	call.end(context.Canceled)
	c.server.release()

	c.out.mu.Lock()
	for own && c.out.size >= highWater && c.out.err == nil {
		c.changed.Wait()
	}
	c.releaseLocked() // before the client can know, for it may call again at once
	failed := c.appendReplyLocked(call.id, done)
	start, busy := own && c.out.startLocked(), c.running > 0
	c.out.mu.Unlock()
	if start {
		defer flush(&c.out, busy) // also if the hook below ends this goroutine
	}
	if failed != nil {
		c.server.callFailed(call, failed)
	}
}

// invoke decodes params and runs the handler, panics caught.
func (c *serverConn) invoke(call *serverCall) (result any, err error) {
	if call.method.newParams != nil && call.params == nil {
		call.params = call.method.newParams()
		err = c.decode(call)
	}
	putBuffer(call.body)
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

// decode decodes params with a codec that keeps no state.
func (c *serverConn) decode(call *serverCall) (err error) {
	if call.room > 0 {
		if call.body, err = expand(call.body, call.data, call.room); err != nil {
			return err
		}
		call.data = call.body.b
	}
	return decodeWith(c.codec, call.data, call.params)
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

// encode encodes a result with a codec that keeps no state.
func (c *serverConn) encode(call *serverCall, result any) (body *buffer, flags uint8, err error) {
	if c.codec == Gob || result == nil {
		return nil, 0, nil
	}
	if body, err = c.out.encode(c.codec, result); err != nil {
		err = Errorf(Internal, "encode the result: %w", err)
		c.server.callFailed(call, err)
		return nil, 0, err
	}
	body, flags = shrink(body, c.compress, c.maxReply-minLength)
	return body, flags, nil
}

// appendReplyLocked appends the one reply to a call. It returns what kept a
// result from being that reply.
func (c *serverConn) appendReplyLocked(id uint64, done *outcome) (failed error) {
	body, flags, err := done.body, done.flags, done.err
	if c.codec == Gob && err == nil && done.result != nil {
		if body, flags, err = c.out.encodeGobLocked(&c.gobOut, done.result); err != nil {
			failed = Errorf(Internal, "encode the result: %w", err)
		}
	}
	size := 0
	if body != nil {
		size = len(body.b)
	}
	if err == nil && minLength+size > c.maxReply {
		failed = Errorf(ResourceExhausted, "reply of %d bytes: the client reads at most %d", minLength+size, c.maxReply)
		c.gobOut.reset()
	}
	if failed != nil {
		err = failed
	}
	if err != nil {
		putBuffer(body)
		c.out.appendLocked(func(dst []byte) []byte { return appendError(dst, id, toError(err), c.maxReply) }, nil)
		return failed
	}
	c.out.appendLocked(func(dst []byte) []byte { return appendHeader(dst, kindResponse, flags, id, size) }, body)
	return nil
}
