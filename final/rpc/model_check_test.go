package rpc_test

import (
	"context"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// modelWorld is what a program runs in, and what is known of it: what each call may
// end with, how often it ran, who is running. A broken promise ends the process.
type modelWorld struct {
	*modelProgram
	seededWorld
	net    *modelNet
	tcp    *modelTCP // in its place; nil in a bubble
	client modelCaller
	open   chan struct{} // closed when no handler waits any more

	// mu guards these, too.
	calls   map[int]*modelCall
	hosts   []*modelServer // now, by address
	all     []*modelServer // ever
	listed  int            // the set of servers that the pool knows
	update  func(addrs []string)
	closed  bool // the caller is
	stalled bool // now, in any direction
	stalls  bool // there was a stall
}

// modelCaller is a Client or a Pool.
type modelCaller interface {
	rpc.Caller
	Go(ctx context.Context, method string, params, reply any) *rpc.Pending
	Close() error
}

// modelServer is one server at an address; after it another one may take its place.
type modelServer struct {
	*rpc.Server
	addr    string
	up      bool
	running map[*modelRun]struct{}
	byConn  map[string]int
}

// modelRun is a handler that runs.
type modelRun struct {
	call *modelCall
	ctx  context.Context
}

// modelCall is a call of a program.
type modelCall struct {
	seededCall
	offers int // connections of which a Write was given all of the request
}

// handle is the handler of all methods.
func (w *modelWorld) handle(ctx context.Context, s *modelServer, req *modelRequest) (*modelReply, error) {
	run := w.enter(ctx, s, req)
	defer w.leave(s, run)
	c := run.call
	return c.handle(ctx, req, 20*time.Millisecond, func(err error) { w.handlerCancelled(c, err) })
}

// enter checks what a handler sees when it begins.
func (w *modelWorld) enter(ctx context.Context, s *modelServer, req *modelRequest) *modelRun {
	peer, _ := rpc.PeerFrom(ctx)
	deadline, bounded := ctx.Deadline()
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calls[req.ID]
	run := &modelRun{c, ctx}
	s.running[run] = struct{}{}
	s.byConn[peer.Addr.String()]++
	w.noteLocked("call %d runs on %s for %v", req.ID, s.addr, peer.Addr)
	w.runsLocked(ctx, &c.seededCall, req, 4, 0) // WithMaxAttempts' default
	switch {
	case s.byConn[peer.Addr.String()] > w.slots:
		w.failLocked("%d handlers run for one connection, of %d slots (WithMaxInFlight)", s.byConn[peer.Addr.String()], w.slots)
	case len(s.running) > w.handlers:
		w.failLocked("%d handlers run on one server (WithMaxHandlers)", len(s.running))
	case bounded && !w.stalls && w.tcp == nil && deadline.After(c.deadline.Add(w.transitLocked())):
		w.failLocked("call %d: the handler's deadline is %v after its caller's", req.ID, deadline.Sub(c.deadline))
	}
	return run
}

// transitLocked is how long a request may be on its way and wait for the reader: a
// NonBlocking method that blocks costs its connection some milliseconds.
func (w *modelWorld) transitLocked() time.Duration {
	most := 10*w.latency + 2*time.Millisecond
	if w.big {
		most += time.Second
	}
	for _, c := range w.calls {
		if c.fast {
			most += 3 * time.Millisecond
		}
	}
	return most
}

func (w *modelWorld) leave(s *modelServer, run *modelRun) {
	peer, _ := rpc.PeerFrom(run.ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(s.running, run)
	s.byConn[peer.Addr.String()]--
	w.noteLocked("the handler of call %d ends", run.call.id)
}

// handlerCancelled checks that the caller has left, or the connection has.
func (w *modelWorld) handlerCancelled(c *modelCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.cancelled.IsZero() && !c.timeUp(time.Now()) && !w.closed && w.class != modelRough {
		w.failLocked("call %d: its handler's context ended (%v), and its caller waits", c.id, err)
	}
}

// callEnded checks what a call has returned with.
func (w *modelWorld) callEnded(c *modelCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	slack := modelSlack
	if w.tcp != nil {
		slack = 10 * time.Second
	}
	w.endedLocked(&c.seededCall, err, now, slack)
	if problem := c.judge(err, w.closed, func(code rpc.Code) string { return w.judge(c, code, now) }); problem != "" {
		w.failLocked("call %d, of which %d runs began and %d connections were given the request: %s: %v", c.id, c.runs, c.offers, problem, err)
	}
}

// judge returns what is wrong with the error of a call, "" for nothing.
func (w *modelWorld) judge(c *modelCall, code rpc.Code, now time.Time) string {
	switch code {
	case rpc.DeadlineExceeded:
		return unless(c.timeUp(now), "DeadlineExceeded before the deadline")
	case rpc.ResourceExhausted:
		return unless(w.tight() && (rpc.NeverRan(c.err) || c.again), "a limit that was not reached, or it ran")
	case rpc.Unavailable:
		return w.judgeUnavailable(c, c.err, now)
	}
	return "an error that nothing explains"
}

// judgeUnavailable is judge for Unavailable. What certainly never ran is tried again
// until the call's deadline or WithMaxWait. A call that runs is lost only by force.
func (w *modelWorld) judgeUnavailable(c *modelCall, err error, now time.Time) string {
	waited := c.deadline.IsZero() && !now.Before(c.begun.Add(modelMaxWait))
	left := !c.cancelled.IsZero() || !c.deadline.IsZero() && !now.Before(c.deadline)
	attempts := w.opaque() || c.offers >= 4
	// A Write may have been about to be given it, but for quiet. With big bodies a
	// batch is several Writes, and how many have begun is not known of a broken one.
	exact := w.quiet && !w.big || w.class != modelRough
	switch {
	case !w.opaque() && c.offers == 0 && !rpc.NeverRan(err) && exact:
		return "no Write was given the request, and NeverRan is false"
	case w.class != modelRough && !rpc.NeverRan(err):
		return "it was lost without force"
	case w.caller == "NewClient":
		return unless(w.class == modelRough, "lost without force")
	case rpc.NeverRan(err) || c.again:
		return unless(waited || attempts || left, "it was not tried again")
	}
	return ""
}

// settle lets everything happen that can, and checks what must have.
func (w *modelWorld) settle() {
	w.advance(w.quietTime())
	w.mu.Lock()
	defer w.mu.Unlock()
	for range 20 { // a deadline may have passed just now
		if time.Since(w.last) >= w.quietTime() {
			break
		}
		w.mu.Unlock()
		w.advance(w.quietTime())
		w.mu.Lock()
	}
	w.checkHandlersLocked()
	w.checkWaitingLocked()
	w.repliesStayLocked()
}

// checkHandlersLocked: a handler that looks at its context ends soon after its caller has left.
func (w *modelWorld) checkHandlersLocked() {
	if w.stalled || w.tcp != nil {
		return
	}
	for _, s := range w.all {
		for run := range s.running {
			if c := run.call; c.do == "hang" && c.ended && time.Now().After(c.end().Add(w.transitLocked())) {
				w.failLocked("call %d has ended, and its handler's context has not", c.id)
			}
		}
	}
}

// end is when the call's context ended, or later.
func (c *modelCall) end() time.Time {
	if !c.cancelled.IsZero() {
		return c.cancelled
	}
	return c.deadline
}

// checkWaitingLocked: no call waits while a server has room for it.
func (w *modelWorld) checkWaitingLocked() {
	if w.class == modelRough || w.tcp != nil || w.eject || w.tight() || w.closed {
		return
	}
	for i, s := range w.hosts {
		if !s.up || w.listed&(1<<i) == 0 || len(s.running) >= w.slots {
			continue
		}
		for _, c := range w.calls {
			if !c.ended && c.runs == 0 {
				w.failLocked("call %d waits, and server %d has room: %d of %d slots are taken", c.id, i, len(s.running), w.slots)
			}
		}
	}
}

// serverEnds runs a Shutdown or Close, and checks that it waits for the handlers.
func (w *modelWorld) serverEnds(s *modelServer, what string, waits bool, end func() error) {
	s.up = false
	w.endLocked(s.Server, what+" of "+s.addr, func() int { return len(s.running) }, waits, end)
}
