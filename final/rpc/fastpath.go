package rpc

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// What makes calls fast, in one place. Waking a goroutine on another processor
// costs microseconds, so each of the following saves one: a sender writes
// itself, a lone caller reads its own reply, a method that does not block runs
// where it was read.
func init() {
	newFast = func(owner any) any {
		switch owner.(type) {
		case *clientConn:
			return &clientFast{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		case *serverConn:
			return new(serverFast)
		}
		return &serverWatch{ended: owner.(*Server).ended}
	}
	flush = flushHere
	clientRead = (*clientConn).readShared
	clientReadSoon = (*clientConn).readSoon
	clientAwait = (*clientConn).awaitReading
	serverRead = (*serverConn).readInline
	startCall = (*serverConn).startInline
}

// briefly is how long a goroutine may be delayed by work for others: a sender by
// a peer that does not read, a caller that reads by a reply that does not arrive.
const briefly = time.Millisecond

// flushHere writes one round itself. When the peer does not take it all at once,
// or more was appended meanwhile, a goroutine goes on.
func flushHere(w *writer, yield bool) {
	if !w.inline {
		go w.flushAll()
		return
	}
	if yield {
		runtime.Gosched() // let the others append: one write for all
	}
	if !w.take() {
		return
	}
	more, err := w.write(briefly)
	switch {
	case err != nil && !isTimeout(err):
		w.fail(err)
	case err != nil || more:
		go w.flushAll()
	}
}

// readerRole says who reads a client's connection.
type readerRole uint8

const (
	readerGoroutine readerRole = iota // the connection's own
	readerCaller                      // a caller, for its reply
	readerNone                        // no goroutine: nothing is pending
)

// clientFast is what a clientConn needs for callers that read.
type clientFast struct {
	role  readerRole    // guarded by out.mu
	wake  chan struct{} // capacity 1: the goroutine has been given the role
	timer *time.Timer   // the goroutine's, for park
}

func (c *clientConn) shared() *clientFast { return c.fast.(*clientFast) }

// idleBeforeReading is how long the goroutine waits for a caller that reads,
// before it takes over to see pings, go-aways and the end.
const idleBeforeReading = 5 * time.Millisecond

// readShared is the connection's own goroutine. It reads while calls are
// pending that were not alone, and while the connection is idle.
func (c *clientConn) readShared() {
	if !c.out.inline {
		c.read()
		return
	}
	for {
		f, err := c.in.next()
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.failRead(err)
			return
		}
		if c.leaveRole(readerGoroutine) {
			c.park()
		}
	}
}

// leaveRole gives the role back if nothing is pending, else it stays with, or
// goes to, the goroutine. The decision is made under the lock, so that no call
// is pending without a reader.
func (c *clientConn) leaveRole(from readerRole) bool {
	buffered := c.in.buffered()
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if len(c.pending) == 0 && len(c.pings) == 0 && !buffered && c.err == nil {
		c.shared().role = readerNone
		return true
	}
	c.shared().role = readerGoroutine
	if from == readerCaller {
		c.shared().wake <- struct{}{}
	}
	return false
}

// park waits until the goroutine has the role.
func (c *clientConn) park() {
	timer := c.shared().timer
	timer.Reset(idleBeforeReading)
	defer timer.Stop()
	ended := c.ended
	for {
		seen := c.in.reads.Load()
		select {
		case <-c.shared().wake:
			return
		case <-ended:
			ended = nil // a caller that reads finds out, and wakes us
		case <-timer.C:
		}
		c.out.mu.Lock()
		take := c.shared().role == readerNone && (ended == nil || seen == c.in.reads.Load())
		if take {
			c.shared().role = readerGoroutine
		}
		c.out.mu.Unlock()
		if take {
			c.in.shrink()
			return
		}
		timer.Reset(idleBeforeReading)
	}
}

// readSoon gives the goroutine the role if it is free: a pong is awaited.
func (c *clientConn) readSoon() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.shared().role == readerNone {
		c.shared().role = readerGoroutine
		c.shared().wake <- struct{}{}
	}
}

// awaitReading reads the reply itself if the call is the only one pending, but
// not for long: then it waits like the others.
func (c *clientConn) awaitReading(ctx context.Context, call *clientCall) error {
	if c.out.inline && c.takeRole(call) {
		c.readOwn(call)
	}
	return c.await(ctx, call)
}

// takeRole makes sure that a goroutine reads: the caller, if the role is free and
// its call is the only one, else the connection's own.
func (c *clientConn) takeRole(call *clientCall) bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	if c.shared().role != readerNone || c.pending[call.id] != call {
		return false
	}
	if len(c.pending) > 1 {
		c.shared().role = readerGoroutine
		c.shared().wake <- struct{}{}
		return false
	}
	c.shared().role = readerCaller
	return true
}

// readOwn reads until the call's reply has arrived or its time is up. A frame that
// has arrived in part by then stays in the reader.
func (c *clientConn) readOwn(call *clientCall) {
	now := time.Now()
	c.in.hurry = now.Add(2 * briefly)
	if !call.deadline.IsZero() && call.deadline.Before(c.in.hurry) {
		c.in.hurry = call.deadline
	}
	if c.in.armed.Before(now.Add(briefly)) {
		c.in.armed = time.Time{} // the deadline that is set comes too soon: set one that serves many calls
	}
	exited := true
	defer func() {
		c.in.hurry = time.Time{}
		c.leaveRole(readerCaller)
	}()
	defer func() {
		if exited {
			c.fail(errExited)
		}
	}()
	for len(call.done) == 0 {
		f, err := c.in.next()
		if err == errHurry {
			break
		}
		if err == nil {
			err = c.handle(f)
		}
		if err != nil {
			c.failRead(err)
			break
		}
	}
	exited = false
}

// serverFast is what a serverConn needs to run calls while reading. turn is odd
// while it does. The one that makes it even next owns the reading: the call when
// it returns, or the server's watch when the call takes too long.
type serverFast struct {
	turn    atomic.Uint64
	watched atomic.Bool
	call    atomic.Pointer[serverCall] // set before turn becomes odd
	unsent  bool                       // replies were appended and not flushed; the reader's

	seen  uint64 // turn, when the watch last looked; the watch's
	quiet int    // how often it has not changed; the watch's
}

func (c *serverConn) inline() *serverFast { return c.fast.(*serverFast) }

// readInline is read that ends, without ending the connection, when another
// goroutine has taken over the reading.
func (c *serverConn) readInline() {
	c.sendReplies()
	for {
		if c.inline().unsent && !c.in.buffered() {
			c.sendReplies()
		}
		f, err := c.next()
		if err == nil {
			err = c.handle(f)
		}
		if err == errTakenOver {
			return
		}
		if err != nil {
			c.finish(err)
			return
		}
	}
}

var errTakenOver = Errorf(Internal, "another goroutine reads")

// sendReplies writes the replies to all calls that arrived in one read.
func (c *serverConn) sendReplies() {
	sent := false
	defer c.finishUnless(&sent)
	c.inline().unsent = false
	c.out.mu.Lock()
	start := c.out.startLocked()
	c.out.mu.Unlock()
	if start {
		flush(&c.out, false)
	}
	sent = true
}

// startInline runs a non-blocking method here, and any other one in its own goroutine. A large or
// compressed body is work enough for a goroutine of its own.
func (c *serverConn) startInline(call *serverCall, f *frame, body []byte) error {
	if !call.method.info.NonBlocking || !c.out.inline || f.large != nil || call.room > 0 || c.congested() {
		return c.start(call, f, body)
	}
	fast := c.inline()
	if !fast.watched.Load() {
		c.server.fast.(*serverWatch).watch(c)
	}
	call.keep(f, body) // a goroutine that takes over reads into the buffer where body lies
	fast.call.Store(call)
	if !c.runInline(call, fast.turn.Add(1)) {
		return errTakenOver
	}
	fast.unsent = true
	return nil
}

// runInline runs a call and appends its reply. It returns false if the reading
// was taken over meanwhile.
func (c *serverConn) runInline(call *serverCall, turn uint64) (mine bool) {
	var done outcome
	replied := false
	defer func() {
		if mine && !(done.returned && replied) { // Goexit ends this goroutine, which reads
			c.finish(errPanicked(call.method))
		}
	}()
	defer func() {
		mine = c.inline().turn.CompareAndSwap(turn, turn+1)
		if !mine {
			c.forget(call)
		}
		c.reply(call, &done, !mine)
		replied = true
	}()
	c.runCall(call, &done)
	return
}

// congested reports whether replies would have to wait for room.
func (c *serverConn) congested() bool {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	return c.out.size >= highWater/2
}

// takeOver lets another goroutine read while the call that the reader runs goes on.
func (c *serverConn) takeOver(turn uint64) {
	fast := c.inline()
	call := fast.call.Load()
	c.remember(call)
	if !fast.turn.CompareAndSwap(turn, turn+1) {
		c.forget(call) // it has returned just now
		return
	}
	c.out.mu.Lock()
	cut := c.out.err != nil
	c.out.mu.Unlock()
	if cut { // the calls may have been cancelled before this one was among them
		call.end(context.Canceled)
	}
	go c.readInline()
}

// serverWatch looks every millisecond after the connections that run calls while
// reading. It runs only while there are some.
type serverWatch struct {
	ended <-chan struct{} // the server's
	mu    sync.Mutex
	conns map[*serverConn]struct{}
}

// quietTurns is after how many looks without a call a connection is not watched any more.
const quietTurns = 16

func (w *serverWatch) watch(c *serverConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		w.conns = map[*serverConn]struct{}{}
	}
	if len(w.conns) == 0 {
		go w.run()
	}
	w.conns[c] = struct{}{}
	c.inline().quiet = 0
	c.inline().watched.Store(true)
}

func (w *serverWatch) run() {
	tick := time.NewTicker(briefly)
	defer tick.Stop()
	for w.look() > 0 {
		select {
		case <-tick.C:
		case <-w.ended:
			return
		}
	}
}

// look takes the reading from calls that run since the last look, and returns
// how many connections are left to watch.
func (w *serverWatch) look() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		fast := c.inline()
		turn := fast.turn.Load()
		switch {
		case turn != fast.seen:
			fast.seen, fast.quiet = turn, 0
		case turn%2 == 1:
			c.takeOver(turn)
		default:
			fast.quiet++
		}
		if fast.quiet > quietTurns {
			fast.watched.Store(false)
			delete(w.conns, c)
		}
	}
	return len(w.conns)
}
