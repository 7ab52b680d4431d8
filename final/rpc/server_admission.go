package rpc

import (
	"fmt"
	"time"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// handleRequest admits a call, or refuses it with an error that says that it never ran.
func (c *serverConn) handleRequest(f *wire.Frame) error {
	r, err := wire.ParseRequest(f)
	if err != nil {
		return fromWire(err)
	}
	begun, err := c.begin(f.ID)
	if !begun {
		bytepool.Put(f.Large)
		return err
	}
	call, err := c.admitted(f, &r)
	if call == nil {
		return err
	}
	if f.Flags&wire.FlagCompressed != 0 {
		call.expandsTo = max(c.in.Limit-wire.MinLength-len(f.Payload)+len(r.Body), 1)
	}
	return c.run(call, f, r.Body)
}

// admitted returns the call that f asks for; nil if it was refused. It runs code of
// the user's, which may end the goroutine that reads.
func (c *serverConn) admitted(f *wire.Frame, r *wire.Request) (_ *serverCall, err error) {
	exited := true
	defer func() {
		if exited {
			c.readerExited(f.ID)
		}
	}()
	call, err := c.admit(f, r)
	if c.bodies.inOrder() {
		err = c.decodeInOrder(call, f, r, err)
	}
	switch {
	case causes.Is(err, errGobStream):
		c.mu.Lock()
		c.releaseLocked()
		c.mu.Unlock()
	case err != nil:
		bytepool.Put(f.Large)
		err = c.refuse(call, toError(err))
	default:
		exited = false
		return call, nil
	}
	exited = false
	return nil, err
}

// readerExited answers a call of which a hook or a decoder has ended the reading
// goroutine by runtime.Goexit, as a test's FailNow does. Another goroutine reads
// on, but a gob stream that was left in the middle cannot be read any further.
func (c *serverConn) readerExited(id uint64) {
	e := unrun(Errorf(Internal, "%w", errExited))
	c.control(true, func(dst []byte) []byte { return appendError(dst, id, e, c.maxReply) })
	if c.bodies.inOrder() {
		c.finish(fmt.Errorf("%w: %w", errGobStream, errExited))
		return
	}
	go c.read()
}

// remember lets a cancel, and the end of the connection, find the call.
func (c *serverConn) remember(call *serverCall) {
	c.mu.Lock()
	c.calls[call.id] = call
	c.mu.Unlock()
}

func (c *serverConn) forget(call *serverCall) {
	c.mu.Lock()
	delete(c.calls, call.id)
	c.mu.Unlock()
}

// shrinkCalls gives back the memory of a map that many calls have made large.
func (c *serverConn) shrinkCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		c.calls = map[uint64]*serverCall{}
	}
}

// begin counts a request. It returns false if nothing is to be done for it.
func (c *serverConn) begin(id uint64) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining: // the ID is after the go-away's: the client knows that it does not run
		return false, nil
	case id <= c.lastID:
		return false, errProtocol("call ID %d after %d: IDs must rise", id, c.lastID)
	}
	c.lastID = id
	c.running++
	return true, nil
}

// admit checks a request against the registry, the bounds and Authorize. With an
// error it returns what is known of the call.
func (c *serverConn) admit(f *wire.Frame, r *wire.Request) (*serverCall, error) {
	o := &c.server.options
	call := &serverCall{id: f.ID, peer: c.peer}
	call.method = c.server.registry.find(r.Method)
	if timeout := shorter(r.Timeout, o.handlerTimeout); timeout > 0 {
		call.deadline = c.in.came().Add(timeout)
	}
	if len(r.Pairs) > 0 {
		var err error
		if call.metadata, err = c.metadata(r.Pairs); err != nil {
			return call, err
		}
	}
	if call.method == nil {
		return call, c.server.noMethod(call, call, r.Method)
	}
	if c.crowded() {
		return call, Errorf(ResourceExhausted, "more than %d calls are running on this connection", o.maxInFlight)
	}
	if err := c.server.authorize(call, call, call.method.info.Name); err != nil {
		return call, err
	}
	if !c.server.acquire(call.method) {
		return call, Errorf(ResourceExhausted, "more than %d calls are running on this server", o.maxHandlers)
	}
	return call, nil
}

func (c *serverConn) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running > c.server.options.maxInFlight
}

// shorter returns the shorter of two timeouts, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// noMethod says what is wrong with a method that is not there.
func noMethod(name []byte, limit int) *Error {
	switch {
	case len(name) > limit:
		return Errorf(InvalidArgument, "method name of %d bytes: at most %d are allowed", len(name), limit)
	case !utf8.Valid(name):
		return Errorf(InvalidArgument, "method name is not UTF-8: %q", name)
	}
	return Errorf(Unimplemented, "method not found: %s", name)
}

func (c *serverConn) metadata(pairs []byte) (Metadata, error) {
	if n, limit := len(pairs), c.server.options.maxMetadata; n > limit {
		return nil, Errorf(ResourceExhausted, "metadata of %d bytes: at most %d are allowed", n, limit)
	}
	md, err := wire.ParsePairs(pairs, wire.MaxPairs)
	if err != nil {
		return nil, fromWire(err)
	}
	if err := Metadata(md).check(); err != nil {
		return nil, Errorf(InvalidArgument, "%w", err)
	}
	return md, nil
}

func (c *serverConn) releaseLocked() {
	if c.running--; c.running == 0 {
		c.changed.Broadcast()
	}
}

// decodeInOrder decodes params, in the order of the frames. Whatever else becomes of
// the call, its types belong to the stream: with refused set, or without
// params, the body is skipped.
func (c *serverConn) decodeInOrder(call *serverCall, f *wire.Frame, r *wire.Request, refused error) error {
	if refused != nil || call.method.newParams == nil {
		err := c.bodies.decode(r.Body, f.Flags, nil)
		if !causes.Is(err, errGobStream) {
			return refused
		}
		if refused == nil {
			c.server.release()
		}
		return err
	}
	decoded := false
	defer func() {
		if !decoded {
			c.server.release()
		}
	}()
	call.params = call.method.newParams()
	if err := c.bodies.decode(r.Body, f.Flags, call.params); err != nil {
		return Errorf(InvalidArgument, "decode params of %s: %w", call.method.info.Name, err)
	}
	decoded = true
	return nil
}

// refuse answers a call that is not run.
func (c *serverConn) refuse(call *serverCall, e *Error) error {
	refusal := unrun(e.clone())
	c.server.callFailed(call, refusal)
	return c.control(true, func(dst []byte) []byte { return appendError(dst, call.id, refusal, c.maxReply) })
}
