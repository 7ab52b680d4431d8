package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"sync"
	"time"
	"unicode/utf8"
)

// lingerTime is how long a connection that this side ends is read to its end:
// closing with unread input sends a reset, which can destroy the last replies.
const lingerTime = time.Second

// serverConn is a server's side of one connection. The reading goroutine never
// waits: not for a handler, not for a write, not for a slot.
type serverConn struct {
	server   *Server
	conn     net.Conn
	codec    Codec
	peer     *Peer
	maxReply int // the largest message that the client reads
	in       frameReader
	out      writer
	gobIn    gobDecoder
	gobOut   gobEncoder    // guarded by out.mu
	finished chan struct{} // closed when reading has ended
	fast     any           // fastpath.go's

	// Guarded by out.mu.
	changed  *sync.Cond // bytes were written, or running fell to 0
	running  int        // calls whose reply was not appended
	lastID   uint64     // of the last request
	helloed  bool
	draining bool // no new calls

	mu    sync.Mutex // never held together with out.mu
	calls map[uint64]*serverCall
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	o := &s.options
	c := &serverConn{
		server:   s,
		conn:     conn,
		peer:     &Peer{Addr: conn.RemoteAddr()},
		finished: make(chan struct{}),
		calls:    map[uint64]*serverCall{},
	}
	c.in = frameReader{
		conn: conn, limit: o.maxMessage, observer: o.observer,
		frameTimeout: o.readFrameTimeout, idleTimeout: o.idleTimeout,
	}
	c.out = writer{conn: conn, timeout: o.writeTimeout, observer: o.observer, inline: resumable(conn)}
	c.out.failed = func(err error) { c.cut(fmt.Errorf("write: %w", err)) }
	c.out.room = func() { c.changed.Broadcast() }
	c.changed = sync.NewCond(&c.out.mu)
	c.fast = newFast(c)
	return c
}

// serve runs the connection from hello to end and returns when its handlers have.
func (c *serverConn) serve() {
	if err := c.hello(); err != nil {
		c.server.options.onError(fmt.Errorf("rpc: %s: %w", c.peer.Addr, err))
		close(c.finished)
		c.conn.Close()
		return
	}
	serverRead(c)
	<-c.finished
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for c.running > 0 {
		c.changed.Wait()
	}
}

// finish is what the reading goroutine does last.
func (c *serverConn) finish(err error) {
	if !errors.Is(err, io.EOF) {
		c.goAway(err)
	}
	c.end()
	close(c.finished)
}

// hello reads the client's and answers. A refusal is said before it is returned.
func (c *serverConn) hello() error {
	o := &c.server.options
	if d := o.handshakeTimeout; d > 0 {
		c.conn.SetDeadline(time.Now().Add(d))
	}
	if err := c.shakeHands(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	body, err := readHello(c.conn, o.maxMetadata+64)
	if err != nil && isTimeout(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	answer := serverHello{maxInFlight: uint32(o.maxInFlight), maxMessage: uint32(c.in.limit)}
	if err == nil {
		err = c.accept(body)
		answer.maxMessage = uint32(c.in.limit)
	}
	if err != nil {
		answer.code, answer.text = CodeOf(err), err.Error()
		if errors.Is(err, errVersion) {
			answer.code = Unimplemented
		}
		var coded *Error
		if errors.As(err, &coded) {
			answer.text = coded.Message
		}
		c.conn.Write(answer.append(nil))
		c.linger()
		return err
	}
	if _, err := c.conn.Write(answer.append(nil)); err != nil {
		return err
	}
	if err := c.conn.SetDeadline(time.Time{}); err != nil {
		return err
	}
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.helloed = true
	return nil
}

// shakeHands does TLS's handshake, if the connection is one, under the deadline that is set.
func (c *serverConn) shakeHands() error {
	secure, ok := c.conn.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return nil
	}
	if err := secure.HandshakeContext(context.Background()); err != nil {
		return err
	}
	c.peer.setTLS(c.conn)
	return nil
}

// accept takes what the client's hello asks for.
func (c *serverConn) accept(body []byte) error {
	hello, err := parseClientHello(body)
	if err != nil {
		return err
	}
	o := &c.server.options
	if n := pairsSize(hello.metadata); n > o.maxMetadata {
		return Errorf(ResourceExhausted, "metadata of %d bytes: at most %d are allowed", n, o.maxMetadata)
	}
	codec, ok := o.codecs[hello.codec]
	if !ok {
		return Errorf(Unimplemented, "unknown codec %q", hello.codec)
	}
	c.codec = codec
	c.peer.Codec = hello.codec
	c.peer.Metadata = hello.metadata
	c.maxReply = int(min(hello.maxMessage, 1<<31-1))
	if codec == Gob {
		c.in.limit = min(c.in.limit, maxGobMessage)
	}
	return nil
}

// read reads until the connection ends, and finishes it.
func (c *serverConn) read() {
	for {
		f, err := c.next()
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.finish(err)
			return
		}
	}
}

// next returns the next frame; a connection with calls in flight is not idle.
func (c *serverConn) next() (*frame, error) {
	for {
		f, err := c.in.next()
		if err != errIdle || !c.busy() {
			return f, err
		}
	}
}

func (c *serverConn) busy() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.running > 0
}

// handle does what a frame says. Its errors end the connection.
func (c *serverConn) handle(f *frame) error {
	if err := checkFrame(f); err != nil {
		return err
	}
	switch f.kind {
	case kindRequest:
		return c.handleRequest(f)
	case kindCancel:
		c.mu.Lock()
		call := c.calls[f.id]
		c.mu.Unlock()
		if call != nil { // else its reply has crossed the cancel
			call.end(context.Canceled)
		}
		return nil
	case kindPing:
		return c.control(false, func(dst []byte) []byte { return appendHeader(dst, kindPong, 0, f.id, 0) })
	case kindPong:
		return nil
	}
	return errProtocol("the client sent a frame of kind %d", f.kind)
}

// handleRequest admits a call, or refuses it with an error that says that it never ran.
func (c *serverConn) handleRequest(f *frame) error {
	r, err := parseRequest(f)
	if err != nil {
		return err
	}
	begun, err := c.begin(f.id)
	if !begun {
		putBuffer(f.large)
		return err
	}
	call, err := c.admit(f, &r)
	if c.codec == Gob {
		if err = c.decodeGob(call, f, &r, err); errors.Is(err, errGobStream) {
			c.out.mu.Lock()
			defer c.out.mu.Unlock()
			c.releaseLocked()
			return err
		}
	}
	if err != nil {
		putBuffer(f.large)
		return c.refuse(f.id, toError(err))
	}
	return startCall(c, call, f, r.body)
}

// start runs a call in a goroutine of its own.
func (c *serverConn) start(call *serverCall, f *frame, body []byte) error {
	call.keep(f, body)
	c.remember(call)
	go c.serveCall(call)
	return nil
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

// begin counts a request. It returns false if nothing is to be done for it.
func (c *serverConn) begin(id uint64) (bool, error) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
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

// admit checks a request against the registry, the bounds and Authorize.
func (c *serverConn) admit(f *frame, r *request) (*serverCall, error) {
	o := &c.server.options
	call := &serverCall{id: f.id, peer: c.peer}
	if call.method = c.server.registry.find(r.method); call.method == nil {
		return nil, noMethod(r.method, o.maxMethodName)
	}
	if timeout := shorter(r.timeout, o.handlerTimeout); timeout > 0 {
		call.deadline = c.in.came().Add(timeout)
	}
	if len(r.pairs) > 0 {
		var err error
		if call.metadata, err = c.metadata(r.pairs); err != nil {
			return nil, err
		}
	}
	if c.crowded() {
		return nil, Errorf(ResourceExhausted, "more than %d calls are running on this connection", o.maxInFlight)
	}
	if err := c.server.authorize(call, call); err != nil {
		return nil, err
	}
	if !c.server.acquire() {
		return nil, Errorf(ResourceExhausted, "more than %d calls are running on this server", o.maxHandlers)
	}
	return call, nil
}

func (c *serverConn) crowded() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
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
	md, err := parsePairs(pairs)
	if err != nil {
		return nil, err
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

// decodeGob decodes params, in the order of the frames. Whatever else becomes of
// the call, its types belong to the stream: with refused set, or without
// params, the body is skipped.
func (c *serverConn) decodeGob(call *serverCall, f *frame, r *request, refused error) error {
	if refused != nil || call.method.newParams == nil {
		if err := c.gobIn.decode(r.body, f.flags, nil); errors.Is(err, errGobStream) {
			return err
		}
		return refused
	}
	call.params = call.method.newParams()
	err := c.gobIn.decode(r.body, f.flags, call.params)
	if err != nil {
		c.server.release()
		return Errorf(InvalidArgument, "decode params of %s: %w", call.method.info.Name, err)
	}
	return nil
}

// refuse answers a call that is not run.
func (c *serverConn) refuse(id uint64, e *Error) error {
	refusal := *e
	refusal.neverRan = true
	return c.control(true, func(dst []byte) []byte { return appendError(dst, id, &refusal, c.maxReply) })
}

// control appends a frame for the reader, which does not wait for room. A client
// that asks and does not read is cut off. A reply ends its call.
func (c *serverConn) control(reply bool, head func([]byte) []byte) error {
	c.out.mu.Lock()
	if reply {
		c.releaseLocked()
	}
	c.out.appendLocked(head, nil)
	start, size := c.out.startLocked(), c.out.size
	c.out.mu.Unlock()
	if start {
		go c.out.flushAll()
	}
	if size > 2*highWater {
		return Errorf(ResourceExhausted, "the client does not read what it asks for")
	}
	return nil
}

// outcome is what came of running a call.
type outcome struct {
	result   any
	body     *buffer // result encoded, by a codec that keeps no state
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
		done.body, done.err = c.encode(done.result)
	}
	done.returned = true
}

// reply hands the one reply to the writer, when there is room.
func (c *serverConn) reply(call *serverCall, done *outcome, send bool) {
	if !done.returned {
		done.err = errPanicked(call.method)
	}
	call.end(context.Canceled)
	c.server.release()

	c.out.mu.Lock()
	for c.out.size >= highWater && c.out.err == nil {
		c.changed.Wait()
	}
	c.releaseLocked() // before the client can know, for it may call again at once
	c.appendReplyLocked(call.id, done)
	start, busy := send && c.out.startLocked(), c.running > 0
	c.out.mu.Unlock()
	if start {
		flush(&c.out, busy)
	}
}

// invoke decodes params and runs the handler, panics caught.
func (c *serverConn) invoke(call *serverCall) (result any, err error) {
	if call.method.newParams != nil && call.params == nil {
		call.params = call.method.newParams()
		err = decodeWith(c.codec, call.data, call.params)
	}
	putBuffer(call.body)
	call.body, call.data = nil, nil // a handler may keep its context
	if err != nil {
		return nil, unrun(Errorf(InvalidArgument, "decode params of %s: %w", call.method.info.Name, err))
	}
	return c.server.runHandler(call, call.method, call.params)
}

// runHandler runs a handler. A panic becomes Internal: neither text nor stack
// is for the caller.
func (s *Server) runHandler(ctx context.Context, m *method, params any) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			result, err = nil, errPanicked(m)
			s.options.onPanic(ctx, p, debug.Stack())
		}
	}()
	return m.handler(ctx, params)
}

func errPanicked(m *method) *Error {
	return Errorf(Internal, "the handler of %s panicked", m.info.Name)
}

// encode encodes a result with a codec that keeps no state.
func (c *serverConn) encode(result any) (*buffer, error) {
	if c.codec == Gob || result == nil {
		return nil, nil
	}
	body, err := c.out.encode(c.codec, result)
	if err != nil {
		return nil, Errorf(Internal, "encode the result: %w", err)
	}
	return body, nil
}

// appendReplyLocked appends the one reply to a call.
func (c *serverConn) appendReplyLocked(id uint64, done *outcome) {
	var flags uint8
	body, err := done.body, done.err
	if c.codec == Gob && err == nil && done.result != nil {
		body = getBuffer(1 << 10)
		if body.b, flags, err = c.gobOut.append(body.b, done.result); err != nil {
			err = Errorf(Internal, "encode the result: %w", err)
		}
	}
	size := 0
	if body != nil {
		size = len(body.b)
	}
	if err == nil && minLength+size > c.maxReply {
		err = Errorf(ResourceExhausted, "reply of %d bytes: the client reads at most %d", minLength+size, c.maxReply)
		c.gobOut.reset()
	}
	if err != nil {
		putBuffer(body)
		c.out.appendLocked(func(dst []byte) []byte { return appendError(dst, id, toError(err), c.maxReply) }, nil)
		return
	}
	c.out.appendLocked(func(dst []byte) []byte { return appendHeader(dst, kindResponse, flags, id, size) }, body)
}

// goAway tells the client why this side ends the connection, and ends it.
func (c *serverConn) goAway(reason error) {
	var coded *Error
	var system net.Error
	switch {
	case errors.As(reason, &coded):
	case errors.Is(reason, errIdle):
		coded = Errorf(Unavailable, "idle for too long")
	case errors.Is(reason, errGobStream):
		coded = Errorf(InvalidArgument, "%w", reason)
	case errors.As(reason, &system), errors.Is(reason, net.ErrClosed), errors.Is(reason, io.ErrUnexpectedEOF), errors.Is(reason, io.ErrClosedPipe):
		return // nobody is there to be told
	default:
		coded = Errorf(Unavailable, "%w", reason)
	}
	c.server.options.onError(fmt.Errorf("rpc: %s: %w", c.peer.Addr, coded))
	c.sayGoAway(coded)
	c.cancelCalls()
	c.awaitQuiet(func() bool { return c.out.size == 0 })
	c.linger()
}

// sayGoAway sends a go-away and admits no more calls.
func (c *serverConn) sayGoAway(reason *Error) {
	c.out.mu.Lock()
	c.draining = true
	last := c.lastID
	c.out.mu.Unlock()
	c.control(false, func(dst []byte) []byte { return appendGoAway(dst, last, reason) })
}

// awaitQuiet waits until quiet, called with out.mu held, is true or the
// connection is over.
func (c *serverConn) awaitQuiet(quiet func() bool) {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	for !quiet() && c.out.err == nil {
		c.changed.Wait()
	}
}

// linger ends the sending side and reads what still comes, for a while.
func (c *serverConn) linger() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	io.Copy(io.Discard, c.conn)
}

// cut ends the connection at once.
func (c *serverConn) cut(err error) {
	c.out.mu.Lock()
	c.out.stopLocked(err)
	c.out.mu.Unlock()
	c.conn.Close()
	c.cancelCalls()
}

// end is the end after reading has ended.
func (c *serverConn) end() { c.cut(net.ErrClosed) }

func (c *serverConn) cancelCalls() {
	c.mu.Lock()
	calls := make([]*serverCall, 0, len(c.calls))
	for _, call := range c.calls {
		calls = append(calls, call)
	}
	c.mu.Unlock()
	for _, call := range calls {
		call.end(context.Canceled)
	}
}

var errDraining = Errorf(Unavailable, "the server is shutting down")

// drain ends the connection politely: no new calls, the running ones are
// answered, the client has read it all. When ctx ends, it is cut.
func (c *serverConn) drain(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { c.cut(ctx.Err()) })
	defer stop()
	c.out.mu.Lock()
	helloed, again := c.helloed, c.draining
	c.draining = true
	c.out.mu.Unlock()
	if !helloed {
		c.conn.Close()
		return
	}
	if !again {
		c.sayGoAway(errDraining)
	}
	c.awaitQuiet(func() bool { return c.running == 0 && c.out.size == 0 })
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	timer := time.NewTimer(lingerTime)
	defer timer.Stop()
	select {
	case <-c.finished:
	case <-timer.C:
		c.cut(ErrServerClosed)
	}
}
