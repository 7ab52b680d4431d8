package rpc

import (
	"context"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// Streams are an [extension]. The client offers its window; the server grants how many
// streams there may be at once, and its own window.
const (
	streamsKey = "rpc.streams"

	defaultMaxStreams = 1024

	// What streams may promise to take: those of one connection, unless its messages are
	// large, and how many times that those of all connections of a server.
	defaultStreamMemory = 32 << 20
	streamMemoryForAll  = 16
)

// settleStreams computes what the streams of one connection may promise to take, once all
// options are known. It refuses what has no room for a large item and one window.
func (o *sharedOptions) settleStreams() {
	o.connStreams = int64(o.connStreamMemory)
	if o.connStreams == 0 {
		o.connStreams = max(defaultStreamMemory, 4*int64(o.maxMessage))
	}
	if least := o.leastStreams(); o.streams && o.connStreamMemory > 0 && o.connStreams < least {
		o.refuse("WithConnStreamMemory(%d): want at least %d, for an item as large as a message (WithMaxMessage) and one window", o.connStreamMemory, least)
	}
}

func (o *sharedOptions) leastStreams() int64 { return largeCost(o.maxMessage) + streamWindow }

// settleStreams does the same for all connections. One of them may take a quarter, as of
// other memory.
func (o *serverOptions) settleStreams() {
	o.sharedOptions.settleStreams()
	o.allStreams = int64(o.streamMemory)
	if o.allStreams == 0 {
		o.allStreams = streamMemoryForAll * min(max(defaultStreamMemory, o.connStreams), math.MaxInt/streamMemoryForAll)
	}
	o.connStreams = min(o.connStreams, o.allStreams/4)
	if least := o.leastStreams(); o.streams && o.streamMemory > 0 && o.connStreams < least {
		o.refuse("WithStreamMemory(%d): want at least %d: a quarter is for one connection, for an item as large as a message (WithMaxMessage) and one window", o.streamMemory, 4*least)
	}
}

// windowsFor returns for how many streams there is room: the place for a large item is set
// aside, and a quarter of the rest for larger windows.
func windowsFor(bytes int64, maxMessage int) int {
	return int(min(max(1, (bytes-largeCost(maxMessage))/4*3/streamWindow), math.MaxInt32))
}

func offerStreams(o *clientOptions) string {
	if !o.streams {
		return ""
	}
	return strconv.Itoa(streamWindow)
}

func grantStreams(c *serverConn, _ Codec, offered string) string {
	window, ok := windowOf(offered)
	o := &c.server.options
	if !o.streams || !ok {
		return ""
	}
	c.granted = streamGrant{most: min(o.maxStreams, windowsFor(o.connStreams, c.in.Limit)), window: window}
	return strconv.Itoa(c.granted.most) + "," + strconv.Itoa(streamWindow)
}

// makeStreamsLocked makes the table when the first stream opens: most connections never
// have one.
func (c *serverConn) makeStreamsLocked() {
	o := &c.server.options
	t := newStreamTable(&c.mu, &c.out, o.codecs[o.codecOrder[c.codec]], c.in.Limit, c.maxReply, c.granted.most, o.connStreams)
	t.peerWindow, t.compress, t.flusher, t.draining = c.granted.window, c.compress, &c.flusher, make(chan struct{})
	t.conn = c
	t.memory.leaseFrom(c.server.streams, o.connStreams, t.mostCost(), c.origin.ownStreams())
	if c.out.err != nil { // cut has been here
		t.memory.close()
	}
	t.replies, t.params = &c.replies, &c.params
	c.streams, c.out.lane = t, &t.lane
}

// windowOf returns the window that a hello announces. Other numbers than those of the
// protocol are none.
func windowOf(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n < wire.MinWindow || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return int64(n), true
}

// grantOf takes a server's grant apart.
func grantOf(s string) (streams int, window int64, ok bool) {
	count, size, _ := strings.Cut(s, ",")
	n, err := strconv.ParseUint(count, 10, 31)
	window, ok = windowOf(size)
	if err != nil || n == 0 || n > math.MaxInt32 || !ok || strconv.FormatUint(n, 10) != count {
		return 0, 0, false
	}
	return int(n), window, true
}

// serverStream is one stream on the server, and what the context of its handler derives from.
type serverStream struct {
	stream
	call        serverCall
	trailer     atomic.Pointer[Metadata] // see SetTrailer; what it points to does not change
	ctx         context.Context
	cancelCause context.CancelCauseFunc
	held        atomic.Int64 // of the memory of params, for the item received last
	failure     *Error       // what the peer, or a Send, has ended it with; guarded by the connection's mu
}

var (
	_ Stream          = (*serverStream)(nil)
	_ context.Context = (*serverStream)(nil)
)

// Deadline implements context.Context.
func (s *serverStream) Deadline() (time.Time, bool) { return s.call.Deadline() }

// Done implements context.Context. What ends before its deadline is the context that
// derives from this one, which needs to watch nothing if there is no deadline.
func (s *serverStream) Done() <-chan struct{} {
	if s.call.deadline.IsZero() {
		return nil
	}
	return s.call.Done()
}

// Err implements context.Context.
func (s *serverStream) Err() error {
	if s.call.deadline.IsZero() {
		return nil
	}
	return s.call.Err()
}

// AfterFunc is what package context looks for: see serverCall.
func (s *serverStream) AfterFunc(f func()) (stop func() bool) { return s.call.AfterFunc(f) }

// Value answers for this stream.
func (s *serverStream) Value(key any) any {
	if key == (streamKey{}) {
		return s
	}
	return s.call.Value(key)
}

var errLeft = errors.New("the caller has left")

// handleOpen admits a stream, or refuses it with an end that says that it never ran.
func (c *serverConn) handleOpen(f *wire.Frame) error {
	o, err := wire.ParseOpen(f)
	if err != nil {
		return fromWire(err)
	}
	s, err := c.beginStream(f.ID, &o)
	if s == nil {
		bytepool.Put(f.Large)
		return err
	}
	c.alive.resume()
	exited := true
	defer func() {
		if exited { // a hook has ended the goroutine that reads
			c.endStream(s, unrun(Errorf(Internal, "%w", errExited)), false)
			s.cancel(context.Canceled)
			go c.read()
		}
	}()
	if err := c.admitStream(s, f, &o); err != nil {
		bytepool.Put(f.Large)
		c.refuseStream(s, toError(err))
		exited = false
		return nil
	}
	exited = false
	s.call.expandsTo = c.in.expandsTo(f, o.Body)
	s.call.keep(f, o.Body)
	go c.serveStream(s)
	return nil
}

// beginStream counts an open, also one that will be refused. It returns nil if nothing is
// to be done for it.
func (c *serverConn) beginStream(id uint64, o *wire.Open) (*serverStream, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining:
		return nil, nil
	case id <= c.lastID:
		return nil, errProtocol("call ID %d after %d: IDs must rise", id, c.lastID)
	case c.streams.open() >= c.granted.most:
		return nil, Errorf(ResourceExhausted, "more than %d streams are open on this connection", c.granted.most)
	case c.streams == nil:
		c.makeStreamsLocked()
	}
	c.lastID = id
	c.streaming++
	s := new(serverStream)
	s.server = s
	s.call.id, s.call.peer = id, c.peer
	if o.Timeout > 0 {
		s.call.deadline = c.in.arrived().Add(o.Timeout)
	}
	s.ctx, s.cancelCause = context.WithCancelCause(s)
	c.streams.add(&s.stream, id)
	if o.Shape == wire.ServerStream {
		s.peerEnded(io.EOF)
	}
	return s, nil
}

// admitStream is admit for a stream.
func (c *serverConn) admitStream(s *serverStream, f *wire.Frame, o *wire.Open) (err error) {
	call := &s.call
	call.method = c.server.registry.find(o.Method)
	if len(o.Pairs) > 0 {
		if call.metadata, err = c.metadata(o.Pairs); err != nil {
			return err
		}
	}
	m, kind := call.method, MethodKind(o.Shape)
	if m == nil {
		return c.server.noMethod(s.ctx, call, o.Method)
	}
	if err := m.suits(kind); err != nil {
		return err
	}
	if err := c.server.authorize(s.ctx, call, m.info.Name); err != nil {
		return err
	}
	if refusal := c.server.acquire(m, c.origin); refusal != nil {
		return refusal
	}
	if !c.streams.promiseWindow(&s.stream) {
		c.server.release(c.origin)
		return Errorf(ResourceExhausted, "there is no room for the window of another stream now").
			WithDetail(RetryAfterDetail, strconv.FormatInt(crowdedPause.Milliseconds(), 10))
	}
	return c.chargeArrived(call, f, o.Body)
}

// refuseStream ends a stream that never ran.
func (c *serverConn) refuseStream(s *serverStream, e *Error) {
	refusal := unrun(e.clone())
	c.server.callFailed(&s.call, refusal)
	c.endStream(s, refusal, false)
	s.cancel(context.Canceled) // else its deadline would keep it
}

// serveStream runs and ends a stream. It is a goroutine's whole life.
func (c *serverConn) serveStream(s *serverStream) {
	var failed *Error
	returned := false
	defer func() {
		if !returned { // a user's code has ended the goroutine
			failed = errPanicked(s.call.method)
		}
		c.discharge(&s.call)
		c.server.release(c.origin)
		c.endStream(s, failed, true)
		s.cancel(errAfterHandler)
	}()
	if !s.call.deadline.IsZero() {
		defer context.AfterFunc(s.ctx, s.timeUp)()
	}
	if err := c.runStream(s); err != nil {
		failed = toError(err)
	}
	returned = true
}

// runStream is all of a stream that is a user's code, panics caught.
func (c *serverConn) runStream(s *serverStream) error {
	params, err := c.takeParams(&s.call, &s.table.bodies)
	if err != nil {
		return err
	}
	return c.server.runStreamHandler(s.ctx, s.call.method, params, s)
}

// runStreamHandler is runHandler for a stream.
func (s *Server) runStreamHandler(ctx context.Context, m *method, params any, stream Stream) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errPanicked(m)
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	return noEOF(ran(m.stream(ctx, params, stream)))
}

// noEOF returns the error of a handler. io.EOF, with which its loop over Receive ended, would
// look like a good end to the caller: it becomes an error that says what to return.
func noEOF(err error) error {
	if err == io.EOF {
		return Errorf(Unknown, "EOF was returned as an error: return nil, or a reply, after the last item")
	}
	return err
}

// endStream says how a handler has returned, after what it has sent. What the client still
// sends is dropped. The reader, which does not wait, lets another goroutine write.
func (c *serverConn) endStream(s *serverStream, failed *Error, own bool) {
	c.mu.Lock()
	c.streaming--
	if s.failure != nil {
		failed = s.failure
	} else {
		s.headerLeaves()
	}
	s.stopReceiving(errHandlerReturned)
	s.out.err = errHandlerReturned
	s.out.wait.signal() // one that the handler has left behind
	s.giveRoom()
	if c.abandoned && failed != nil && failed.Code == Canceled { // nobody has cancelled it: see appendReply
		s.out.closed = true
		s.table.settleEnds(&s.stream)
	} else {
		s.out.last = &lastFrame{reason: failed, trailer: s.trailerSet(), server: true, limit: c.maxReply}
		s.table.lane.ready.push(&s.stream)
	}
	start := c.out.start()
	c.changed.Broadcast()
	c.mu.Unlock()
	s.table.flush(start, own)
}

var errHandlerReturned = Errorf(FailedPrecondition, "the handler of the stream has returned")

// errAfterHandler is the cause of its context's end: of a handler that has left a goroutine behind.
var errAfterHandler = Errorf(Canceled, "the handler of the stream has returned: %w", context.Canceled)

// timeUp ends the stream at its deadline, also if the caller cannot say so.
func (s *serverStream) timeUp() {
	s.table.conn.endHalves(func() {
		if s.late() && s.failure == nil && s.out.last == nil && !s.out.closed {
			s.failWith(s.leftBecause())
		}
	})
}

// endHalves runs end, which ends halves of streams, under the lock. What they had lent or
// kept may let other streams go on, so what these have to send is sent.
func (c *serverConn) endHalves(end func()) {
	c.mu.Lock()
	end()
	start := c.out.start()
	c.mu.Unlock()
	c.streams.flush(start, false)
}

// cancel ends the context of the handler.
func (s *serverStream) cancel(cause error) {
	if s.late() {
		s.call.cancel() // with DeadlineExceeded
		<-s.ctx.Done()  // a goroutine of ours ends it, and waits for nothing: Send and Receive must not fail before that
		return
	}
	s.cancelCause(cause)
	s.call.cancel()
}

// late reports whether the stream's deadline has passed.
func (s *serverStream) late() bool {
	deadline := s.call.deadline
	return !deadline.IsZero() && !time.Now().Before(deadline)
}

// leftBecause returns the error of a stream that its caller has left: that of its deadline, if
// it has passed.
func (s *serverStream) leftBecause() *Error {
	if s.late() {
		return contextError(context.DeadlineExceeded)
	}
	return Errorf(Canceled, "%w", errLeft)
}

// handleStream does what a frame of a stream says. Its errors end the connection.
func (c *serverConn) handleStream(f *wire.Frame) error {
	defer func() { bytepool.Put(f.Large) }()
	c.mu.Lock()
	s := c.streams.find(f.ID)
	last, draining := c.lastID, c.draining
	if s == nil {
		c.mu.Unlock()
		return overOrNever(f, last, draining)
	}
	failed, err := c.streams.handleFromClient(s, f)
	if failed != nil {
		s.server.blame(failed)
	}
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, false)
	if failed != nil {
		s.server.cancel(failed)
		c.endHalves(func() { s.server.failWith(failed) })
	}
	return err
}

// blame sets what the end will say, whatever the handler returns. First comes this, then the
// context of the handler ends, and then its Send and Receive fail: a handler that is told
// by one of them finds that its context has ended.
func (s *serverStream) blame(why *Error) {
	if s.failure == nil {
		s.failure = why
	}
}

// toldByContext reports whether the handler can know why the stream fails, by its context,
// though the halves go on for a moment.
func (s *serverStream) toldByContext() bool { return s.failure != nil && s.ctx.Err() != nil }

// failWith ends both halves at once.
func (s *serverStream) failWith(why *Error) {
	s.blame(why)
	s.fail(why)
}

// handleFromClient is handleStream for a stream that is there.
func (t *streamTable) handleFromClient(s *stream, f *wire.Frame) (failed *Error, err error) {
	switch f.Kind {
	case wire.KindData:
		return t.handleData(s, f)
	case wire.KindCredit:
		return nil, t.handleCredit(s, f)
	case wire.KindWant:
		return t.handleWant(s, f)
	case wire.KindEnd:
		if f.Flags != 0 || len(f.Payload) > 0 {
			return nil, errProtocol("an end of stream %d with fields or flags, from the client", f.ID)
		}
		return t.handleClientEnd(s)
	}
	return nil, errProtocol("the client sent a frame of kind %d", f.Kind)
}

// overOrNever returns what is wrong with a frame for a stream that is not open: nothing, if
// the frame and the end of the stream, or a go-away, may have crossed.
func overOrNever(f *wire.Frame, last uint64, draining bool) error {
	switch {
	case f.ID > last && draining:
		return nil
	case f.ID > last:
		return errProtocol("%s for stream %d, which was not opened", f.Kind, f.ID)
	case f.Kind == wire.KindCredit: // it may have crossed the end
		_, err := wire.ParseBytes(f)
		return fromWire(err)
	}
	return errProtocol("%s for stream %d, which is over", f.Kind, f.ID)
}

// cancelStream ends a stream because its caller has left.
func (c *serverConn) cancelStream(id uint64) {
	c.mu.Lock()
	s := c.streams.streams[id]
	if s == nil { // its end has crossed the cancel
		c.mu.Unlock()
		return
	}
	why := s.server.leftBecause()
	s.server.blame(why)
	c.mu.Unlock()
	s.server.cancel(s.server.failure) // which is set once
	c.endHalves(func() {
		s.server.failWith(why)
		s.peerEnded(io.EOF)
		if c.streams.streams[id] == s {
			c.streams.settleEnds(s)
		}
	})
}

// cancelStreams ends all streams, since the connection ends.
func (c *serverConn) cancelStreams(why error) {
	c.mu.Lock()
	var all []*serverStream
	for _, s := range c.streams.streams {
		s.server.blame(canceledBy(why))
		all = append(all, s.server)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.cancel(s.failure) // which is set once
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range all {
		s.failWith(s.failure)
	}
}

// canceledBy returns the error of a stream whose connection has ended because of why.
func canceledBy(why error) *Error {
	if e, ok := why.(*Error); ok && e.Code == Canceled {
		return e
	}
	return Errorf(Canceled, "%w", why)
}

// Send implements [Stream].
func (s *serverStream) Send(ctx context.Context, item any) error {
	if err := s.send(ctx, item); err != nil {
		return s.notSent(err)
	}
	return nil
}

// notSent says why an item was not sent. nil is a goroutine that a user's code has ended.
func (s *serverStream) notSent(err error) *Error {
	switch e := err.(type) {
	case nil:
		return errPanicked(s.call.method)
	case *Error:
		return e
	case *itemTooLarge:
		return e.toError()
	}
	failed := Errorf(Internal, "encode an item of %s: %w", s.call.method.info.Name, err)
	s.table.conn.server.callFailed(s.ctx, failed)
	return toError(failed)
}

// giveUp ends the stream for the reason that an item was not sent. If the end is fixed, so
// is what comes before it.
func (s *serverStream) giveUp(why *Error) {
	s.table.conn.endHalves(func() {
		if s.out.last == nil && !s.out.closed {
			s.failWith(why)
		}
	})
}

// Receive implements [Stream].
func (s *serverStream) Receive(ctx context.Context, item any) error {
	s.giveRoom()
	err := s.receive(ctx, item)
	if bad, ok := err.(*badItem); ok {
		if none, ok := bad.err.(*noRoom); ok {
			return none.refused
		}
		failed := onOneLine(Errorf(undecoded(bad.err, InvalidArgument), "decode an item of %s: %w", s.call.method.info.Name, bad.err))
		if _, panicked := causes.Find[*codecPanic](bad.err); panicked {
			s.table.conn.server.callFailed(s.ctx, failed)
		}
		return failed
	}
	return err
}
