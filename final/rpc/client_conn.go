package rpc

import (
	"bytes"
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
	streams *streamTable // nil: no stream has had a place. Set under mu before the first one has; who has one reads it without
	in      frameReader  // whoever has the reader's role: see clientReader
	flusher flusher
	bodies  bodyCodec
	goAway  *Error // the server's reason; the reader's

	helloDue time.Time // when the hellos are to be exchanged; zero: at any time

	ready       chan struct{}         // closed when the hellos are exchanged, or when err is set
	ended       chan struct{}         // closed at the end
	over        atomic.Bool           // no new calls: going away, or err is set
	why         atomic.Pointer[Error] // it is over; nil if this side ends it
	full        atomic.Bool           // no slot is free; set under mu, to be seen without it
	streamsFull atomic.Bool           // no place for a stream is free; as full
	events      connEvents
	reader      clientReader

	counted atomic.Bool // Pool's: its end was counted as a failure of its server

	// Guards what follows; no foreign code runs under it. Of the other locks of calls and
	// connections, only the queue's is taken under it.
	mu          sync.Mutex
	out         outbox
	err         *Error // why the connection is no more: what its calls fail with
	pending     map[uint64]*clientCall
	greeted     bool      // the hellos are exchanged
	since       time.Time // when they were
	answered    bool      // a call was
	retired     bool      // by a server that has answered a call, and is going away
	inFlight    int       // slots taken: pending calls and those about to be
	lastID      uint64    // of the last call appended
	maxInFlight int       // the server's bound
	maxMessage  int       // the server's bound
	agreed      uint8     // flags that frames may have by both hellos
	granted     streamGrant
	compress    int                     // bodies from here on are compressed; 0: the hellos did not agree upon it
	pings       map[uint64]*awaitedPong // of pings that were sent
	lastPing    uint64
	nextPing    *awaitedPong // of one that waits for pingTimer; nil: none does
	pingTimer   *time.Timer
	pingLimit   pingLimit
	keepalive   *keepalive // nil if it is off
	overdue     overdue
	params      paramsRoom
	crowdNext   bool // whose turn it is: see grantCallLocked
}

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

// abandoned takes the place in pending of a call whose caller has left. It keeps the
// slot until the server's one reply.
var abandoned = new(clientCall)

// abandonLocked puts a tombstone in the call's place, and tells the server. The tombstone
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
		params:   unboundedRoom(),
	}
	c.bodies = newBodyCodec(c.codec, c.ended)
	c.in = frameReader{
		Reader: wire.Reader{Limit: o.maxMessage}, conn: conn, observers: &o.observers,
		frameTimeout: o.readFrameTimeout, patient: true,
	}
	c.in.shrunk = c.shrinkPending
	c.flusher = flusher{conn: conn, timeout: o.writeTimeout, observers: &o.observers, inline: resumable(conn), owner: c}
	c.reader.wake = make(chan struct{}, 1)
	return c
}

// start says hello in the background. The Client knows of the connection first, so that
// Close ends it.
func (c *clientConn) start() {
	c.owner.adopt(c)
	c.events.opened()
	go c.run()
}

// run says hello. Another goroutine reads from then on: the hello makes this one's stack
// grow, and an idle connection would hold that memory for as long as it lives.
func (c *clientConn) run() {
	reading := false
	defer func() {
		if !reading {
			c.fail(errExited) // if nothing else has ended the connection
		}
	}()
	hello, err := c.hello()
	if refused, ok := causes.Find[*Error](err); ok && refused.neverRan {
		c.lose(refused) // as it is: fail would call it a lost connection
		return
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	c.maxInFlight = int(min(hello.InFlight, math.MaxInt32))
	c.maxMessage = int(min(hello.MaxMessage, math.MaxInt32))
	c.take(hello.Text)
	if c.err == nil { // else it was closed meanwhile, and nothing would stop the timer
		if d := c.options.keepalive; d > 0 {
			c.keepalive = c.keepAlive(d)
			c.keepalive.start()
		}
		c.greeted, c.since = true, time.Now()
	}
	c.mu.Unlock()
	// Before ready is closed: who waits for that finds the owner connected. And without
	// the lock, which the calls that get a slot now take.
	c.owner.greeted(c)
	c.mu.Lock()
	c.readyLocked()
	c.mu.Unlock()
	reading = true
	go c.read()
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

// encode checks the head and encodes params, before the call has a place on the
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

// appendCall gives the call its ID, its place in pending and its frame. It reports
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

// failRead ends the connection because reading did.
func (c *clientConn) failRead(err error) {
	coded, found := causes.Find[*Error](err)
	switch {
	case causes.Is(err, io.EOF) && c.goAway != nil: // the server has said why it would close
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
	if err := f.Check(c.agreed); err != nil {
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
	case wire.KindData, wire.KindEnd, wire.KindCredit, wire.KindWant:
		return c.handleStream(f)
	case wire.KindHeader:
		if c.agreed&wire.FlagReplyMetadata != 0 {
			return c.handleStream(f)
		}
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
	more, _ = c.out.wrote(written, err)
	c.grantLocked() // a slot may have been free, with no room for its call
	return more
}

// writeFailed is the flusher's.
func (c *clientConn) writeFailed(err error, acceptedIsKnown bool) {
	c.mu.Lock()
	c.out.fail(err, acceptedIsKnown)
	c.mu.Unlock()
	c.fail(err)
}

// control appends a frame without waiting for room, and has another goroutine write: the
// reader, which calls it, waits for nothing. A server that asks and does not read would
// make the frames pile up, so it is left.
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

// shrinkPending gives back the memory of a map that many calls have made large: a map
// keeps it when its entries are deleted.
func (c *clientConn) shrinkPending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil && len(c.pending) == 0 {
		c.pending = map[uint64]*clientCall{}
	}
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

// handleGoAway: calls after the frame's ID never run; those before are answered.
func (c *clientConn) handleGoAway(f *wire.Frame) error {
	reason, err := parseGoAway(f)
	if err != nil {
		return err
	}
	c.goAway = reason
	c.mu.Lock()
	c.retired = c.answered && reason.Code == Unavailable
	c.mu.Unlock()
	// First, so that no call is appended after the loop: it would never be answered.
	c.stopCalls(goingAway(reason))
	c.mu.Lock()
	var late []*clientCall // sent too late for the server
	for id, call := range c.pending {
		if id > f.ID {
			delete(c.pending, id)
			c.inFlight--
			c.params.taken -= call.params
			late = append(late, call)
		}
	}
	taken := c.out.taken
	streams := c.streams.takeAfter(f.ID)
	c.grantLocked()
	c.mu.Unlock()
	for _, s := range streams {
		s.end(unserved(reason, s.sentAt <= taken))
	}
	for _, call := range late {
		if !call.isAbandoned() {
			call.result.err = unserved(reason, call.end <= taken)
			call.done <- struct{}{}
		}
	}
	return nil
}

// goingAway is why there are no new calls on a connection: its server leaves, for reason.
func goingAway(reason *Error) *Error {
	return &Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true}
}

// unserved is the error of a call that was sent too late for a server that is going away.
// Sending it again costs nothing of the retry budget, since no server has failed.
func unserved(reason *Error, handed bool) *Error {
	e := unrun(goingAway(reason))
	e.handed, e.unpaid = handed, true
	return e
}

// endsWell reports whether the connection's end says nothing about the next one: it was of
// use for a while, or until its server went away.
func (c *clientConn) endsWell() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.retired || c.livedLocked()
}

func (c *clientConn) livedLocked() bool {
	return c.greeted && time.Since(c.since) >= c.options.backoffMax
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
	c.why.CompareAndSwap(nil, reason) // first: who sees that it is over, reads why
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

// lossOf returns the error of a lost connection, with its server's address. It does not say
// that calls never ran.
func lossOf(addr string, why *Error) *Error {
	return &Error{Code: Unavailable, Message: cmp.Or(addr, "the server") + ": " + why.Message, cause: why}
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

func lostError(err error) *Error { return because(Unavailable, "connection lost: ", err) }

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
	lived := c.livedLocked()
	if calls == nil { // another goroutine was first
		c.mu.Unlock()
		return false
	}
	c.pending = nil
	streams := c.streams.takeAfter(0)
	c.out.stop(lost)
	c.stopKeepaliveLocked()
	c.overdue.stop()
	c.readyLocked()
	c.mu.Unlock()
	c.bodies.end()
	why := func(end uint64) *Error { // whether it ran differs from call to call
		e := lost.clone()
		e.handed, e.unpaid = end <= taken, lived
		e.neverRan = !e.handed || known && end > sent
		return e
	}
	for _, s := range streams {
		s.end(why(s.sentAt))
	}
	for _, call := range calls {
		if !call.isAbandoned() {
			call.result.err = why(call.end)
			call.done <- struct{}{}
		}
	}
	return true
}
