package rpc

import (
	"errors"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
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
	streams *streamTable // nil: no stream has had a slot. Set under mu before the first one has; who has one reads it without
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
	streamsFull atomic.Bool           // no stream slot is free; as full
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
	c.bodies = newBodyCodec(c.codec, c.options.decodedBound(), c.ended)
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
	c.maxInFlight = int(min(hello.InFlight, mostInFlight))
	c.maxMessage = int(min(hello.MaxMessage, math.MaxInt32))
	c.takeGrants(hello.Text)
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

// shrinkPending gives back the memory of a map that many calls have made large: a map
// keeps it when its entries are deleted.
func (c *clientConn) shrinkPending() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending != nil && len(c.pending) == 0 {
		c.pending = map[uint64]*clientCall{}
	}
}
