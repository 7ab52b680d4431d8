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
	call.expandsTo = c.in.expandsTo(f, r.Body)
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
	case causes.Is(err, errGobStream): // no reply: the connection ends, and awaitEnd must not wait for the call
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
	c.control(true, func(dst []byte) []byte { return appendError(dst, id, e, nil, c.maxReply) })
	if c.bodies.inOrder() {
		c.finish(fmt.Errorf("%w: %w", errGobStream, errExited))
		return
	}
	go c.read()
}

// remember lets a cancel, and the end of the connection, find the call. A call that the
// reader runs itself need not be found: no cancel is read meanwhile. takeOver remembers it.
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

// shrinkCalls gives back memory, for the reader: that of calls to come, and of a map that
// many calls have made large, which keeps it when its entries are deleted.
func (c *serverConn) shrinkCalls() {
	c.spare = nil
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) == 0 {
		c.calls = map[uint64]*serverCall{}
	}
}

// begin counts a request, also one that will be refused: it is in flight until its reply
// is appended. It returns false if nothing is to be done for it.
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
	call := c.newCall(len(r.Pairs) > 0 || len(o.authorize) > 0)
	call.id, call.peer = f.ID, c.peer
	call.method = c.server.registry.find(r.Method)
	if timeout := shorter(r.Timeout, o.handlerTimeout); timeout > 0 {
		call.deadline = c.in.arrived().Add(timeout)
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
	if call.method.stream != nil {
		return call, noCall(call.method)
	}
	if c.crowded() {
		return call, Errorf(ResourceExhausted, "more than %d calls are running on this connection", o.maxInFlight)
	}
	if err := c.server.authorize(call, call, call.method.info.Name); err != nil {
		return call, err
	}
	if refusal := c.server.acquire(call.method, c.origin); refusal != nil {
		return call, refusal
	}
	return call, c.chargeArrived(call, f, r.Body)
}

// suits refuses a method of another kind than was asked for.
func (m *method) suits(kind MethodKind) error {
	switch {
	case m.info.Kind == kind:
		return nil
	case kind == Unary:
		return noCall(m)
	case m.info.Kind == Unary:
		return Errorf(Unimplemented, "%s is no stream", m.info.Name)
	}
	return Errorf(Unimplemented, "%s is a %s, not a %s", m.info.Name, m.info.Kind, kind)
}

// noCall refuses a call of a stream.
func noCall(m *method) *Error {
	return Errorf(Unimplemented, "%s is a %s", m.info.Name, m.info.Kind)
}

// callsAtOnce is how many serverCalls are allocated at a time.
const callsAtOnce = 4

// newCall returns an empty serverCall, for the reader. It allocates several at once, and one
// slow handler keeps the memory of all of them. After its end a call holds little, unless it
// has metadata or Claims of an Authorize hook: such a call is allocated alone. A connection's
// first call is, too, since many connections make no other.
func (c *serverConn) newCall(alone bool) *serverCall {
	if alone {
		return new(serverCall)
	}
	if len(c.spare) == 0 {
		n := callsAtOnce
		if c.spare == nil {
			n = 1
		}
		c.spare = make([]serverCall, n)
	}
	call := &c.spare[0]
	c.spare = c.spare[1:]
	return call
}

func (c *serverConn) crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running > c.server.options.maxInFlight // begin has counted this call, too
}

// shorter returns the shorter of two timeouts, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// errNoMethod says what is wrong with a name that no method has.
func errNoMethod(name []byte, limit int) *Error {
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

// decodeInOrder decodes params of a gob stream, in the order of the frames. The body of a
// call that was refused, or whose method takes no params, has to be read, too: later messages
// use the types that it defines.
func (c *serverConn) decodeInOrder(call *serverCall, f *wire.Frame, r *wire.Request, refused error) error {
	if refused != nil || call.method.newParams == nil {
		err := c.bodies.decode(r.Body, f.Flags, nil)
		if !causes.Is(err, errGobStream) {
			return refused
		}
		if refused == nil { // else admit has given back what the call had
			c.release(call)
		}
		return err
	}
	decoded := false
	defer func() {
		if !decoded {
			call.params = nil // see newCall
			c.release(call)
		}
	}()
	if err := call.measure(&c.params, call.method.sizes[c.codec], r.Body); err != nil {
		// It is too large to be kept, but types that later messages use may be defined in it.
		if broken := c.bodies.decode(r.Body, f.Flags, nil); causes.Is(broken, errGobStream) {
			return broken
		}
		return undecodable(call.method, err)
	}
	call.params = call.method.newParams()
	if err := c.bodies.decode(r.Body, f.Flags, call.params); err != nil {
		return undecodable(call.method, err)
	}
	decoded = true
	return nil
}

// refuse answers a call that is not run.
func (c *serverConn) refuse(call *serverCall, e *Error) error {
	refusal := unrun(e.clone()) // e may be shared, or a hook's
	c.server.callFailed(call, refusal)
	return c.control(true, func(dst []byte) []byte { return appendError(dst, call.id, refusal, c.headerOf(call), c.maxReply) })
}
