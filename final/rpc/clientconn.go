package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"reflect"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/values"
)

// clientConn is a client's side of one connection, from hello to end. It never
// comes back: the Client makes another one.
//
// out.mu guards everything in the second half. ID, entry in pending, frame and,
// with gob, the encoding are made in one critical section: the order on the
// wire is the order of the IDs.
type clientConn struct {
	owner   *Client
	options *clientOptions // the owner's
	conn    net.Conn
	codec   Codec
	in      frameReader
	out     writer
	gobIn   gobDecoder
	goAway  *Error            // the server's reason; the reader's
	dropped func(*clientConn) // the owner's: called once, when no new call can be made

	helloDue time.Time // when the hellos are to be exchanged; zero: at any time

	ready  chan struct{} // closed when the hellos are exchanged, or when err is set
	ended  chan struct{} // closed at the end
	over   atomic.Bool   // no new calls: going away, or err is set
	full   atomic.Bool   // no slot is free; set under out.mu, to be seen without it
	events connEvents
	fast   any // fastpath.go's

	blamed atomic.Bool // Pool's: its server was blamed for being over

	err         *Error // why the connection is no more: what its calls fail with
	pending     map[uint64]*clientCall
	greeted     bool   // the hellos are exchanged
	inFlight    int    // slots taken: pending calls and those about to be
	lastID      uint64 // of the last call appended
	leftID      uint64 // calls up to this one were handed to Write
	maxInFlight int    // the server's bound
	maxMessage  int    // the server's bound
	compress    int    // bodies from here on are compressed; 0: the hellos did not agree upon it
	gobOut      gobEncoder
	pings       map[uint64]chan struct{}
	lastPing    uint64
	keepalive   *time.Timer
}

// clientCall is a call in flight. The caller owns it, except for result: the
// goroutine that takes the call out of pending writes it before it sends on done.
type clientCall struct {
	id       uint64
	end      uint64 // of its frame, in all that was appended
	reply    any
	deadline time.Time // zero: none
	result   callResult
	done     chan struct{} // capacity 1
}

// callResult is a call's outcome: err, or a body to decode. gob's bodies are
// decoded by the reader, in order.
type callResult struct {
	err  error
	body *buffer
	data []byte // lies in body
	room int    // data is compressed, of at most so many bytes; 0: it is not
}

// abandoned takes the place in pending of a call whose caller has left. It keeps the
// slot until the server's one reply.
var abandoned = new(clientCall)

// helloDue returns when the hello of a connection that is being made is due; the zero
// time is never.
func (o *clientOptions) helloDue() time.Time {
	if o.handshakeTimeout <= 0 {
		return time.Time{}
	}
	return time.Now().Add(o.handshakeTimeout)
}

// newClientConn takes over conn. Nothing happens before start.
func newClientConn(conn net.Conn, owner *Client, helloDue time.Time) *clientConn {
	o := &owner.options
	conn = guardConn(conn)
	c := &clientConn{
		owner:    owner,
		options:  o,
		conn:     conn,
		helloDue: helloDue,
		codec:    o.codec,
		dropped:  owner.dropped,
		ready:    make(chan struct{}),
		ended:    make(chan struct{}),
		pending:  map[uint64]*clientCall{},
		events:   connEvents{observer: o.observer},
	}
	c.in = frameReader{conn: conn, limit: o.maxMessage, observer: o.observer}
	c.in.shrunk = c.shrinkPending
	c.out = writer{conn: conn, timeout: o.writeTimeout, observer: o.observer, inline: resumable(conn)}
	c.out.failed = func(err error) { c.fail(Errorf(Unavailable, "write: %w", err)) }
	c.out.taken = func() { c.leftID = c.lastID }
	c.out.room = c.grantLocked
	c.fast = newFast(c)
	return c
}

// start says hello in the background.
func (c *clientConn) start() {
	c.owner.adopt(c)
	c.events.opened()
	go c.run()
}

// run says hello and then reads until the connection ends.
func (c *clientConn) run() {
	defer c.fail(errExited) // if nothing else has ended the connection
	hello, err := c.hello()
	if refused := (*Error)(nil); errors.As(err, &refused) && refused.neverRan {
		c.lose(refused)
		return
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.out.mu.Lock()
	c.maxInFlight = int(min(hello.maxInFlight, math.MaxInt32))
	c.maxMessage = int(min(hello.maxMessage, math.MaxInt32))
	if c.options.granted(hello.text) {
		c.compress = c.options.compressFrom
	}
	if c.err == nil {
		if d := c.options.keepalive; d > 0 {
			c.keepalive = time.AfterFunc(d, func() { c.keepAlive(0, false) })
		}
		c.greeted = true
	}
	c.out.mu.Unlock()
	c.owner.greeted(c) // first: who waits for ready finds the owner connected
	c.out.mu.Lock()
	c.readyLocked()
	c.out.mu.Unlock()
	clientRead(c)
}

// readyLocked closes ready, once.
func (c *clientConn) readyLocked() {
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
}

// hello exchanges the hellos. Every error of it means that no call has run.
func (c *clientConn) hello() (serverHello, error) {
	metadata, err := c.options.helloMetadata()
	if err != nil {
		return serverHello{}, err
	}
	say := clientHello{codec: c.codec.Name(), maxMessage: uint32(c.options.maxMessage), metadata: metadata}
	if !c.helloDue.IsZero() {
		c.conn.SetDeadline(c.helloDue)
	}
	if err := say.check(); err != nil {
		return serverHello{}, err
	}
	if _, err := c.conn.Write(say.append(nil)); err != nil {
		return serverHello{}, unrun(Errorf(Unavailable, "hello: %w", err))
	}
	body, err := readHello(c.conn, maxHello)
	if err != nil {
		var coded *Error
		switch {
		case errors.As(err, &coded):
			coded = coded.clone() // it may be a user's
		case errors.Is(err, errVersion):
			coded = Errorf(Unimplemented, "%w", err)
		default:
			coded = Errorf(Unavailable, "%w", err)
		}
		return serverHello{}, unrun(coded)
	}
	hello, err := parseServerHello(body)
	if err != nil {
		return hello, err
	}
	return hello, unlessClosed(c.conn.SetDeadline(time.Time{}))
}

// call makes one attempt on this connection, in a slot that acquire has taken.
func (c *clientConn) call(ctx context.Context, method string, params, reply any) error {
	call, err := c.send(ctx, method, params, reply)
	if err != nil {
		return err
	}
	if err := clientAwait(c, ctx, call); err != nil {
		return err // the goroutine that claims the call, if one does, keeps the record
	}
	result := call.result
	call.result, call.reply = callResult{}, nil
	c.owner.records.Put(call)
	if result.err == nil && c.codec != Gob {
		if err := c.decode(&result, reply); err != nil {
			result.err = Errorf(undecoded(err, Internal), "decode the reply of %s: %w", method, err)
		}
	}
	putBuffer(result.body)
	return result.err
}

// decode decodes a result with a codec that keeps no state, for the caller and
// on its goroutine.
func (c *clientConn) decode(result *callResult, reply any) (err error) {
	if result.room > 0 && reply != nil {
		if result.body, err = expand(result.body, result.data, result.room); err != nil {
			return err
		}
		result.data = result.body.b
	}
	if reply == nil {
		return nil
	}
	emptied := values.Empty(reply, len(result.data) == 0 || string(result.data) == "null")
	if err = decodeWith(c.codec, result.data, emptied.Into); err != nil {
		emptied.Restore()
	}
	return err
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
// give the slot back. So does a marshaler that ends the goroutine by runtime.Goexit.
func (c *clientConn) send(ctx context.Context, method string, params, reply any) (*clientCall, error) {
	sent := false
	defer func() {
		if !sent {
			c.release()
		}
	}()
	o := optionsFrom(ctx)
	head := requestHead{method: method, metadata: o.metadata}
	params = o.frozen.thaw(params)
	body, flags, err := c.encode(&head, params)
	if err != nil {
		return nil, err
	}
	call := c.owner.records.Get().(*clientCall)
	call.reply = reply
	head.deadline, _ = ctx.Deadline() // a context may be a user's: not under the lock
	call.deadline = head.deadline
	start, busy, err := c.appendCall(call, &head, params, body, flags)
	sent = err == nil
	if start {
		flush(&c.out, busy)
	}
	if err != nil {
		return nil, err
	}
	return call, nil
}

// appendCall takes the lock for appendCallLocked. It reports whether the caller has
// to flush, and whether other calls are in flight.
func (c *clientConn) appendCall(call *clientCall, head *requestHead, params any, body *buffer, flags uint8) (start, busy bool, err error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock() // also if a GobEncoder ends the goroutine
	err = c.appendCallLocked(call, head, params, body, flags)
	return c.out.startLocked(), c.inFlight > 1, err
}

func (h *requestHead) check() error {
	if len(h.method) > 65535 {
		return unrun(Errorf(InvalidArgument, "method name of %d bytes: at most 65535 are allowed", len(h.method)))
	}
	if len(h.metadata) == 0 {
		return nil
	}
	if err := h.metadata.check(); err != nil {
		return unrun(Errorf(InvalidArgument, "%w", err))
	}
	if n := pairsSize(h.metadata); n > 65535 {
		return unrun(Errorf(ResourceExhausted, "metadata of %d bytes: at most 65535 are allowed", n))
	}
	return nil
}

// encoded is params that Go has encoded already.
type encoded struct {
	body  []byte
	flags uint8
}

// encode checks the head and encodes params with a codec that keeps no state.
// gob's params are encoded later, under the lock: body is nil then.
func (c *clientConn) encode(head *requestHead, params any) (body *buffer, flags uint8, err error) {
	if err := head.check(); err != nil {
		return nil, 0, err
	}
	switch p := params.(type) {
	case nil:
		return nil, 0, nil
	case *encoded:
		body, flags = getBuffer(len(p.body)), p.flags
		body.b = append(body.b, p.body...)
	default:
		if c.codec == Gob {
			return nil, 0, nil
		}
		if body, err = c.out.encode(c.codec, params); err != nil {
			return nil, 0, unrun(Errorf(InvalidArgument, "encode params: %w", err))
		}
	}
	if c.compress > 0 {
		body, flags = shrink(body, c.compress, c.maxMessage-minLength-head.size())
	}
	return body, flags, nil
}

// appendCallLocked gives the call its ID, its place in pending and its frame.
func (c *clientConn) appendCallLocked(call *clientCall, head *requestHead, params any, body *buffer, flags uint8) error {
	if err := c.usableLocked(); err != nil {
		return err
	}
	if body == nil && params != nil { // gob
		var err error
		if body, flags, err = c.out.encodeGobLocked(&c.gobOut, params); err != nil {
			return unrun(Errorf(InvalidArgument, "encode params: %w", err))
		}
	}
	err := head.limit()
	size := 0
	if body != nil {
		size = len(body.b)
	}
	if n := minLength + head.size() + size; err == nil && n > c.maxMessage {
		err = unrun(Errorf(ResourceExhausted, "request of %d bytes: the server reads at most %d", n, c.maxMessage))
	}
	if err != nil {
		if c.codec == Gob {
			c.gobOut.reset()
		}
		putBuffer(body)
		return err
	}
	c.lastID++
	call.id = c.lastID
	c.pending[call.id] = call
	c.out.appendLocked(func(dst []byte) []byte { return head.append(dst, flags, call.id, size) }, body)
	call.end = c.out.appended
	return nil
}

// limit sets the timeout: what is left now, since clocks may differ. A deadline
// that is less than a millisecond away cannot be met.
func (h *requestHead) limit() error {
	if h.deadline.IsZero() {
		return nil
	}
	h.timeout = time.Until(h.deadline).Truncate(time.Millisecond)
	if h.timeout <= 0 {
		return unrun(Errorf(DeadlineExceeded, "no time is left to send the call: %w", context.DeadlineExceeded))
	}
	return nil
}

func (c *clientConn) usableLocked() error {
	if c.err == nil && !c.over.Load() {
		return nil
	}
	return c.unusable()
}

// unusable says why no call can be made. Callers hold out.mu.
func (c *clientConn) unusable() *Error {
	switch {
	case c.err == nil:
		return unrun(Errorf(Unavailable, "the server is going away"))
	case c.err.neverRan: // refused in the hello
		return c.err
	}
	return unrun(c.err.clone())
}

// contextError makes the error of a context the error of a call.
func contextError(err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "%w", err)
	}
	return Errorf(Canceled, "%w", err)
}

// await waits for the call's end: see clientAwait.
func (c *clientConn) await(ctx context.Context, call *clientCall) error {
	select {
	case <-call.done:
		return nil
	case <-ctx.Done():
	}
	if c.abandon(call) {
		return contextError(ctx.Err())
	}
	<-call.done // the reader has claimed it: processor time only
	return nil
}

// abandon takes the call out of pending for its caller and tells the server. It
// returns false if the reader was first.
func (c *clientConn) abandon(call *clientCall) bool {
	c.out.mu.Lock()
	if c.pending[call.id] != call {
		c.out.mu.Unlock()
		return false
	}
	c.pending[call.id] = abandoned
	id := call.id
	c.out.appendLocked(func(dst []byte) []byte { return appendHeader(dst, kindCancel, 0, id, 0) }, nil)
	start := c.out.startLocked()
	c.out.mu.Unlock()
	if start {
		flush(&c.out, true)
	}
	return true
}

// read reads until the connection ends.
func (c *clientConn) read() {
	for {
		f, err := c.in.next()
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.failRead(err)
			return
		}
	}
}

// failRead ends the connection because reading did.
func (c *clientConn) failRead(err error) {
	var coded *Error
	switch {
	case errors.Is(err, io.EOF) && c.goAway != nil:
		err = c.goAway
	case errors.Is(err, io.EOF):
		err = errors.New("the server closed the connection")
	case errors.As(err, &coded):
		err = coded
	default:
		err = fmt.Errorf("read: %w", err)
	}
	c.fail(err)
}

// handle does what a frame says. Its errors end the connection.
func (c *clientConn) handle(f *frame) error {
	if err := checkFrame(f, c.compress > 0); err != nil {
		putBuffer(f.large)
		return err
	}
	switch f.kind {
	case kindResponse, kindError:
		return c.handleReply(f)
	case kindPing:
		c.control(func(dst []byte) []byte { return appendHeader(dst, kindPong, 0, f.id, 0) })
		return nil
	case kindPong:
		c.handlePong(f.id)
		return nil
	case kindGoAway:
		return c.handleGoAway(f)
	}
	putBuffer(f.large)
	return errProtocol("the server sent a frame of kind %d", f.kind)
}

// control appends a frame without waiting for room.
func (c *clientConn) control(head func([]byte) []byte) {
	c.out.mu.Lock()
	c.out.appendLocked(head, nil)
	start, size := c.out.startLocked(), c.out.size
	c.out.mu.Unlock()
	if start {
		go c.out.flushAll()
	}
	if size > 2*highWater {
		go c.fail(errors.New("the server does not read what it asks for"))
	}
}

// handleReply gives a reply to its caller, or drops it.
func (c *clientConn) handleReply(f *frame) (broken error) {
	var failure *Error
	if f.kind == kindError {
		if failure, broken = parseError(f); broken != nil {
			return broken
		}
	}
	call, exited := c.claim(f.id), true
	defer func() {
		putBuffer(f.large)
		if exited && call != nil {
			c.decoderExited(call)
		}
	}()
	if call == nil && c.goAway != nil {
		return nil // refused by the go-away as well
	}
	if call == nil {
		return errProtocol("a reply to call %d, which is not in flight", f.id)
	}
	result := callResult{}
	switch {
	case failure != nil:
		result.err = failure
	case c.codec == Gob:
		result.err, broken = c.decodeGob(f, call)
	case call != abandoned:
		result.keep(f)
		if f.flags&flagCompressed != 0 {
			result.room = c.in.limit - minLength
		}
	}
	exited = false
	if call != abandoned {
		call.result = result
		call.done <- struct{}{}
	}
	return broken
}

// decoderExited ends the connection, and then a call whose reply's decoder has
// ended the goroutine that reads: no new call may begin on it.
func (c *clientConn) decoderExited(call *clientCall) {
	defer func() {
		if call != abandoned {
			call.result.err = Errorf(Internal, "decode the reply: %w", errExited)
			call.done <- struct{}{}
		}
	}()
	c.fail(errExited)
}

// shrinkPending gives back the memory of a map that many calls have made large.
func (c *clientConn) shrinkPending() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.pending != nil && len(c.pending) == 0 {
		c.pending = map[uint64]*clientCall{}
	}
}

// claim takes a call out of pending: from then on it is the claimer's to end.
func (c *clientConn) claim(id uint64) *clientCall {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	call := c.pending[id]
	if call != nil {
		delete(c.pending, id)
		c.releaseLocked()
	}
	return call
}

// decodeGob decodes a reply in its turn, for a caller who has left into nothing.
// broken is set if the stream cannot be read any further.
func (c *clientConn) decodeGob(f *frame, call *clientCall) (failed, broken error) {
	if call == abandoned || call.reply == nil {
		failed = c.gobIn.decode(f.payload, f.flags, nil)
	} else {
		failed = c.decodeGobInto(call.reply, f)
	}
	if failed == nil {
		return nil, nil
	}
	if errors.Is(failed, errGobStream) {
		broken = failed
	}
	return Errorf(Internal, "decode the reply: %w", failed), broken
}

// decodeGobInto leaves reply as it was unless decoding succeeds.
func (c *clientConn) decodeGobInto(reply any, f *frame) error {
	emptied, decoded := values.Empty(reply, len(f.payload) == 0), false
	defer func() {
		if !decoded {
			emptied.Restore()
		}
	}()
	err := c.gobIn.decode(f.payload, f.flags, emptied.Into)
	decoded = err == nil
	return err
}

// keep holds on to a frame's payload: in the large buffer, or by a copy.
func (r *callResult) keep(f *frame) {
	if f.large == nil && len(f.payload) > 0 {
		r.body = getBuffer(len(f.payload))
		r.body.b = append(r.body.b, f.payload...)
		r.data = r.body.b
		return
	}
	r.body, r.data = f.large, f.payload
	f.large = nil
}

// handleGoAway: calls after the frame's ID never run; those before are answered.
func (c *clientConn) handleGoAway(f *frame) error {
	reason, err := parseGoAway(f)
	if err != nil {
		return err
	}
	c.goAway = reason
	c.stopCalls()
	c.out.mu.Lock()
	var unserved []*clientCall
	for id, call := range c.pending {
		if id > f.id {
			delete(c.pending, id)
			c.inFlight--
			unserved = append(unserved, call)
		}
	}
	leftID := c.leftID
	c.grantLocked()
	c.out.mu.Unlock()
	for _, call := range unserved {
		if call != abandoned {
			call.result.err = &Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true, handed: call.id <= leftID, neverRan: true}
			call.done <- struct{}{}
		}
	}
	return nil
}

// drain ends the connection once nothing is in flight.
func (c *clientConn) drain() {
	c.stopCalls()
	c.out.mu.Lock()
	c.grantLocked()
	c.out.mu.Unlock()
}

// stopCalls lets no new call begin and tells the Client, once.
func (c *clientConn) stopCalls() {
	if !c.over.Swap(true) {
		c.dropped(c)
	}
}

// fail ends the connection, once, because of err, which may be a user's: it is not
// read under the lock.
func (c *clientConn) fail(err error) {
	if errors.Is(err, ErrClientClosed) {
		c.lose(Errorf(Canceled, "%w", err))
		return
	}
	c.lose(lostError(err))
}

func lostError(err error) *Error { return Errorf(Unavailable, "connection lost: %w", err) }

// lose ends the connection, once. Its calls fail with lost, and learn that first: the
// connection and the observer may be a user's, and take their time.
func (c *clientConn) lose(lost *Error) {
	c.out.mu.Lock()
	if c.err == nil {
		c.err = lost // first: the calls that wait are told why
	}
	c.out.mu.Unlock()
	c.stopCalls()
	if !c.endCalls() {
		return
	}
	close(c.ended)
	c.owner.gone(c)
	defer c.events.closed()
	c.conn.Close()
}

// endCalls ends the calls in flight, once. Those that were not handed to Write never
// ran, nor did those of which Write says that it has not taken all.
func (c *clientConn) endCalls() (first bool) {
	c.out.mu.Lock()
	calls, leftID, lost := c.pending, c.leftID, c.err
	sent, known := c.out.sentLocked()
	if calls == nil {
		c.out.mu.Unlock()
		return false
	}
	c.pending = nil
	c.out.stopLocked(lost)
	c.stopKeepaliveLocked()
	c.gobOut.end()
	c.readyLocked()
	c.out.mu.Unlock()
	for id, call := range calls {
		if call != abandoned {
			e := lost.clone()
			e.handed = id <= leftID
			e.neverRan = !e.handed || known && call.end > sent
			call.result.err = e
			call.done <- struct{}{}
		}
	}
	return true
}
