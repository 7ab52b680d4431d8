package rpc

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// inlineTurn is what a serverConn needs to run calls on the goroutine that reads. turn is odd
// while a call runs there. Two want to make it even again, and the first one decides who reads
// on: the goroutine of the call, if the call returns in time, or a new one, if the server's
// watch finds that the call takes too long.
type inlineTurn struct {
	turn    atomic.Uint64
	watched atomic.Bool
	call    atomic.Pointer[serverCall] // set before turn becomes odd
	unsent  bool                       // replies were appended and not flushed; the reader's

	seen  uint64 // turn, when the watch last looked; the watch's
	quiet int    // how often it has not changed; the watch's
}

// read reads until the connection ends, and finishes it; or until another goroutine
// has taken over the reading.
func (c *serverConn) read() {
	c.sendReplies()
	for {
		if c.inline.unsent && !c.in.Buffered() {
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
	c.inline.unsent = false
	c.mu.Lock()
	start := c.out.start()
	c.mu.Unlock()
	if start {
		c.flusher.flush(false)
	}
	sent = true
}

// run runs an admitted call, on params in body, which lies in the frame: a
// non-blocking method here, any other one in a goroutine. A large or compressed body
// is work enough for a goroutine. Its error ends the reading.
func (c *serverConn) run(call *serverCall, f *wire.Frame, body []byte) error {
	call.keep(f, body) // a goroutine that takes over reads into the buffer where body lies
	if !call.method.info.NonBlocking || !c.flusher.inline || f.Large != nil || call.expandsTo > 0 || c.replies.scarce() || c.congested() {
		c.remember(call)
		go c.serveCall(call)
		return nil
	}
	inline := &c.inline
	if !inline.watched.Load() {
		c.server.watch.add(c)
	}
	inline.call.Store(call)
	if !c.runInline(call, inline.turn.Add(1)) {
		return errTakenOver
	}
	inline.unsent = true
	return nil
}

// runInline runs a call and appends its reply. It returns false if the reading
// was taken over meanwhile.
func (c *serverConn) runInline(call *serverCall, turn uint64) (mine bool) {
	var done outcome
	replied := false
	defer func() {
		if mine && !(done.returned && replied) { // Goexit ends this goroutine, which reads
			c.finish(errGoexit(call.method))
		}
	}()
	defer func() {
		mine = c.inline.turn.CompareAndSwap(turn, turn+1)
		if !mine {
			c.forget(call)
		}
		c.reply(call, &done, !mine)
		replied = true
	}()
	c.runCall(call, &done, false)
	return
}

// congested reports whether replies would have to wait for room.
func (c *serverConn) congested() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.size >= highWater/2 || !c.lightRoomLocked()
}

// takeOver lets another goroutine read while the call that the reader runs goes on.
func (c *serverConn) takeOver(turn uint64) {
	inline := &c.inline
	call := inline.call.Load()
	c.remember(call)
	if !inline.turn.CompareAndSwap(turn, turn+1) {
		c.forget(call) // it has returned just now
		return
	}
	c.mu.Lock()
	cut := c.out.err != nil
	c.mu.Unlock()
	if cut { // the calls may have been cancelled before this one was among them
		call.end(context.Canceled)
	}
	go c.read()
}

// readWatch looks every millisecond at the connections that run calls on the goroutine that
// reads. Its own goroutine runs only while there are some.
type readWatch struct {
	ended <-chan struct{} // the server's
	mu    sync.Mutex      // guards conns, and of each the watch's fields of inlineTurn
	conns map[*serverConn]struct{}
}

// quietTurns is after how many looks without a call a connection is not watched any more.
const quietTurns = 16

func (w *readWatch) add(c *serverConn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conns == nil {
		w.conns = map[*serverConn]struct{}{}
	}
	if len(w.conns) == 0 {
		go w.run()
	}
	w.conns[c] = struct{}{}
	c.inline.quiet = 0
	c.inline.watched.Store(true)
}

func (w *readWatch) run() {
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

// look has another goroutine read in place of each call that has run since the last look. It
// returns how many connections are left to watch.
func (w *readWatch) look() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		inline := &c.inline
		turn := inline.turn.Load()
		switch {
		case turn != inline.seen:
			inline.seen, inline.quiet = turn, 0
		case turn%2 == 1:
			c.takeOver(turn)
		default:
			inline.quiet++
		}
		if inline.quiet > quietTurns {
			inline.watched.Store(false)
			delete(w.conns, c)
		}
	}
	return len(w.conns)
}
