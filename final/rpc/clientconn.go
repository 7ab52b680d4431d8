package rpc

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// clientConn is a client's side of one connection, from hello to end. It never
// comes back: the Client makes another one.
//
// out.mu guards everything in the second half. ID, entry in pending, frame and,
// with gob, the encoding are made in one critical section: the order on the
// wire is the order of the IDs.
type clientConn struct {
	options *clientOptions
	conn    net.Conn
	codec   Codec
	records *sync.Pool // *clientCall; the Client's
	in      frameReader
	out     writer
	gobIn   gobDecoder
	goAway  *Error            // the server's reason; the reader's
	dropped func(*clientConn) // called once, when no new call can be made
	gone    func(*clientConn) // called once, at the end

	ready chan struct{} // closed when calls can be made, or when err is set
	ended chan struct{} // closed at the end
	over  atomic.Bool   // no new calls: going away, or err is set
	fast  any           // fastpath.go's

	err         error // why the connection is no more
	pending     map[uint64]*clientCall
	inFlight    int       // slots taken: pending calls and those about to be
	lastID      uint64    // of the last call appended
	leftID      uint64    // calls up to this one were handed to Write
	waiting     list.List // of *slotWaiter, first come first served
	maxInFlight int       // the server's bound
	maxMessage  int       // the server's bound
	gobOut      gobEncoder
	pings       map[uint64]chan struct{}
	lastPing    uint64
	keepalive   *time.Timer
}

// clientCall is a call in flight. The caller owns it, except for result, which
// whoever takes it out of pending writes before the one send on done.
type clientCall struct {
	id     uint64
	reply  any
	result callResult
	done   chan struct{} // capacity 1
}

// callResult is what came of a call: err, or a body to decode. gob's bodies are
// decoded by the reader, in order.
type callResult struct {
	err  error
	body *buffer
	data []byte // lies in body
}

// abandoned stands in pending for a call whose caller has left. It keeps the
// slot until the server's one reply.
var abandoned = new(clientCall)

type slotWaiter struct {
	ready   chan struct{}
	granted bool
}

// newClientConn starts the hello in the background.
func newClientConn(conn net.Conn, o *clientOptions, records *sync.Pool, dropped, gone func(*clientConn)) *clientConn {
	c := &clientConn{
		options: o,
		conn:    conn,
		codec:   o.codec,
		records: records,
		dropped: dropped,
		gone:    gone,
		ready:   make(chan struct{}),
		ended:   make(chan struct{}),
		pending: map[uint64]*clientCall{},
	}
	c.in = frameReader{conn: conn, limit: o.maxMessage, observer: o.observer}
	c.out = writer{conn: conn, timeout: o.writeTimeout, observer: o.observer, inline: resumable(conn)}
	c.out.failed = func(err error) { c.fail(Errorf(Unavailable, "write: %w", err)) }
	c.out.taken = func() { c.leftID = c.lastID }
	c.out.room = c.grantLocked
	c.fast = newFast(c)
	if o.observer != nil {
		o.observer.ConnOpened()
	}
	go c.run()
	return c
}

// run says hello and then reads until the connection ends.
func (c *clientConn) run() {
	hello, err := c.hello()
	if err != nil {
		c.fail(err)
		return
	}
	c.out.mu.Lock()
	c.maxInFlight = int(hello.maxInFlight)
	c.maxMessage = int(hello.maxMessage)
	if c.err == nil {
		if d := c.options.keepalive; d > 0 {
			c.keepalive = time.AfterFunc(d, func() { c.keepAlive(0, false) })
		}
		close(c.ready)
	}
	c.out.mu.Unlock()
	clientRead(c)
}

// hello exchanges the hellos. Every error of it means that no call has run.
func (c *clientConn) hello() (serverHello, error) {
	say := clientHello{codec: c.codec.Name(), maxMessage: uint32(c.options.maxMessage), metadata: c.options.metadata}
	if d := c.options.handshakeTimeout; d > 0 {
		c.conn.SetDeadline(time.Now().Add(d))
	}
	if _, err := c.conn.Write(say.append(nil)); err != nil {
		return serverHello{}, unrun(Errorf(Unavailable, "hello: %w", err))
	}
	body, err := readHello(c.conn, maxHello)
	if err != nil {
		var coded *Error
		if !errors.As(err, &coded) {
			coded = Errorf(Unavailable, "%w", err)
		}
		return serverHello{}, unrun(coded)
	}
	hello, err := parseServerHello(body)
	if err != nil {
		return hello, err
	}
	return hello, c.conn.SetDeadline(time.Time{})
}

// call makes one attempt on this connection.
func (c *clientConn) call(ctx context.Context, method string, params, reply any) error {
	call, err := c.send(ctx, method, params, reply)
	if err != nil {
		return err
	}
	if err := clientAwait(c, ctx, call); err != nil {
		return err // the record stays with whoever claims it, if anyone
	}
	result := call.result
	call.result, call.reply = callResult{}, nil
	c.records.Put(call)
	if result.err == nil && c.codec != Gob {
		if err := decodeWith(c.codec, result.data, reply); err != nil {
			result.err = Errorf(Internal, "decode the reply of %s: %w", method, err)
		}
	}
	putBuffer(result.body)
	return result.err
}

// send waits for a slot and for room, and appends the request. All its errors
// are about calls that never ran.
func (c *clientConn) send(ctx context.Context, method string, params, reply any) (*clientCall, error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	head := requestHead{method: method, metadata: optionsFrom(ctx).metadata}
	body, flags, err := c.encode(params)
	if err == nil {
		err = head.check()
	}
	call := c.records.Get().(*clientCall)
	call.reply = reply

	c.out.mu.Lock()
	if err == nil {
		err = c.appendCallLocked(ctx, call, &head, params, body, flags)
	}
	if err != nil {
		c.releaseLocked()
	}
	start, busy := c.out.startLocked(), c.inFlight > 1
	c.out.mu.Unlock()
	if start {
		flush(&c.out, busy)
	}
	if err != nil {
		return nil, err
	}
	return call, nil
}

func (h *requestHead) check() error {
	if len(h.method) > 65535 {
		return unrun(Errorf(InvalidArgument, "method name of %d bytes", len(h.method)))
	}
	if len(h.metadata) == 0 {
		return nil
	}
	if err := h.metadata.check(); err != nil {
		return unrun(Errorf(InvalidArgument, "%w", err))
	}
	if n := pairsSize(h.metadata); n > 65535 {
		return unrun(Errorf(ResourceExhausted, "metadata of %d bytes", n))
	}
	return nil
}

// encoded is params that Go has encoded already.
type encoded struct {
	body  []byte
	flags uint8
}

// encode encodes params with a codec that keeps no state. gob's params are
// encoded later, under the lock: body is nil then.
func (c *clientConn) encode(params any) (body *buffer, flags uint8, err error) {
	switch p := params.(type) {
	case nil:
		return nil, 0, nil
	case *encoded:
		body = getBuffer(len(p.body))
		body.b = append(body.b, p.body...)
		return body, p.flags, nil
	}
	if c.codec == Gob {
		return nil, 0, nil
	}
	if body, err = c.out.encode(c.codec, params); err != nil {
		return nil, 0, unrun(Errorf(InvalidArgument, "encode params: %w", err))
	}
	return body, 0, nil
}

// appendCallLocked gives the call its ID, its place in pending and its frame.
func (c *clientConn) appendCallLocked(ctx context.Context, call *clientCall, head *requestHead, params any, body *buffer, flags uint8) error {
	if err := c.usableLocked(); err != nil {
		return err
	}
	if body == nil && params != nil { // gob
		body = getBuffer(1 << 10)
		var err error
		if body.b, flags, err = c.gobOut.append(body.b, params); err != nil {
			return unrun(Errorf(InvalidArgument, "encode params: %w", err))
		}
	}
	err := head.limit(ctx)
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
	return nil
}

// limit sets the timeout: what is left now, since clocks may differ. A deadline
// that is less than a millisecond away cannot be met.
func (h *requestHead) limit(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	h.timeout = time.Until(deadline).Truncate(time.Millisecond)
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
func (c *clientConn) unusable() error {
	var refused *Error
	switch {
	case errors.As(c.err, &refused) && refused.neverRan: // in the hello
		return refused
	case c.err != nil:
		return unrun(lostError(c.err))
	}
	return unrun(Errorf(Unavailable, "the server is going away"))
}

// acquire takes a slot when the server's bound and the bytes that wait to be
// written allow it.
func (c *clientConn) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return unrun(contextError(err))
	}
	c.out.mu.Lock()
	if c.maxInFlight == 0 && c.err == nil {
		c.out.mu.Unlock()
		select {
		case <-c.ready:
		case <-ctx.Done():
			return unrun(contextError(ctx.Err()))
		}
		c.out.mu.Lock()
	}
	if err := c.usableLocked(); err != nil {
		c.out.mu.Unlock()
		return err
	}
	if c.waiting.Len() == 0 && c.freeLocked() {
		c.inFlight++
		c.out.mu.Unlock()
		return nil
	}
	w := &slotWaiter{ready: make(chan struct{})}
	place := c.waiting.PushBack(w)
	c.out.mu.Unlock()
	return c.wait(ctx, w, place)
}

func (c *clientConn) wait(ctx context.Context, w *slotWaiter, place *list.Element) error {
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	switch err := ctx.Err(); {
	case err == nil && w.granted:
		return nil
	case err == nil:
		return c.usableLocked()
	default:
		if w.granted {
			c.releaseLocked()
		} else {
			c.waiting.Remove(place)
		}
		return unrun(contextError(err))
	}
}

func (c *clientConn) freeLocked() bool {
	return c.inFlight < c.maxInFlight && c.out.size < highWater
}

func (c *clientConn) releaseLocked() {
	c.inFlight--
	c.grantLocked()
}

// grantLocked gives what is free to those who wait, and ends a connection that
// is going away once nothing is in flight.
func (c *clientConn) grantLocked() {
	for c.waiting.Len() > 0 {
		over := c.over.Load()
		if !over && !c.freeLocked() {
			return
		}
		w := c.waiting.Remove(c.waiting.Front()).(*slotWaiter)
		if w.granted = !over; w.granted {
			c.inFlight++
		}
		close(w.ready)
	}
	if c.over.Load() && c.inFlight == 0 && c.err == nil {
		c.err = errDrained
		go c.fail(errDrained)
	}
}

var errDrained = errors.New("the server went away")

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
	if err := checkFrame(f); err != nil {
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
		c.out.mu.Lock()
		if pong := c.pings[f.id]; pong != nil {
			delete(c.pings, f.id)
			close(pong)
		}
		c.out.mu.Unlock()
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

// handleReply gives a reply to its caller, or to nobody.
func (c *clientConn) handleReply(f *frame) error {
	var failure *Error
	if f.kind == kindError {
		var err error
		if failure, err = parseError(f); err != nil {
			return err
		}
	}
	c.out.mu.Lock()
	call := c.pending[f.id]
	if call != nil {
		delete(c.pending, f.id)
		c.releaseLocked()
	}
	c.out.mu.Unlock()
	if call == nil && c.goAway != nil {
		putBuffer(f.large)
		return nil // refused by the go-away as well
	}
	if call == nil {
		putBuffer(f.large)
		return errProtocol("a reply to call %d, which is not in flight", f.id)
	}
	var result callResult
	switch {
	case failure != nil:
		result.err = failure
	case c.codec == Gob:
		var reply any
		if call != abandoned {
			reply = call.reply
		}
		err := c.gobIn.decode(f.payload, f.flags, reply)
		if err != nil {
			result.err = Errorf(Internal, "decode the reply: %w", err)
		}
		if errors.Is(err, errGobStream) {
			defer c.fail(err)
		}
	case call != abandoned:
		result.keep(f)
	}
	putBuffer(f.large)
	if call != abandoned {
		call.result = result
		call.done <- struct{}{}
	}
	return nil
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
	c.grantLocked()
	c.out.mu.Unlock()
	for _, call := range unserved {
		if call != abandoned {
			call.result.err = &Error{Code: Unavailable, Message: "the server is going away: " + reason.Message, remote: true, neverRan: true}
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

// fail ends the connection, once: calls that were not handed to Write never ran.
func (c *clientConn) fail(err error) {
	c.stopCalls()
	c.out.mu.Lock()
	if c.pending == nil {
		c.out.mu.Unlock()
		return
	}
	if c.err == nil {
		c.err = err
	}
	calls := c.pending
	c.pending = nil
	leftID := c.leftID
	c.out.stopLocked(err)
	if c.keepalive != nil {
		c.keepalive.Stop()
	}
	for _, pong := range c.pings {
		close(pong)
	}
	c.pings = nil
	select {
	case <-c.ready:
	default:
		close(c.ready)
	}
	c.out.mu.Unlock()
	c.conn.Close()
	close(c.ended)
	c.gone(c)
	if c.options.observer != nil {
		c.options.observer.ConnClosed()
	}
	for id, call := range calls {
		if call != abandoned {
			lost := lostError(err)
			lost.neverRan = id > leftID
			call.result.err = lost
			call.done <- struct{}{}
		}
	}
}

func lostError(err error) *Error {
	if errors.Is(err, ErrClientClosed) {
		return Errorf(Canceled, "%w", err)
	}
	return Errorf(Unavailable, "connection lost: %w", err)
}

// ping waits for a pong.
func (c *clientConn) ping(ctx context.Context) error {
	select {
	case <-c.ready:
	case <-ctx.Done():
		return contextError(ctx.Err())
	}
	pong := make(chan struct{})
	c.out.mu.Lock()
	if err := c.usableLocked(); err != nil {
		c.out.mu.Unlock()
		return err
	}
	c.lastPing++
	id := c.lastPing
	if c.pings == nil {
		c.pings = map[uint64]chan struct{}{}
	}
	c.pings[id] = pong
	c.out.mu.Unlock()
	c.control(func(dst []byte) []byte { return appendHeader(dst, kindPing, 0, id, 0) })
	select {
	case <-pong:
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		if c.err != nil {
			return lostError(c.err)
		}
		return nil
	case <-ctx.Done():
		c.out.mu.Lock()
		delete(c.pings, id)
		c.out.mu.Unlock()
		return contextError(ctx.Err())
	}
}

// keepAlive runs every keepalive period: when nothing came since the last time
// it sends a ping, and when nothing came after that it gives up.
func (c *clientConn) keepAlive(reads uint64, pinged bool) {
	now := c.in.reads.Load()
	quiet := now == reads
	if quiet && pinged {
		c.fail(fmt.Errorf("nothing came from the server for %v, not even a pong", 2*c.options.keepalive))
		return
	}
	if quiet {
		c.control(func(dst []byte) []byte { return appendHeader(dst, kindPing, 0, 0, 0) })
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.err == nil {
		c.keepalive = time.AfterFunc(c.options.keepalive, func() { c.keepAlive(now, quiet) })
	}
}
