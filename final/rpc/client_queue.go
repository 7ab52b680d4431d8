package rpc

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// callQueue holds the calls that wait for a slot on a connection: on one that is
// being made, or on one that is full. First come, first served. Another one holds the
// opens of streams, which wait for a slot of theirs.
type callQueue struct {
	n     atomic.Int32  // how many wait, to be read without mu
	limit *waitingLimit // of all queues of a group

	mu    sync.Mutex // taken last: under a connection's lock
	calls list.List  // of *waitingCall
	pings int        // of these

	pushed uint64 // how many calls were, in all

	// The last call of those at the front that have all tried the member: a
	// connection with free slots asks at each reply, and looks at each call once.
	refused map[*Client]*waitingCall
}

// waitingLimit is how many calls may wait, in whatever queue.
type waitingLimit struct {
	most int64
	n    atomic.Int64
}

// waitingCall is a call in the queue. The goroutine that takes it out sets conn or
// outcome, and then closes done.
type waitingCall struct {
	done    chan struct{}
	elem    *list.Element // nil once it is out; guarded by the queue's mu
	number  uint64        // the queue's pushed, with this one
	conn    *clientConn   // has taken a slot for it
	probe   bool          // its outcome decides the probe of conn's server
	outcome waitOutcome

	needs hope      // the least for which it waits
	tried []*Client // which it does not go back to
	ends  []*Client // those for which the queue's refused leads here; guarded by the queue's mu
	ping  bool      // needs no slot
	once  bool      // waits for one attempt to connect

	stream bool  // is an open, in the queue of those
	params int64 // bytes, for which it needs room, too: in the crowd; 0 in the other queues
}

// waitOutcome says why a call was taken out of the queue.
type waitOutcome uint8

const (
	slotTaken  waitOutcome = iota
	dismissed              // there is less hope than it needs
	nobodyElse             // there is no member left that it has not tried
)

// hope is what a call that waits can expect of a member, the most it can expect last.
type hope uint8

const (
	hopeNone       hope = iota // the server refuses this client, or all is closed
	hopeLater                  // the last attempt to connect failed, and the next may not
	hopeFull                   // it is connected and has no free slot
	hopeConnecting             // an attempt to connect is under way
)

// push adds w. It returns false if too many wait.
func (q *callQueue) push(w *waitingCall) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.limit.n.Add(1) > q.limit.most {
		q.limit.n.Add(-1)
		return false
	}
	q.pushed++
	w.number = q.pushed
	w.elem = q.calls.PushBack(w)
	if w.ping {
		q.pings++
	}
	q.n.Store(int32(q.calls.Len()))
	return true
}

// pop takes out the first call that member can take, and with it the probe of
// member's server if that is due. Without a free slot it looks for pings alone: a
// full connection is asked at each reply, and the queue may be long. A call that needs
// more room than there is lets those behind it wait, too.
func (q *callQueue) pop(member *Client, free bool, room *paramsRoom) *waitingCall {
	q.mu.Lock()
	defer q.mu.Unlock()
	last := q.refused[member]
	defer func() { q.refusedUpToLocked(member, last) }()
	for e := q.afterLocked(last); e != nil && (free || q.pings > 0); e = e.Next() {
		w := e.Value.(*waitingCall)
		switch {
		case w.ping:
		case !free:
			continue
		case slices.Contains(w.tried, member):
			last = w
			continue
		case !room.fits(w.params):
			return nil
		default:
			if free, w.probe = member.mayTake(); !free {
				continue
			}
		}
		q.removeLocked(w)
		return w
	}
	return nil
}

// afterLocked returns the element after w's, or the first one for nil.
func (q *callQueue) afterLocked(w *waitingCall) *list.Element {
	if w == nil {
		return q.calls.Front()
	}
	return w.elem.Next()
}

// refusedUpToLocked notes that last and all calls before it have tried member.
func (q *callQueue) refusedUpToLocked(member *Client, last *waitingCall) {
	before := q.refused[member]
	if before == last {
		return
	}
	if before != nil {
		before.ends = slices.DeleteFunc(before.ends, func(c *Client) bool { return c == member })
	}
	if last == nil {
		delete(q.refused, member)
		return
	}
	if q.refused == nil {
		q.refused = map[*Client]*waitingCall{}
	}
	q.refused[member] = last
	last.ends = append(last.ends, member)
}

// remove takes w out. It returns false if it was out already.
func (q *callQueue) remove(w *waitingCall) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.elem == nil {
		return false
	}
	q.removeLocked(w)
	return true
}

func (q *callQueue) removeLocked(w *waitingCall) {
	for len(w.ends) > 0 {
		var before *waitingCall
		if e := w.elem.Prev(); e != nil {
			before = e.Value.(*waitingCall)
		}
		q.refusedUpToLocked(w.ends[0], before)
	}
	q.calls.Remove(w.elem)
	w.elem = nil
	q.limit.n.Add(-1)
	if w.ping {
		q.pings--
	}
	q.n.Store(int32(q.calls.Len()))
}

// latest returns the number of the call that was pushed last.
func (q *callQueue) latest() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.pushed
}

// dismiss takes out the calls that wait in vain: those that need more hope than
// there is, and those that have tried every member. It leaves calls after number upTo.
func (q *callQueue) dismiss(most hope, upTo uint64, nobodyFor func(tried []*Client) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for e := q.calls.Front(); e != nil; {
		w := e.Value.(*waitingCall)
		e = e.Next()
		if w.number <= upTo && w.inVain(most, nobodyFor) {
			q.removeLocked(w)
			close(w.done)
		}
	}
}

// reconsider is dismiss for one call.
func (q *callQueue) reconsider(w *waitingCall, most hope, nobodyFor func(tried []*Client) bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if w.elem != nil && w.inVain(most, nobodyFor) {
		q.removeLocked(w)
		close(w.done)
	}
}

// inVain reports whether w need not wait, and sets its outcome.
func (w *waitingCall) inVain(most hope, nobodyFor func(tried []*Client) bool) bool {
	switch {
	case w.needs > most:
		w.outcome = dismissed
	case len(w.tried) > 0 && nobodyFor(w.tried):
		w.outcome = nobodyElse
	default:
		return false
	}
	return true
}

// await waits until w is taken out, its context has ended or the time is up; 0 is no bound.
// It returns false if w has no outcome.
func (q *callQueue) await(w *waitingCall, ended <-chan struct{}, limit time.Duration) bool {
	var timeUp <-chan time.Time // nil: never
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		timeUp = timer.C
	}
	select {
	case <-w.done:
	case <-ended:
	case <-timeUp:
	}
	if q.remove(w) {
		return false
	}
	<-w.done // it has been taken out just now, and its outcome is being written
	return true
}
