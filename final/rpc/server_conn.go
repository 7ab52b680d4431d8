package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
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
// waits: not for a handler, not for a write, not for a slot.
type serverConn struct {
	server   *Server
	conn     net.Conn
	peer     *Peer
	maxReply int // the largest message that the client reads
	compress int // bodies from here on are compressed; 0: the hellos did not agree upon it
	in       frameReader
	flusher  flusher
	bodies   bodyCodec
	finished chan struct{} // closed when reading has ended
	inline   inlineTurn
	tooMany  bool // it is turned away: the server has as many as it may

	mu       sync.Mutex // guards what follows; no foreign code runs under it
	out      outbox
	changed  *sync.Cond // bytes were written, or running fell to 0
	running  int        // calls whose reply was not appended
	lastID   uint64     // of the last request
	helloed  bool
	draining bool                   // no new calls
	calls    map[uint64]*serverCall // that a cancel, and the end of the connection, find
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	o := &s.options
	conn = guardConn(conn)
	c := &serverConn{
		server:   s,
		conn:     conn,
		peer:     &Peer{Addr: noAddr{}},
		finished: make(chan struct{}),
		calls:    map[uint64]*serverCall{},
	}
	c.in = frameReader{
		Reader: wire.Reader{Limit: o.maxMessage}, conn: conn, observers: &o.observers,
		frameTimeout: o.readFrameTimeout, idleTimeout: o.idleTimeout,
	}
	c.in.shrunk = c.shrinkCalls
	c.flusher = flusher{conn: conn, timeout: o.writeTimeout, observers: &o.observers, owner: c}
	c.changed = sync.NewCond(&c.mu)
	return c
}

// inspect asks a connection, which may be a user's, what it is.
func (c *serverConn) inspect() (err error) {
	c.flusher.inline = resumable(c.conn)
	c.peer.Addr, err = addrOf(c.conn)
	return err
}

// turnAway says why there will be no connection, if that can be said without waiting.
func (c *serverConn) turnAway(limit int) {
	if c.flusher.inline {
		no := wire.ServerHello{Code: wire.ResourceExhausted, Text: fmt.Sprintf("more than %d connections", limit)}
		c.conn.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		c.conn.Write(no.Append(nil))
	}
}

// serve runs the connection from hello to end and returns when its handlers have.
func (c *serverConn) serve() {
	if err := c.hello(); err != nil {
		defer c.conn.Close()
		defer close(c.finished)
		c.server.report(fmt.Errorf("rpc: %s: %w", c.peer.Addr, err))
		return
	}
	defer c.awaitEnd() // also if a hook ends this goroutine: another one reads on then
	c.read()
}

// awaitEnd waits until reading has ended and the handlers have returned.
func (c *serverConn) awaitEnd() {
	<-c.finished
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.running > 0 {
		c.changed.Wait()
	}
}

// finish is what the reading goroutine does last.
func (c *serverConn) finish(err error) {
	defer close(c.finished)
	defer c.end() // also if an error handler ends this goroutine
	if !causes.Is(err, io.EOF) {
		c.goAway(err)
	}
}

// finishUnless is deferred around a user's code that the reading goroutine calls,
// which may end it.
func (c *serverConn) finishUnless(returned *bool) {
	if !*returned {
		c.finish(errExited)
	}
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
	body, err := wire.ReadHello(c.conn, o.maxMetadata+64)
	err = fromWire(err)
	if err != nil && isTimeout(err) || causes.Is(err, io.EOF) || causes.Is(err, io.ErrUnexpectedEOF) {
		return err
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
	c.helloed = true
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
	offered := takeReserved(metadata)
	if n := wire.PairsSize(metadata); n > o.maxMetadata {
		return Errorf(ResourceExhausted, "metadata of %d bytes: at most %d are allowed", n, o.maxMetadata)
	}
	codec, ok := o.codecs[hello.Codec]
	if !ok {
		offers := strings.Join(slices.Sorted(maps.Keys(o.codecs)), ", ")
		return Errorf(Unimplemented, "unknown codec %q: this server offers %s", hello.Codec, offers)
	}
	c.peer.Codec = hello.Codec
	c.peer.Metadata = metadata
	c.maxReply = int(min(hello.MaxMessage, 1<<31-1))
	bodies := newBodyCodec(codec, c.finished)
	c.mu.Lock()
	c.bodies = bodies // under the lock for cut, which may come before the hello
	c.mu.Unlock()
	if isStream(codec) {
		c.in.Limit = min(c.in.Limit, maxGobMessage)
	}
	answer.MaxMessage = uint32(c.in.Limit)
	c.compress, answer.Text = o.grant(offered, codec)
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
	return c.running > 0
}

// handle does what a frame says. Its errors end the connection.
func (c *serverConn) handle(f *wire.Frame) error {
	if err := f.Check(c.compress > 0); err != nil {
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
		}
		return nil
	case wire.KindPing:
		return c.control(false, func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPong, 0, f.ID, 0) })
	case wire.KindPong:
		return nil
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
	defer c.mu.Unlock()
	more = c.out.wrote(written, err)
	c.changed.Broadcast()
	return more
}

// writeFailed is the flusher's.
func (c *serverConn) writeFailed(err error, acceptedIsKnown bool) {
	c.mu.Lock()
	c.out.fail(err, acceptedIsKnown)
	c.mu.Unlock()
	c.cut(fmt.Errorf("write: %w", err))
}

// control appends a frame for the reader, which does not wait for room. A client
// that asks and does not read is cut off. A reply ends its call.
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
