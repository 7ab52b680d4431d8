package rpc

import (
	"context"
	"runtime/debug"
)

// outcome is the result of running a call, or its error.
type outcome struct {
	result   any
	body     *buffer // result encoded
	flags    uint8   // what body's frame needs
	err      *Error
	failed   *Error // err, if it is there because the result cannot be sent
	returned bool   // false: the handler ended its goroutine by runtime.Goexit
}

// fail puts an error in the place of a result that cannot be sent.
func (o *outcome) fail(e *Error) {
	putBuffer(o.body)
	o.body, o.err, o.failed = nil, e, e
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

// runCall is all of a call that is a user's code, but for a GobEncoder.
func (c *serverConn) runCall(call *serverCall, done *outcome) {
	result, err := c.invoke(call)
	if err == nil {
		done.result = result
		done.body, done.flags, err = c.encode(call, result)
	}
	if err != nil {
		done.err = toError(err) // not later: its methods must not run under a lock
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
	start, busy := c.answer(call, done, own)
	if start {
		defer c.flusher.flush(busy) // also if the hook below ends this goroutine
	}
	if done.failed != nil {
		c.server.callFailed(call, done.failed)
	}
}

// answer appends the reply, also if a GobEncoder, or reading why it failed, ends
// this goroutine. It reports whether the caller has to flush, and whether other
// calls are running.
func (c *serverConn) answer(call *serverCall, done *outcome, own bool) (start, busy bool) {
	answered := false
	defer func() {
		if answered {
			return
		}
		done.fail(errPanicked(call.method))
		if start, busy, _ := c.appendReply(call, done, own); start {
			c.flusher.flush(busy)
		}
	}()
	start, busy, err := c.appendReply(call, done, own)
	if err != nil {
		done.fail(Errorf(Internal, "encode the result: %w", err)) // without the lock: it is a user's
		start, busy, _ = c.appendReply(call, done, own)
	}
	answered = true
	return start, busy
}

// appendReply encodes a result, if the codec is gob, and appends the reply. If the
// result cannot be encoded, it returns why and has appended nothing.
func (c *serverConn) appendReply(call *serverCall, done *outcome, own bool) (start, busy bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for own && c.out.size >= highWater && c.out.err == nil {
		c.changed.Wait()
	}
	if c.codec == Gob && done.err == nil && done.result != nil {
		if done.body, done.flags, err = c.bodies.encodeGob(&c.mu, &c.gobOut, done.result); err != nil {
			return false, false, err
		}
	}
	c.releaseLocked() // before the client can know, for it may call again at once
	c.appendReplyLocked(call.id, done)
	return own && c.out.start(), c.running > 0, nil
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
	if body, err = c.bodies.encode(c.codec, result); err != nil {
		err = Errorf(Internal, "encode the result: %w", err)
		c.server.callFailed(call, err)
		return nil, 0, err
	}
	body, flags = shrink(body, c.compress, c.maxReply-minLength)
	return body, flags, nil
}

// appendReplyLocked appends the one reply to a call: the result, if the client
// reads messages of that size, or the error.
func (c *serverConn) appendReplyLocked(id uint64, done *outcome) {
	size := 0
	if done.body != nil {
		size = len(done.body.b)
	}
	if done.err == nil && minLength+size > c.maxReply {
		done.fail(Errorf(ResourceExhausted, "reply of %d bytes: the client reads at most %d", minLength+size, c.maxReply))
		c.gobOut.reset()
	}
	if done.err != nil {
		c.out.append(func(dst []byte) []byte { return appendError(dst, id, done.err, c.maxReply) }, nil)
		return
	}
	c.out.append(func(dst []byte) []byte { return appendHeader(dst, kindResponse, done.flags, id, size) }, done.body)
}
