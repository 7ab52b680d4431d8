package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// lingerTime is how long a connection that this side ends is read to its end:
// closing with unread input sends a reset, which can destroy the last replies.
const lingerTime = time.Second

// serverConn is a server's side of one connection. The reading goroutine never
// waits: not for a handler, not for a write, not for a slot. If it did, a cancel would
// wait behind the call that it is to end.
type serverConn struct {
	server   *Server
	conn     net.Conn
	peer     *Peer
	maxReply int   // the largest message that the client reads
	agreed   uint8 // flags that frames may have by both hellos
	compress int   // bodies from here on are compressed; 0: the hellos did not agree upon it
	codec    int   // the codec's index in the server's order
	readable bool  // results are encoded field by field: see guessReply
	params   share
	replies  share
	in       frameReader // the reader's
	pings    pingLimit   // the reader's
	flusher  flusher
	bodies   bodyCodec
	finished chan struct{} // closed when reading has ended
	alive    *keepalive    // while it reads; may be nil
	inline   inlineTurn
	granted  streamGrant
	spare    []serverCall // for the next calls, the reader's: see newCall
	origin   *origin      // nil if it is not known

	mu        sync.Mutex // guards what follows; no foreign code runs under it
	out       outbox
	changed   *sync.Cond   // bytes were written, or running fell to 0
	light     int64        // taken of replies, for those that were not charged
	running   int          // calls whose reply was not appended
	streaming int          // streams whose handler has not returned
	streams   *streamTable // nil: none was opened; set by the reader, which reads it without the lock
	lastID    uint64       // of the last request
	helloed   bool
	draining  bool                   // no new calls
	abandoned bool                   // this side ends the connection, and with it the contexts of its calls
	calls     map[uint64]*serverCall // that a cancel, and the end of the connection, find
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	o := &s.options
	conn = guardConn(conn)
	c := &serverConn{
		server:   s,
		conn:     conn,
		peer:     &Peer{Addr: noAddr{}}, // inspect asks for it: here, a user's connection would delay those after it
		finished: make(chan struct{}),
		calls:    map[uint64]*serverCall{},
	}
	c.in = frameReader{
		Reader: wire.Reader{Limit: o.maxMessage}, conn: conn, observers: &o.observers,
		frameTimeout: o.readFrameTimeout, idleTimeout: o.idleTimeout,
		late: newLateRead(conn, o.writeTimeout),
	}
	c.in.shrunk = c.shrinkCalls
	c.flusher = flusher{conn: conn, timeout: o.writeTimeout, observers: &o.observers, owner: c}
	c.changed = sync.NewCond(&c.mu)
	c.params = s.params.newShare(o.paramsMemory.conn)
	c.replies = s.replies.newShare(o.replyMemory.conn)
	c.alive = c.newKeepalive()
	return c
}

// inspect asks a connection, which may be a user's, what it is. A deadline for that and
// for the hello is set before: a wrapper may know its address from what it reads.
func (c *serverConn) inspect() (err error) {
	if d := c.server.options.handshakeTimeout; d > 0 {
		c.conn.SetDeadline(time.Now().Add(d))
	}
	c.flusher.inline = resumable(c.conn)
	c.peer.Addr, err = addrOf(c.conn)
	return err
}

// turnAway says why there will be no connection, if that can be said without waiting:
// there are too many already, and TLS would have to shake hands first. What inspect has
// failed with is not for the client.
func (c *serverConn) turnAway(why error) {
	if coded, ok := why.(*Error); ok && c.flusher.inline {
		c.conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		c.conn.Write(refusal(coded).Append(nil))
	}
}

// serve runs the connection from hello to end and returns when its handlers have.
func (c *serverConn) serve() {
	if err := c.hello(); err != nil {
		defer c.conn.Close()
		defer close(c.finished)
		c.report(&c.server.refused, err)
		return
	}
	defer c.limitAge()()
	c.alive.start()
	defer c.awaitEnd() // also if a hook ends this goroutine: another one reads on then
	c.read()
}

// awaitEnd waits until reading has ended and the handlers have returned. In this order:
// while a goroutine reads, running may rise again.
func (c *serverConn) awaitEnd() {
	<-c.finished
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.running > 0 || c.streaming > 0 {
		c.changed.Wait()
	}
	if c.streams != nil {
		c.streams.memory.giveAll()
	}
}

// finish is what the reading goroutine does last.
func (c *serverConn) finish(err error) {
	c.alive.stop()          // first: nothing that the client sends is seen any more
	defer close(c.finished) // last: who waits for it finds the connection closed
	why := errExited
	defer func() { c.cut(why) }() // also if an error handler ends this goroutine
	if reason := c.endReason(err); reason != nil {
		why = reason
		c.goAway(reason)
	} else {
		why = clientGone(err)
	}
}

// finishUnless is deferred around a user's code that the reading goroutine calls,
// which may end it.
func (c *serverConn) finishUnless(returned *bool) {
	if !*returned {
		c.finish(errExited)
	}
}

// hello reads the client's and answers, under the deadline that is set. A refusal is said
// before it is returned.
func (c *serverConn) hello() error {
	o := &c.server.options
	if err := c.shakeHands(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	body, err := wire.ReadHello(c.conn, o.maxMetadata+helloRoom)
	err = fromWire(err)
	if err != nil && isTimeout(err) || causes.Is(err, io.EOF) || causes.Is(err, io.ErrUnexpectedEOF) {
		return err // a client that is gone, or says nothing, gets no answer
	}
	answer := wire.ServerHello{InFlight: uint32(o.maxInFlight)}
	if err == nil {
		err = c.accept(body, &answer)
	}
	if err != nil {
		c.conn.Write(refusal(err).Append(nil))
		c.linger()
		return err
	}
	if _, err := c.conn.Write(answer.Append(nil)); err != nil {
		return err
	}
	if err := unlessClosed(c.conn.SetDeadline(time.Time{})); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.helloed = true // from now on drain says go-away; before, the client would take that for the hello
	return nil
}

// refusal is the hello that says why there will be no connection.
func refusal(err error) *wire.ServerHello {
	no := wire.ServerHello{Code: wire.Unknown, Text: err.Error()}
	if coded, ok := causes.Find[*Error](err); ok {
		no.Code, no.Text = wire.Code(coded.Code), coded.Message
	}
	no.Text = cleanText(no.Text, wire.MaxReasonText)
	return &no
}

// shakeHands does TLS's handshake, if the connection is one, under the deadline that is set.
func (c *serverConn) shakeHands() error {
	user, ok := c.conn.(userConn)
	if !ok {
		return nil
	}
	secure, ok := user.Conn.(interface{ HandshakeContext(context.Context) error })
	if !ok {
		return nil
	}
	err := errors.New("a function of the tls.Config panicked")
	c.server.guard(context.Background(), func() {
		if err = secure.HandshakeContext(context.Background()); err == nil {
			c.peer.setTLS(user.Conn)
		}
	})
	return err
}

// accept takes what the client's hello asks for, and answers that.
func (c *serverConn) accept(body []byte, answer *wire.ServerHello) error {
	hello, metadata, err := parseClientHello(body)
	if err != nil {
		return err
	}
	o := &c.server.options
	offers := takeOffers(metadata) // first: the protocol's own pairs do not count as the user's
	if n := wire.PairsSize(metadata); n > o.maxMetadata {
		return Errorf(ResourceExhausted, "metadata of %d bytes: at most %d are allowed", n, o.maxMetadata)
	}
	codec, ok := o.codecs[hello.Codec]
	if !ok {
		offers := strings.Join(o.codecOrder, ", ")
		return Errorf(Unimplemented, "unknown codec %q: this server offers %s", hello.Codec, offers)
	}
	c.codec = slices.Index(o.codecOrder, hello.Codec)
	c.readable = encodedByField(codec)
	c.peer.Codec = hello.Codec
	if len(metadata) > 0 { // else the map, in which the offers were, need not live as long as the connection
		c.peer.Metadata = metadata
	}
	c.maxReply = int(min(hello.MaxMessage, 1<<31-1))
	bodies := newBodyCodec(codec, decodedBound{}, c.finished)
	c.mu.Lock()
	c.bodies = bodies // under the lock for cut, which may come before the hello
	c.mu.Unlock()
	if isStream(codec) { // before the answer, which announces the limit
		c.in.Limit = min(c.in.Limit, maxGobMessage)
	}
	answer.MaxMessage = uint32(c.in.Limit)
	answer.Text = c.grant(offers, codec)
	return nil
}

// next returns the next frame; a connection with calls in flight is not idle.
func (c *serverConn) next() (*wire.Frame, error) {
	returned := false
	defer c.finishUnless(&returned)
	for {
		f, err := c.in.next()
		if err != errIdle || !c.busy() {
			returned = true
			return f, err
		}
	}
}

func (c *serverConn) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.running > 0 || c.streaming > 0
}

// handle does what a frame says. Its errors end the connection.
func (c *serverConn) handle(f *wire.Frame) error {
	if err := f.Check(c.agreed); err != nil {
		return fromWire(err)
	}
	switch f.Kind {
	case wire.KindRequest:
		return c.handleRequest(f)
	case wire.KindCancel:
		c.mu.Lock()
		call := c.calls[f.ID]
		c.mu.Unlock()
		if call != nil { // else its reply has crossed the cancel
			call.cancel()
		} else if c.streams != nil {
			c.cancelStream(f.ID)
		}
		return nil
	case wire.KindPing:
		if c.pings.exceeded(time.Now()) {
			return errTooManyPings
		}
		return c.control(false, func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPong, 0, f.ID, 0) })
	case wire.KindPong:
		return nil
	case wire.KindOpen:
		return c.handleOpen(f)
	case wire.KindData, wire.KindEnd, wire.KindCredit, wire.KindWant:
		return c.handleStream(f)
	}
	return errProtocol("the client sent a frame of kind %d", f.Kind)
}

// takeBatch is the flusher's.
func (c *serverConn) takeBatch(w *batch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.take(w)
}

// wroteBatch is the flusher's.
func (c *serverConn) wroteBatch(written int, err error) (more bool) {
	c.mu.Lock()
	more, charged := c.out.wrote(written, err)
	charged += c.lightenLocked()
	c.changed.Broadcast()
	c.mu.Unlock()
	c.replies.give(charged) // without the lock: it may let calls of other connections go on
	return more
}

// writeFailed is the flusher's.
func (c *serverConn) writeFailed(err error, acceptedIsKnown bool) {
	timeout := isTimeout(err)
	why := err
	if !timeout {
		why = clientGone(err)
	}
	c.mu.Lock()
	charged := c.out.fail(why, acceptedIsKnown) + c.lightenLocked()
	c.mu.Unlock()
	c.replies.give(charged)
	c.cut(why)
	if timeout {
		c.report(&c.server.broken, err)
	}
}

// control appends a frame for the reader, which does not wait for room, nor write itself. A
// client that asks and does not read is cut off. A reply ends its call, before it is
// appended: the client may call again as soon as it has read it.
func (c *serverConn) control(reply bool, head func([]byte) []byte) error {
	c.mu.Lock()
	if reply {
		c.releaseLocked()
	}
	c.out.append(head, nil)
	start, size := c.out.start(), c.out.size
	c.mu.Unlock()
	if start {
		go c.flusher.flushAll()
	}
	if size > 2*highWater {
		return Errorf(ResourceExhausted, "the client does not read what it asks for")
	}
	return nil
}
