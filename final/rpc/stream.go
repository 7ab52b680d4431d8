package rpc

import (
	"errors"
	"io"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// ErrStreamEnded is in the error of the caller's Send once the handler has returned
// without an error. The caller still receives what the handler has sent: CloseAndReceive
// returns its reply. The code is FailedPrecondition.
var ErrStreamEnded = errors.New("the handler has returned")

// stream is what both sides have in common of one stream. The lock of its connection
// guards it, but for what only the one goroutine that receives touches.
type stream struct {
	table *streamTable
	id    uint64
	in    inHalf
	out   outHalf

	server *serverStream // of which it is a part, or
	client *clientStream

	next [queueKinds]*stream // in the queues that it is in

	// Fields are ordered by size: an idle stream is to be small.
	batch    int32 // what the receiver takes before it is counted; its own
	queued   uint8 // a bit for each queue that it is in
	promised bool  // its first window was taken from the memory of all connections
}

// inHalf is the half that this side receives. The invariant of its credit is
//
//	credit + queued + taken == window + extra
type inHalf struct {
	err     error       // what Receive returns after the items that have arrived; nil: more may arrive
	closed  bool        // the peer's end, or its cancel, has arrived
	drop    bool        // what arrives is dropped: there is no receiver any more
	starved bool        // the peer has wanted, and not all that had arrived was taken since
	hungry  atomic.Bool // wanted > 0: what is taken is to be counted at once
	gone    atomic.Bool // what is in reading is dropped, too
	give    uint32      // of credit, what the next credit frame says

	credit int64 // cost of what the peer may still send
	queued int64 // cost of what has arrived, and was not taken
	taken  int64 // cost of what was taken, and not given back
	window int64 // what the stream has of the connection's memory
	extra  int64 // and what it was lent for a large item
	wanted int64 // what the item costs for which the peer waits; 0: it does not

	items int64 // have arrived whole
	bytes int64 // of these

	queue itemQueue
	part  *queuedItem // an item of which fragments are missing; nil: none
	wait  waiter

	uncounted atomic.Int64 // cost of what was taken out of reading, not yet in taken

	// These belong to the goroutine that receives.
	reading itemQueue // what it has taken out of queue
	stuck   *stuck    // nil: it goes on
}

// stuck is why a receiver does not take the next item.
type stuck struct {
	failed error      // what Receive returns, since an item could not be decoded; or nil, and
	again  queuedItem // was taken out of reading, and there was no memory to decode it
}

// waiter is where one goroutine waits for what another one does under the lock.
type waiter struct {
	waiting bool
	wake    chan struct{} // capacity 1; made when it is first needed
}

// begin says that the goroutine is about to wait for the channel that it returns. One that
// was to wait before may have ended, by a user's code, and left its signal there.
func (w *waiter) begin() <-chan struct{} {
	if w.wake == nil {
		w.wake = make(chan struct{}, 1)
	}
	select {
	case <-w.wake:
	default:
	}
	w.waiting = true
	return w.wake
}

// signal wakes the goroutine, if one waits.
func (w *waiter) signal() {
	if w.waiting {
		w.waiting = false
		w.wake <- struct{}{} // it is empty since begin
	}
}

// leave says that the goroutine does not wait any more, though the channel was not ready.
func (w *waiter) leave() {
	if !w.waiting {
		<-w.wake // it was signalled just now
	}
	w.waiting = false
}

// quiet reports whether credit is of no use to the peer: it has sent all, or what it sends
// is dropped.
func (h *inHalf) quiet() bool { return h.closed || h.drop }

// stopReceiving drops what has arrived and what still does. Receive returns err.
func (s *stream) stopReceiving(err error) {
	in := &s.in
	if in.err == nil || in.queued > 0 { // else the half has ended, and all of it was received
		in.err = err
	}
	in.drop = true
	in.gone.Store(true)
	in.queue.drop()
	if in.part != nil {
		bytepool.Put(in.part.own)
		in.part = nil
	}
	in.taken, in.queued = in.taken+in.queued, 0
	s.setWanted(0)
	in.give = 0
	s.table.settle(s)
	in.wait.signal()
}

// stopSending drops what was to be sent. Send returns err, unless it had another reason to fail.
func (s *stream) stopSending(err error) {
	out := &s.out
	if out.err == nil {
		out.err = err
	}
	dropped, charged := out.drop()
	s.table.lane.size -= dropped
	s.table.uncharge(charged)
	out.header = nil
	out.wanted, out.wantDue = 0, false
	out.wait.signal()
}

// fail ends both halves at once.
func (s *stream) fail(err error) {
	s.stopSending(err)
	s.stopReceiving(err)
}

// peerEnded notes that the peer sends no more. Receive returns err after the last item.
func (s *stream) peerEnded(err error) {
	in := &s.in
	in.closed = true
	if in.err == nil {
		in.err = err
	}
	in.taken, in.credit = in.taken+in.credit, 0 // it is of no use any more
	in.give = 0
	s.setWanted(0)
	s.table.settle(s)
	in.wait.signal()
}

func (s *stream) setWanted(n int64) {
	s.in.wanted = n
	s.in.hungry.Store(n > 0)
}

// ending returns what Send fails with when the handler has returned err; nil is none.
func ending(err error) error {
	if err == nil || err == io.EOF {
		return Errorf(FailedPrecondition, "%w", ErrStreamEnded)
	}
	return err
}
