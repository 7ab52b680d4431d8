package rpc

import (
	"context"
	"reflect"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// clientCall is a call in flight. The caller owns it, except for result: the
// goroutine that takes the call out of pending writes it before it sends on done.
type clientCall struct {
	id       uint64
	end      uint64 // of its frame, in all that was appended
	reply    any
	deadline time.Time                 // zero: none
	header   *atomic.Pointer[Metadata] // of the reply, for the caller; nil: it is not wanted
	params   int64                     // bytes of them that count as in flight
	result   callResult
	done     chan struct{} // capacity 1; nil: the caller has left
}

// callResult is a call's outcome: err, or a body to decode. gob's bodies are
// decoded by the reader, in order.
type callResult struct {
	err       error
	body      *bytepool.Buffer
	data      []byte // lies in body
	header    []byte // the metadata of the reply, a copy, if the caller wants them
	expandsTo int    // data is compressed, of at most so many bytes; 0: it is not
}

// abandoned is the entry in pending of a call whose caller has left. It keeps the
// slot until the server's one reply.
var abandoned = new(clientCall)

// abandonLocked replaces the call by a tombstone, and tells the server. The tombstone
// keeps the size of params that count as in flight: they take the server's memory until the
// reply.
func (c *clientConn) abandonLocked(call *clientCall) {
	c.pending[call.id] = abandoned
	if call.params > 0 {
		c.pending[call.id] = &clientCall{params: call.params}
	}
	c.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindCancel, 0, call.id, 0) }, nil)
}

func (call *clientCall) isAbandoned() bool { return call.done == nil }

// call makes one attempt on this connection, in a slot that acquire has taken, with room
// for so many bytes of params.
func (c *clientConn) call(ctx context.Context, method string, params, reply any, kept int64) error {
	call, err := c.send(ctx, method, params, reply, kept)
	if err != nil {
		return err
	}
	if err := c.await(ctx, call); err != nil {
		return err // the goroutine that claims the call, if one does, keeps the record
	}
	result, header := call.result, call.header
	call.result, call.reply, call.header = callResult{}, nil, nil // the pool must not hold the caller's memory
	c.owner.records.Put(call)
	if len(result.header) > 0 {
		if md, err := parseReplyMetadata(result.header); err == nil {
			header.Store(&md)
		} else if result.err == nil {
			result.err = onOneLine(Errorf(Internal, "the metadata of the reply of %s: %w", method, err))
		}
	}
	if result.err == nil && !c.bodies.inOrder() {
		if err := c.decode(&result, reply); err != nil {
			result.err = onOneLine(Errorf(undecoded(err, Internal), "decode the reply of %s: %w", method, printed(err)))
		}
	}
	bytepool.Put(result.body)
	return result.err
}

// decode decodes a result for the caller, on its goroutine.
func (c *clientConn) decode(result *callResult, reply any) (err error) {
	if result.expandsTo > 0 && reply != nil {
		if result.body, err = expand(result.body, result.data, result.expandsTo); err != nil {
			return err
		}
		result.data = result.body.B
	}
	return c.decodeInto(reply, result.data, 0)
}

// checkReply refuses what no reply could be decoded into, before the call has run.
func checkReply(method string, reply any) error {
	if reply == nil {
		return nil
	}
	if v := reflect.ValueOf(reply); v.Kind() != reflect.Pointer || v.IsNil() {
		return unrun(Errorf(InvalidArgument, "call %s: the reply is a %T: want a pointer that is not nil, or nil to drop the reply", method, reply))
	}
	return nil
}

// send appends the request. All its errors are about calls that never ran, and
// give back the slot, and the room. So does a marshaler that ends the goroutine by runtime.Goexit.
func (c *clientConn) send(ctx context.Context, method string, params, reply any, kept int64) (*clientCall, error) {
	sent := false
	defer func() {
		if !sent {
			c.release(false, kept)
		}
	}()
	o := optionsFrom(ctx)
	if o.header != nil {
		o.header.Store(nil) // of an earlier attempt
	}
	head := requestHead{RequestHead: wire.RequestHead{Method: method, Metadata: o.metadata}}
	head.deadline, _ = ctx.Deadline() // a context may be a user's: not under the lock
	body, size, err := c.encode(ctx, &head, o.frozen.thaw(params))
	if err != nil {
		return nil, err
	}
	call := c.owner.records.Get().(*clientCall)
	call.params = size
	call.reply, call.deadline, call.header = reply, head.deadline, o.header
	start, busy, err := c.appendCall(call, &head, body, kept)
	sent = err == nil // from here on the reply, or the connection's end, gives the slot back
	if start {
		c.flusher.flush(busy)
	}
	if err != nil {
		return nil, err
	}
	return call, nil
}

// encode checks the head and encodes params, before the call has an ID on the
// connection. It returns how many bytes of them count as in flight.
func (c *clientConn) encode(ctx context.Context, head *requestHead, params any) (body outBody, size int64, err error) {
	if err := head.check(); err != nil {
		return outBody{}, 0, err
	}
	switch p := params.(type) {
	case nil:
		return outBody{}, 0, nil
	case *encoded:
		body = p.outBody()
	default:
		body, err = c.bodies.encode(ctx, params, nil)
		if err == errNoTurn {
			return outBody{}, 0, c.noTurn(ctx)
		}
		if err != nil {
			return outBody{}, 0, unencoded(err)
		}
	}
	if size, err = c.params.counted(int64(body.size())); err != nil {
		body.drop()
		return outBody{}, 0, err
	}
	if c.compress > 0 { // without the lock: it has not changed since the hello, before which no call has a slot
		body.compress(c.compress, c.maxMessage-wire.MinLength-head.Size())
	}
	return body, size, nil
}

func unencoded(err error) error {
	return unrun(Errorf(InvalidArgument, "encode params: %w", printed(err)))
}

// printed returns err, and prints the panic of a marshaler: its caller gets no stack.
func printed(err error) error {
	if p, ok := causes.Find[*codecPanic](err); ok {
		printPanic("while "+p.doing, p.value, p.stack)
	}
	return err
}

// noTurn returns the error of a call whose params were not encoded in time: see errNoTurn.
func (c *clientConn) noTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unrun(contextError(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unusable()
}

// appendCall gives the call its ID, its entry in pending and its frame. It reports
// whether the caller has to flush, and whether other calls are in flight.
func (c *clientConn) appendCall(call *clientCall, head *requestHead, body outBody, kept int64) (start, busy bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err = c.sendableLocked(head, body.size()); err == nil {
		err = c.chargeLocked(call, kept)
	}
	if err != nil {
		body.drop()
		return false, false, err
	}
	c.lastID++
	call.id = c.lastID
	c.pending[call.id] = call
	c.out.append(func(dst []byte) []byte { return head.Append(dst, body.flags, call.id, body.size()) }, body.buf)
	call.end = c.out.appended
	c.watchLocked(call.deadline)
	body.sent()
	return c.out.start(), c.inFlight > 1, nil
}

// sendableLocked says why a call with a body of so many bytes cannot be sent.
func (c *clientConn) sendableLocked(head *requestHead, size int) error {
	if err := c.usableLocked(); err != nil { // the connection may have ended since the call got its slot
		return err
	}
	if err := head.setTimeout(); err != nil { // not sooner: waiting and encoding have taken time
		return err
	}
	if n := wire.MinLength + head.Size() + size; n > c.maxMessage {
		return unrun(Errorf(ResourceExhausted, "request of %d bytes: the server reads at most %d", n, c.maxMessage))
	}
	return nil
}

func (c *clientConn) usableLocked() error {
	if c.err == nil && !c.over.Load() {
		return nil
	}
	return c.unusable()
}

// unusable says why no call can be made. Callers hold mu.
func (c *clientConn) unusable() *Error {
	switch {
	case c.err == nil:
		return unrun(Errorf(Unavailable, "the server is going away"))
	case c.err.neverRan: // refused in the hello
		return c.err
	}
	return unrun(c.err.clone())
}

// await waits for the call's end. If the call is the only one pending, the caller
// reads the reply itself, but not for long. An error means that the caller's context
// ended first and nothing of the call will be touched any more.
func (c *clientConn) await(ctx context.Context, call *clientCall) error {
	if c.takeRole(call) {
		c.readOwn(call)
	}
	select {
	case <-call.done:
		return nil
	case <-ctx.Done():
	}
	if c.abandon(call) {
		return contextError(ctxError(ctx))
	}
	<-call.done // the reader has claimed it: processor time only
	return nil
}

// abandon takes the call out of pending for its caller and tells the server. It
// returns false if the reader was first.
func (c *clientConn) abandon(call *clientCall) bool {
	c.mu.Lock()
	if c.pending[call.id] != call {
		c.mu.Unlock()
		return false
	}
	c.abandonLocked(call)
	start := c.out.start()
	c.mu.Unlock()
	if start {
		c.flusher.flush(true)
	}
	return true
}
