package rpc_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// modelWorld is what a program runs in, and what is known of it: what each call may
// end with, how often it ran, who is running. A broken promise ends the process.
type modelWorld struct {
	*modelProgram
	net    *modelNet
	tcp    *modelTCP // in its place; nil in a bubble
	client modelCaller
	open   chan struct{} // closed when no handler waits any more
	begun  time.Time

	mu      sync.Mutex
	calls   map[int]*modelCall
	hosts   []*modelServer // now, by address
	all     []*modelServer // ever
	ends    []*modelEnd    // Shutdowns and Closes
	listed  int            // the set of servers that the pool knows
	update  func(addrs []string)
	closed  bool     // the caller is
	stalled bool     // now, in any direction
	stalls  bool     // there was a stall
	trace   []string // what happened
	last    time.Time
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

// modelEnd is a Shutdown or Close under way.
type modelEnd struct {
	what string
	done chan struct{}
}

// modelCall is a call and how it ended.
type modelCall struct {
	modelOp
	begun     time.Time
	deadline  time.Time
	cancel    context.CancelFunc
	release   chan struct{}
	reply     modelReply
	done      chan struct{}
	cancelled time.Time // zero: it was not
	released  bool
	ended     bool
	err       error
	seen      modelReply // reply, when the call returned
	runs      int
	offers    int // connections of which a Write was given all of the request
}

type (
	modelRequest struct {
		ID      int
		Do      string
		Payload string
		End     string // last: a Write that was given it was given all of the request
	}
	modelReply struct {
		ID      int
		Payload string
		End     string
	}
)

func modelToken(id int) string { return fmt.Sprintf("call-%d.", id) }

// modelMark is what a request has in its metadata, which are before the params.
func modelMark(id int) string { return fmt.Sprintf("mark-%d.", id) }

// modelSlack is how late a call may end: a sender may be held up by a peer that
// does not read, and a caller that reads by a reply that does not come.
const modelSlack = 5 * time.Millisecond

// failLocked prints the broken promise and ends the process: goroutines that are
// left behind would fail the bubble, and hide why.
func (w *modelWorld) failLocked(format string, args ...any) {
	fmt.Printf("%v\nBROKEN: %s\nwhat happened:\n  %s\n", w.modelProgram, fmt.Sprintf(format, args...), strings.Join(w.trace, "\n  "))
	os.Exit(1)
}

func (w *modelWorld) noteLocked(format string, args ...any) {
	w.last = time.Now()
	w.trace = append(w.trace, fmt.Sprintf("%10v  ", time.Since(w.begun))+fmt.Sprintf(format, args...))
}

// handle is the handler of all methods.
func (w *modelWorld) handle(ctx context.Context, s *modelServer, req *modelRequest) (*modelReply, error) {
	run := w.enter(ctx, s, req)
	defer w.leave(s, run)
	c := run.call
	switch req.Do {
	case "hang":
		select {
		case <-ctx.Done():
			w.handlerCancelled(c, ctx.Err())
			return nil, ctx.Err()
		case <-c.release:
		case <-w.open:
		}
	case "deaf":
		select {
		case <-c.release:
		case <-w.open:
		}
	case "sleep":
		timer := time.NewTimer(20 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
	case "panic":
		panic("planned")
	case "goexit":
		runtime.Goexit()
	case "echo":
	case "fail":
		return nil, rpc.Errorf(rpc.FailedPrecondition, "%s", req.End)
	default:
		panic("not planned: " + req.Do)
	}
	return &modelReply{ID: req.ID, Payload: req.Payload, End: req.End}, nil
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
	c.runs++
	w.noteLocked("call %d runs on %s for %v", req.ID, s.addr, peer.Addr)
	want := modelToken(req.ID)
	switch {
	case req.End != want || req.Do != c.do || len(req.Payload) != c.n || rpc.MetadataFrom(ctx)["mark"] != modelMark(req.ID):
		w.failLocked("call %d: the handler got other params: %+v, metadata %v", req.ID, req, rpc.MetadataFrom(ctx))
	case c.runs > 1 && !c.again:
		w.failLocked("call %d ran %d times", req.ID, c.runs)
	case c.runs > 4:
		w.failLocked("call %d ran %d times, of 4 attempts (WithMaxAttempts)", req.ID, c.runs)
	case c.ended && rpc.NeverRan(c.err):
		w.failLocked("call %d runs, and NeverRan was true of %v", req.ID, c.err)
	case s.byConn[peer.Addr.String()] > w.slots:
		w.failLocked("%d handlers run for one connection, of %d slots (WithMaxInFlight)", s.byConn[peer.Addr.String()], w.slots)
	case len(s.running) > w.handlers:
		w.failLocked("%d handlers run on one server (WithMaxHandlers)", len(s.running))
	case bounded != !c.deadline.IsZero():
		w.failLocked("call %d: the handler has a deadline: %v, its caller: %v", req.ID, bounded, !bounded)
	case bounded && deadline.Before(c.deadline.Add(-time.Millisecond)):
		w.failLocked("call %d: the handler's deadline is %v before its caller's", req.ID, c.deadline.Sub(deadline))
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
	w.noteLocked("the handler of call %d ends", run.call.index)
}

// handlerCancelled checks that the caller has left, or the connection has.
func (w *modelWorld) handlerCancelled(c *modelCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	timeUp := !c.deadline.IsZero() && !time.Now().Before(c.deadline.Add(-time.Millisecond))
	if c.cancelled.IsZero() && !timeUp && !w.closed && w.class != modelRough {
		w.failLocked("call %d: its handler's context ended (%v), and its caller waits", c.index, err)
	}
}

// callEnded checks what a call has returned with.
func (w *modelWorld) callEnded(c *modelCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.noteLocked("call %d ends: %v, NeverRan %v", c.index, err, rpc.NeverRan(err))
	if c.ended {
		w.failLocked("call %d ended twice", c.index)
	}
	c.ended, c.err, c.seen = true, err, c.reply
	slack := modelSlack
	if w.tcp != nil {
		slack = 10 * time.Second
	}
	switch {
	case !c.deadline.IsZero() && now.After(c.deadline.Add(slack)):
		w.failLocked("call %d ended %v after its deadline", c.index, now.Sub(c.deadline))
	case !c.cancelled.IsZero() && now.After(c.cancelled.Add(slack)):
		w.failLocked("call %d ended %v after it was cancelled", c.index, now.Sub(c.cancelled))
	case rpc.NeverRan(err) && c.runs > 0:
		w.failLocked("call %d ran, and NeverRan is true of %v", c.index, err)
	case err != nil && c.reply != modelReply{}:
		w.failLocked("call %d failed and has a reply: %+v", c.index, c.reply)
	case err != nil && strings.Contains(err.Error(), "protocol"):
		w.failLocked("call %d: %v", c.index, err)
	}
	if problem := w.judge(c, err, now); problem != "" {
		w.failLocked("call %d, of which %d runs began and %d connections were given the request: %s: %v", c.index, c.runs, c.offers, problem, err)
	}
}

// judge returns what is wrong with how a call ended, "" for nothing.
func (w *modelWorld) judge(c *modelCall, err error, now time.Time) string {
	answers := c.do == "echo" || c.do == "hang" || c.do == "deaf" || c.do == "sleep"
	timeUp := !c.deadline.IsZero() && !now.Before(c.deadline.Add(-time.Millisecond))
	switch rpc.CodeOf(err) {
	case rpc.OK:
		good := answers && c.runs > 0 && c.reply.ID == c.index && c.reply.End == modelToken(c.index) && len(c.reply.Payload) == c.n
		return unless(good, "a wrong reply")
	case rpc.FailedPrecondition:
		return unless(c.do == "fail" && c.runs > 0 && strings.HasSuffix(err.Error(), ": "+modelToken(c.index)), "a wrong error")
	case rpc.Internal:
		return unless((c.do == "panic" || c.do == "goexit") && c.runs > 0, "Internal without a panic")
	case rpc.Canceled:
		return unless(!c.cancelled.IsZero() || w.closed, "Canceled, and it was not")
	case rpc.DeadlineExceeded:
		return unless(timeUp, "DeadlineExceeded before the deadline")
	case rpc.ResourceExhausted:
		return unless(w.tight() && (rpc.NeverRan(err) || c.again), "a limit that was not reached, or it ran")
	case rpc.Unavailable:
		return w.judgeUnavailable(c, err, now)
	}
	return "an error that nothing explains"
}

func unless(good bool, problem string) string {
	if good {
		return ""
	}
	return problem
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
	for _, c := range w.calls {
		if c.ended && c.reply != c.seen {
			w.failLocked("call %d: its reply was changed after it returned", c.index)
		}
	}
}

// checkHandlersLocked: a handler that looks at its context ends soon after its caller has left.
func (w *modelWorld) checkHandlersLocked() {
	if w.stalled || w.tcp != nil {
		return
	}
	for _, s := range w.all {
		for run := range s.running {
			if c := run.call; c.do == "hang" && c.ended && time.Now().After(c.end().Add(w.transitLocked())) {
				w.failLocked("call %d has ended, and its handler's context has not", c.index)
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
				w.failLocked("call %d waits, and server %d has room: %d of %d slots are taken", c.index, i, len(s.running), w.slots)
			}
		}
	}
}

// serverEnds runs a Shutdown or Close, and checks that it waits for the handlers.
func (w *modelWorld) serverEnds(s *modelServer, what string, waits bool, end func() error) {
	e := &modelEnd{what + " of " + s.addr, make(chan struct{})}
	s.up = false
	w.ends = append(w.ends, e)
	go func() {
		err := end()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.noteLocked("%s of %s returns: %v", what, s.addr, err)
		if (waits || err == nil) && len(s.running) > 0 {
			w.failLocked("%s of %s has returned (%v), and %d handlers run", what, s.addr, err, len(s.running))
		}
		if s.State() != rpc.Closed {
			w.failLocked("%s of %s has returned, and the server is in state %d", what, s.addr, s.State())
		}
		close(e.done)
	}()
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
