package rpc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// clientConn is a client's side of one connection, from hello to end. It never
// comes back: the Client makes another one.
//
// ID, entry in pending and frame are made in one critical section: the order on the
// wire is the order of the IDs.
type clientConn struct {
	owner   *Client
	options *clientOptions // the owner's
	conn    net.Conn
	codec   Codec
	in      frameReader
	flusher flusher
	bodies  bodyCodec
	goAway  *Error // the server's reason; the reader's

	helloDue time.Time // when the hellos are to be exchanged; zero: at any time

	ready  chan struct{}         // closed when the hellos are exchanged, or when err is set
	ended  chan struct{}         // closed at the end
	over   atomic.Bool           // no new calls: going away, or err is set
	why    atomic.Pointer[Error] // it is over; nil if this side ends it
	full   atomic.Bool           // no slot is free; set under mu, to be seen without it
	events connEvents
	reader clientReader

	counted atomic.Bool // Pool's: its end was counted as a failure of its server

	mu          sync.Mutex // guards what follows; no foreign code runs under it
	out         outbox
	err         *Error // why the connection is no more: what its calls fail with
	pending     map[uint64]*clientCall
	greeted     bool   // the hellos are exchanged
	inFlight    int    // slots taken: pending calls and those about to be
	lastID      uint64 // of the last call appended
	maxInFlight int    // the server's bound
	maxMessage  int    // the server's bound
	compress    int    // bodies from here on are compressed; 0: the hellos did not agree upon it
	pings       map[uint64]chan struct{}
	lastPing    uint64
	keepalive   *time.Timer
	overdue     overdue
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
	err       error
	body      *bytepool.Buffer
	data      []byte // lies in body
	expandsTo int    // data is compressed, of at most so many bytes; 0: it is not
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
		ready:    make(chan struct{}),
		ended:    make(chan struct{}),
		pending:  map[uint64]*clientCall{},
		events:   connEvents{observers: &o.observers},
	}
	c.bodies = newBodyCodec(c.codec, c.ended)
	c.in = frameReader{Reader: wire.Reader{Limit: o.maxMessage}, conn: conn, observers: &o.observers}
	c.in.shrunk = c.shrinkPending
	c.flusher = flusher{conn: conn, timeout: o.writeTimeout, observers: &o.observers, inline: resumable(conn), owner: c}
	c.reader = clientReader{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
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
	if refused, ok := causes.Find[*Error](err); ok && refused.neverRan {
		c.lose(refused)
		return
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	c.maxInFlight = int(min(hello.InFlight, math.MaxInt32))
	c.maxMessage = int(min(hello.MaxMessage, math.MaxInt32))
	if c.options.granted(hello.Text) {
		c.compress = c.options.compressFrom
	}
	if c.err == nil {
		if d := c.options.keepalive; d > 0 {
			c.keepalive = time.AfterFunc(d, func() { c.keepAlive(0, false) })
		}
		c.greeted = true
	}
	c.mu.Unlock()
	c.owner.greeted(c) // first: who waits for ready finds the owner connected
	c.mu.Lock()
	c.readyLocked()
	c.mu.Unlock()
	c.read()
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
func (c *clientConn) hello() (wire.ServerHello, error) {
	metadata, err := c.options.helloMetadata()
	if err != nil {
		return wire.ServerHello{}, err
	}
	if !c.helloDue.IsZero() {
		c.conn.SetDeadline(c.helloDue)
	}
	say, err := appendHello(nil, wire.ClientHello{Codec: c.options.codecName, MaxMessage: uint32(c.options.maxMessage)}, metadata)
	if err != nil {
		return wire.ServerHello{}, err
	}
	if _, err := c.conn.Write(say); err != nil {
		return wire.ServerHello{}, unrun(Errorf(Unavailable, "hello: %w", err))
	}
	body, err := wire.ReadHello(c.conn, wire.MaxHello)
	if err != nil {
		coded, found := causes.Find[*Error](fromWire(err))
		if found {
			coded = coded.clone() // it may be a user's
		} else {
			coded = Errorf(Unavailable, "%w", err)
		}
		return wire.ServerHello{}, unrun(coded)
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
	if err := c.await(ctx, call); err != nil {
		return err // the goroutine that claims the call, if one does, keeps the record
	}
	result := call.result
	call.result, call.reply = callResult{}, nil
	c.owner.records.Put(call)
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
// give the slot back. So does a marshaler that ends the goroutine by runtime.Goexit.
func (c *clientConn) send(ctx context.Context, method string, params, reply any) (*clientCall, error) {
	sent := false
	defer func() {
		if !sent {
			c.release()
		}
	}()
	o := optionsFrom(ctx)
	head := requestHead{RequestHead: wire.RequestHead{Method: method, Metadata: o.metadata}}
	head.deadline, _ = ctx.Deadline() // a context may be a user's: not under the lock
	body, err := c.encode(ctx, &head, o.frozen.thaw(params))
	if err != nil {
		return nil, err
	}
	call := c.owner.records.Get().(*clientCall)
	call.reply, call.deadline = reply, head.deadline
	start, busy, err := c.appendCall(call, &head, body)
	sent = err == nil
	if start {
		c.flusher.flush(busy)
	}
	if err != nil {
		return nil, err
	}
	return call, nil
}

// encode checks the head and encodes params, before the call has a place on the
// connection.
func (c *clientConn) encode(ctx context.Context, head *requestHead, params any) (body outBody, err error) {
	if err := head.check(); err != nil {
		return outBody{}, err
	}
	switch p := params.(type) {
	case nil:
		return outBody{}, nil
	case *encoded:
		body = p.outBody()
	default:
		body, err = c.bodies.encode(ctx, params, nil)
		if err == errNoTurn {
			return outBody{}, c.noTurn(ctx)
		}
		if err != nil {
			return outBody{}, unencoded(err)
		}
	}
	if c.compress > 0 {
		body.compress(c.compress, c.maxMessage-wire.MinLength-head.Size())
	}
	return body, nil
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

// noTurn is the error of a call for errNoTurn.
func (c *clientConn) noTurn(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unrun(contextError(err))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.unusable()
}

// appendCall gives the call its ID, its place in pending and its frame. It reports
// whether the caller has to flush, and whether other calls are in flight.
func (c *clientConn) appendCall(call *clientCall, head *requestHead, body outBody) (start, busy bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.sendableLocked(head, body.size()); err != nil {
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
	if err := c.usableLocked(); err != nil {
		return err
	}
	if err := head.limit(); err != nil {
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

// ctxError returns why ctx has ended, when its Done is closed. A user's may not say.
func ctxError(ctx context.Context) error { return cmp.Or(ctx.Err(), context.Canceled) }

// contextError makes the error of a context the error of a call.
func contextError(err error) *Error {
	if causes.Is(err, context.DeadlineExceeded) {
		return Errorf(DeadlineExceeded, "%w", err)
	}
	return Errorf(Canceled, "%w", err)
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
	c.pending[call.id] = abandoned
	id := call.id
	c.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindCancel, 0, id, 0) }, nil)
	start := c.out.start()
	c.mu.Unlock()
	if start {
		c.flusher.flush(true)
	}
	return true
}

// failRead ends the connection because reading did.
func (c *clientConn) failRead(err error) {
	coded, found := causes.Find[*Error](err)
	switch {
	case causes.Is(err, io.EOF) && c.goAway != nil:
		err = c.goAway
	case causes.Is(err, io.EOF):
		err = errors.New("the server closed the connection")
	case found:
		err = coded
	default:
		err = fmt.Errorf("read: %w", err)
	}
	c.fail(err)
}

// handle does what a frame says. Its errors end the connection.
func (c *clientConn) handle(f *wire.Frame) error {
	if err := f.Check(c.compress > 0); err != nil {
		bytepool.Put(f.Large)
		return fromWire(err)
	}
	switch f.Kind {
	case wire.KindResponse, wire.KindError:
		return c.handleReply(f)
	case wire.KindPing:
		c.control(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPong, 0, f.ID, 0) })
		return nil
	case wire.KindPong:
		c.handlePong(f.ID)
		return nil
	case wire.KindGoAway:
		return c.handleGoAway(f)
	}
	bytepool.Put(f.Large)
	return errProtocol("the server sent a frame of kind %d", f.Kind)
}

// takeBatch is the flusher's.
func (c *clientConn) takeBatch(w *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.take(w)
}

// wroteBatch is the flusher's.
func (c *clientConn) wroteBatch(written int, err error) (more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	more = c.out.wrote(written, err)
	c.grantLocked()
	return more
}

// writeFailed is the flusher's.
func (c *clientConn) writeFailed(err error, acceptedIsKnown bool) {
	c.mu.Lock()
	c.out.fail(err, acceptedIsKnown)
	c.mu.Unlock()
	c.fail(Errorf(Unavailable, "write: %w", err))
}

// control appends a frame without waiting for room.
func (c *clientConn) control(head func([]byte) []byte) {
	c.mu.Lock()
	c.out.append(head, nil)
	start, size := c.out.start(), c.out.size
	c.mu.Unlock()
	if start {
		go c.flusher.flushAll()
	}
	if size > 2*highWater {
		go c.fail(errors.New("the server does not read what it asks for"))
	}
}

// handleReply gives a reply to its caller, or drops it.
func (c *clientConn) handleReply(f *wire.Frame) (broken error) {
	var failure *Error
	if f.Kind == wire.KindError {
		if failure, broken = parseError(f); broken != nil {
			return broken
		}
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
	switch {
	case failure != nil:
		result.err = failure
	case c.bodies.inOrder():
		result.err, broken = c.decodeInOrder(f, call)
	case call != abandoned:
		result.keep(f)
		if f.Flags&wire.FlagCompressed != 0 {
			result.expandsTo = c.in.Limit - wire.MinLength
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
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil && len(c.pending) == 0 {
		c.pending = map[uint64]*clientCall{}
	}
}

// claim takes a call out of pending: from then on it is the claimer's to end.
func (c *clientConn) claim(id uint64) *clientCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	call := c.pending[id]
	if call != nil {
		delete(c.pending, id)
		c.releaseLocked()
	}
	return call
}

// decodeInOrder decodes a reply when it arrives, for a caller who has left into
// nothing. broken is set if the stream cannot be read any further.
func (c *clientConn) decodeInOrder(f *wire.Frame, call *clientCall) (failed, broken error) {
	err := c.decodeInto(call.reply, f.Payload, f.Flags)
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
func (r *callResult) keep(f *wire.Frame) {
	if f.Large == nil && len(f.Payload) > 0 {
		r.body = bytepool.Get(len(f.Payload))
		r.body.B = append(r.body.B, f.Payload...)
		r.data = r.body.B
		return
	}
	r.body, r.data = f.Large, f.Payload
	f.Large = nil
}

// handleGoAway: calls after the frame's ID never run; those before are answered.
func (c *clientConn) handleGoAway(f *wire.Frame) error {
	reason, err := parseGoAway(f)
	if err != nil {
		return err
	}
	c.goAway = reason
	c.stopCalls(&Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true})
	c.mu.Lock()
	var unserved []*clientCall
	for id, call := range c.pending {
		if id > f.ID {
			delete(c.pending, id)
			c.inFlight--
			unserved = append(unserved, call)
		}
	}
	taken := c.out.taken
	c.grantLocked()
	c.mu.Unlock()
	for _, call := range unserved {
		if call != abandoned {
			call.result.err = &Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true, handed: call.end <= taken, neverRan: true}
			call.done <- struct{}{}
		}
	}
	return nil
}

// drain ends the connection once nothing is in flight.
func (c *clientConn) drain() {
	c.stopCalls(nil)
	c.mu.Lock()
	c.grantLocked()
	c.mu.Unlock()
}

// stopCalls lets no new call begin and tells the Client, once. reason is nil if this
// side ends the connection.
func (c *clientConn) stopCalls(reason *Error) {
	c.why.CompareAndSwap(nil, reason)
	if !c.over.Swap(true) {
		c.owner.dropped(c)
		c.reportLoss(reason)
	}
}

// reportLoss tells the callbacks for errors why the connection is no more. A
// connection that was never made is a failed attempt, and is told as one.
func (c *clientConn) reportLoss(reason *Error) {
	c.mu.Lock()
	made := c.greeted || c == c.owner.fixed
	c.mu.Unlock()
	if made && reason != nil && !errors.Is(reason, ErrClientClosed) {
		c.options.report(lossOf(c.owner.addr, reason))
	}
}

// lossOf says which server a connection that is lost was to.
func lossOf(addr string, why *Error) *Error {
	return unrun(&Error{Code: Unavailable, Message: cmp.Or(addr, "the server") + ": " + why.Message, cause: why})
}

// fail ends the connection, once, because of err, which may be a user's: it is not
// read under the lock.
func (c *clientConn) fail(err error) {
	if causes.Is(err, ErrClientClosed) {
		c.lose(Errorf(Canceled, "%w", err))
		return
	}
	c.lose(lostError(err))
}

func lostError(err error) *Error { return Errorf(Unavailable, "connection lost: %w", err) }

// lose ends the connection, once. Its calls fail with lost, and learn that first: the
// connection and the observer may be a user's, and take their time.
func (c *clientConn) lose(lost *Error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = lost // first: the calls that wait are told why
	}
	c.mu.Unlock()
	c.stopCalls(lost)
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
	c.mu.Lock()
	calls, taken, lost := c.pending, c.out.taken, c.err
	sent, known := c.out.written()
	if calls == nil {
		c.mu.Unlock()
		return false
	}
	c.pending = nil
	c.out.stop(lost)
	c.stopKeepaliveLocked()
	c.overdue.stop()
	c.readyLocked()
	c.mu.Unlock()
	c.bodies.end()
	for _, call := range calls {
		if call != abandoned {
			e := lost.clone()
			e.handed = call.end <= taken
			e.neverRan = !e.handed || known && call.end > sent
			call.result.err = e
			call.done <- struct{}{}
		}
	}
	return true
}
