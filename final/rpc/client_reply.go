package rpc

import (
	"bytes"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// parseReply takes a reply apart: an error, and what is beside it, or a result.
func parseReply(f *wire.Frame) (failure *Error, in wire.Response, err error) {
	if f.Kind == wire.KindError {
		failure, in.Metadata, err = parseError(f)
		return failure, in, err
	}
	if in, err = wire.ParseResponse(f); err != nil {
		return nil, in, fromWire(err)
	}
	return nil, in, nil
}

// handleReply gives a reply to its caller, or drops it.
func (c *clientConn) handleReply(f *wire.Frame) (broken error) {
	failure, in, broken := parseReply(f)
	if broken != nil {
		bytepool.Put(f.Large)
		return broken // before claim: the call is still pending, and ends with the connection
	}
	call, exited := c.claim(f.ID), true
	defer func() {
		bytepool.Put(f.Large)
		if exited && call != nil {
			c.decoderExited(call)
		}
	}()
	if call == nil && c.goAway != nil {
		return nil // refused by the go-away as well
	}
	if call == nil {
		return errProtocol("a reply to call %d, which is not in flight", f.ID)
	}
	result := callResult{}
	if call.header != nil {
		result.header = bytes.Clone(in.Metadata) // the frame is gone when the caller looks
	}
	switch {
	case failure != nil:
		result.err = failure
	case c.bodies.inOrder():
		result.err, broken = c.decodeInOrder(in.Body, f.Flags, call)
	case !call.isAbandoned():
		result.keep(f, &in)
		result.expandsTo = c.in.expandsTo(f, in.Body)
	}
	exited = false
	if !call.isAbandoned() {
		call.result = result // before the send, after which the record is the caller's again
		call.done <- struct{}{}
	}
	return broken
}

// decoderExited ends the connection, and then a call whose reply's decoder has
// ended the goroutine that reads: no new call may begin on it.
func (c *clientConn) decoderExited(call *clientCall) {
	defer func() {
		if !call.isAbandoned() {
			call.result.err = Errorf(Internal, "decode the reply: %w", errExited)
			call.done <- struct{}{}
		}
	}()
	c.fail(errExited)
}

// claim takes a call out of pending: from then on it is the claimer's to end. Its slot is
// free in the same critical section, for the server has counted it out already.
func (c *clientConn) claim(id uint64) *clientCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pending[id]
	if call != nil {
		delete(c.pending, id)
		c.releaseLocked(call.params)
		c.answered = true
	}
	return call
}

// decodeInOrder decodes a reply when it arrives, for a caller who has left into
// nothing. broken is set if the stream cannot be read any further.
func (c *clientConn) decodeInOrder(body []byte, flags uint8, call *clientCall) (failed, broken error) {
	err := c.decodeInto(call.reply, body, flags)
	if err == nil {
		return nil, nil
	}
	if causes.Is(err, errGobStream) {
		broken = err
	}
	return onOneLine(Errorf(Internal, "decode the reply: %w", printed(err))), broken
}

// decodeInto leaves reply as it was unless decoding succeeds.
func (c *clientConn) decodeInto(reply any, data []byte, flags uint8) error {
	if reply == nil {
		return c.bodies.decode(data, flags, nil)
	}
	emptied, decoded := values.Empty(reply, len(data) == 0 || string(data) == "null"), false
	defer func() {
		if !decoded {
			emptied.Restore()
		}
	}()
	err := c.bodies.decode(data, flags, emptied.Into)
	decoded = err == nil
	return err
}

// keep holds on to a frame's payload: in the large buffer, or by a copy.
func (r *callResult) keep(f *wire.Frame, in *wire.Response) {
	payload := f.Payload
	if f.Large == nil && len(payload) > 0 {
		r.body = bytepool.Get(len(payload))
		r.body.B = append(r.body.B, payload...)
		payload = r.body.B
	} else {
		r.body, f.Large = f.Large, nil
	}
	r.data = payload[len(payload)-len(in.Body):]
}
