package rpc_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// seededWorld is what the worlds of programs and of storms share: what happened, which
// calls were made, and what is under way. A broken promise ends the process.
type seededWorld struct {
	title fmt.Stringer // the program or storm
	begun time.Time

	mu    sync.Mutex
	trace []string // what happened
	last  time.Time
	made  []*seededCall
	ends  []*modelEnd // Shutdowns and Closes
}

// modelEnd is a Shutdown or Close under way.
type modelEnd struct {
	what string
	done chan struct{}
}

func (w *seededWorld) fail(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked(format, args...)
}

// failLocked prints the broken promise, the program and what happened, and ends the
// process: goroutines that are left behind would fail the bubble, and hide why.
func (w *seededWorld) failLocked(format string, args ...any) {
	trace := w.trace
	if more := len(trace) - 300; more > 0 {
		trace = append([]string{fmt.Sprintf("%d lines before", more)}, trace[more:]...)
	}
	fmt.Printf("%v\nBROKEN: %s\nwhat happened:\n  %s\n", w.title, fmt.Sprintf(format, args...), strings.Join(trace, "\n  "))
	os.Exit(1)
}

// checkLocked fails with a problem, unless it is "".
func (w *seededWorld) checkLocked(problem string) {
	if problem != "" {
		w.failLocked("%s", problem)
	}
}

func (w *seededWorld) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(format, args...)
}

func (w *seededWorld) noteLocked(format string, args ...any) {
	w.last = time.Now()
	w.trace = append(w.trace, fmt.Sprintf("%12v  ", time.Since(w.begun))+fmt.Sprintf(format, args...))
}

// endLocked runs a Shutdown or Close, and checks that it waits for the handlers: running says
// how many there are.
func (w *seededWorld) endLocked(s *rpc.Server, what string, running func() int, waits bool, end func() error) {
	e := &modelEnd{what, make(chan struct{})}
	w.ends = append(w.ends, e)
	go func() {
		err := end()
		w.mu.Lock()
		defer w.mu.Unlock()
		w.noteLocked("%s returns: %v", what, err)
		if n := running(); (waits || err == nil) && n > 0 {
			w.failLocked("%s has returned (%v), and %d handlers run", what, err, n)
		}
		if state := s.State(); state != rpc.Closed {
			w.failLocked("%s has returned, and the server is in state %d", what, state)
		}
		close(e.done)
	}()
}

// underWayLocked returns what has not ended, "" for nothing.
func (w *seededWorld) underWayLocked() string {
	for _, c := range w.made {
		if !c.ended {
			return fmt.Sprintf("call %d does not end", c.id)
		}
	}
	for _, e := range w.ends {
		if !isDone(e.done) {
			return e.what + " does not return"
		}
	}
	return ""
}

// nothingIsLeft checks that there are no goroutines beyond so many, and no open connections.
func (w *seededWorld) nothingIsLeft(goroutines int, net *modelNet) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if runtime.NumGoroutine() > goroutines {
		// The count may still hold a goroutine that has just ended. It has no stack.
		if n, text := goroutinesBut(goroutines); n > 0 {
			w.failLocked("%d goroutines are left behind:\n%s", n, text)
		}
	}
	if n := net.openEnds(); n > 0 {
		w.failLocked("%d ends of connections were not closed", n)
	}
}

// goroutinesBut returns how many goroutines there are beyond so many, and the stacks of
// all. It leaves out those in which the runtime runs finalizers and cleanups: they
// come and go with the garbage collector.
func goroutinesBut(but int) (n int, text string) {
	stacks := make([]byte, 1<<20)
	text = string(stacks[:runtime.Stack(stacks, true)])
	for stack := range strings.SplitSeq(text, "\n\ngoroutine ") {
		if !strings.Contains(stack, "\nruntime.runCleanups(") && !strings.Contains(stack, "\nruntime.runFinalizers(") {
			n++
		}
	}
	return n - but, text
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// seededAsk is what is asked of a call.
type seededAsk struct {
	do    string // what the handler does
	bytes int
	limit time.Duration // the context's
	again bool          // it is idempotent
	fast  bool          // its method is NonBlocking
	async bool          // by Go
}

// seededCall is a call and how it ended.
type seededCall struct {
	seededAsk
	id       int
	begun    time.Time
	deadline time.Time // of the caller
	ctx      context.Context
	cancel   context.CancelFunc
	release  chan struct{}
	open     chan struct{} // closed when no handler waits any more
	reply    modelReply
	done     chan struct{}

	// The world's mu guards these.
	cancelled time.Time // zero: it was not
	released  bool
	ended     bool
	endedAt   time.Time
	err       error
	seen      modelReply // reply, when the call returned
	runs      int
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

// newSeededCall makes a call that [seededCall.begin] begins. ctx has no deadline.
func newSeededCall(ctx context.Context, id int, ask seededAsk, open chan struct{}) seededCall {
	c := seededCall{seededAsk: ask, id: id, begun: time.Now(), release: make(chan struct{}), open: open, done: make(chan struct{})}
	if ask.limit > 0 {
		c.deadline = c.begun.Add(ask.limit)
		c.ctx, c.cancel = context.WithDeadline(ctx, c.deadline)
	} else {
		c.ctx, c.cancel = context.WithCancel(ctx)
	}
	c.ctx = rpc.AddMetadata(c.ctx, rpc.Metadata{"mark": modelMark(id)})
	return c
}

// begin makes the call in a goroutine, which hands what it returns to ended.
func (w *seededWorld) begin(c *seededCall, caller modelCaller, service string, ended func(error)) {
	w.mu.Lock()
	w.made = append(w.made, c)
	w.mu.Unlock()
	ctx, method := c.ctx, service+".Call"
	if c.fast {
		method = service + ".Fast"
	}
	if c.again {
		ctx = rpc.MarkIdempotent(ctx, method)
	}
	req := &modelRequest{ID: c.id, Do: c.do, Payload: strings.Repeat("x", c.bytes), End: modelToken(c.id)}
	wait := func() error { return caller.Call(ctx, method, req, &c.reply) }
	if c.async {
		pending := caller.Go(ctx, method, req, &c.reply)
		*req = modelRequest{Do: "changed after Go"}
		wait = pending.Wait
	}
	go func() {
		ended(wait())
		close(c.done)
	}()
}

func (w *seededWorld) cancelCall(c *seededCall) {
	w.mu.Lock()
	if !c.ended && c.cancelled.IsZero() { // else it is too late to count
		c.cancelled = time.Now()
	}
	w.mu.Unlock()
	c.cancel()
}

func (w *seededWorld) releaseCall(c *seededCall) {
	if !c.released {
		c.released = true
		close(c.release)
	}
}

// handle does in the handler what is asked of the call. If the handler's context ends
// while it looks at that, left is told.
func (c *seededCall) handle(ctx context.Context, req *modelRequest, nap time.Duration, left func(error)) (*modelReply, error) {
	switch req.Do {
	case "hang":
		select {
		case <-ctx.Done():
			left(ctx.Err())
			return nil, ctx.Err()
		case <-c.release:
		case <-c.open:
		}
	case "deaf":
		select {
		case <-c.release:
		case <-c.open:
		}
	case "sleep":
		timer := time.NewTimer(nap)
		defer timer.Stop()
		<-timer.C
	case "panic":
		panic("planned")
	case "goexit":
		runtime.Goexit()
	case "echo":
	case "fail":
		return nil, rpc.Errorf(rpc.FailedPrecondition, "%s", req.End)
	case "refuse":
		return nil, rpc.Errorf(rpc.ResourceExhausted, "%s", req.End).WithDetail(rpc.RetryAfterDetail, "50")
	default:
		panic("not planned: " + req.Do)
	}
	return &modelReply{ID: req.ID, Payload: req.Payload, End: req.End}, nil
}

// runsLocked counts a run that begins, and checks what its handler is given. limit is
// WithHandlerTimeout.
func (w *seededWorld) runsLocked(ctx context.Context, c *seededCall, req *modelRequest, attempts int, limit time.Duration) {
	c.runs++
	mark := rpc.MetadataFrom(ctx)["mark"]
	deadline, bounded := ctx.Deadline()
	switch {
	case req.End != modelToken(c.id) || req.Do != c.do || len(req.Payload) != c.bytes || mark != modelMark(c.id):
		w.failLocked("call %d: the handler got other params: %.200v, metadata %v", c.id, req, mark)
	case c.runs > 1 && !c.again:
		w.failLocked("call %d ran %d times", c.id, c.runs)
	case c.runs > attempts:
		w.failLocked("call %d ran %d times, of %d attempts (WithMaxAttempts)", c.id, c.runs, attempts)
	case c.ended && rpc.NeverRan(c.err):
		w.failLocked("call %d runs, and NeverRan was true of %v", c.id, c.err)
	case bounded != (!c.deadline.IsZero() || limit > 0):
		w.failLocked("call %d: the handler has a deadline: %v", c.id, bounded)
	case bounded && limit == 0 && deadline.Before(c.deadline.Add(-time.Millisecond)):
		w.failLocked("call %d: the handler's deadline is %v before its caller's", c.id, c.deadline.Sub(deadline))
	}
}

// timeUp reports whether the call's deadline has passed, or passes now.
func (c *seededCall) timeUp(now time.Time) bool {
	return !c.deadline.IsZero() && !now.Before(c.deadline.Add(-time.Millisecond))
}

// lateLocked checks that a call does not last longer than its context.
func (w *seededWorld) lateLocked(c *seededCall, now time.Time, slack time.Duration) {
	switch {
	case !c.deadline.IsZero() && now.After(c.deadline.Add(slack)):
		w.failLocked("call %d ended %v after its deadline, or has not ended: %v", c.id, now.Sub(c.deadline), c.ended)
	case !c.cancelled.IsZero() && now.After(c.cancelled.Add(slack)):
		w.failLocked("call %d ended %v after it was cancelled, or has not ended: %v", c.id, now.Sub(c.cancelled), c.ended)
	}
}

// endedLocked notes what a call has returned with, and checks what holds of all.
func (w *seededWorld) endedLocked(c *seededCall, err error, now time.Time, slack time.Duration) {
	w.noteLocked("call %d ends: %v, NeverRan %v", c.id, err, rpc.NeverRan(err))
	if c.ended {
		w.failLocked("call %d ended twice", c.id)
	}
	c.ended, c.endedAt, c.err, c.seen = true, now, err, c.reply
	w.lateLocked(c, now, slack)
	switch {
	case rpc.NeverRan(err) && c.runs > 0:
		w.failLocked("call %d ran, and NeverRan is true of %v", c.id, err)
	case err != nil && c.reply != modelReply{}:
		w.failLocked("call %d failed and has a reply: %.200v", c.id, c.reply)
	case err != nil && strings.Contains(err.Error(), "protocol"):
		w.failLocked("call %d: %v", c.id, err)
	}
}

// repliesStayLocked: nothing changes a reply after its call has returned.
func (w *seededWorld) repliesStayLocked() {
	for _, c := range w.made {
		if c.ended && c.reply != c.seen {
			w.failLocked("call %d: its reply was changed after it returned", c.id)
		}
	}
}

// judge returns what is wrong with how a call ended, "" for nothing. closed says that its
// caller is. Other codes are judged by the world: see others.
func (c *seededCall) judge(err error, closed bool, others func(rpc.Code) string) string {
	answers := slices.Contains([]string{"echo", "hang", "deaf", "sleep"}, c.do)
	switch code := rpc.CodeOf(err); code {
	case rpc.OK:
		good := answers && c.runs > 0 && c.reply.ID == c.id && c.reply.End == modelToken(c.id) && len(c.reply.Payload) == c.bytes
		return unless(good, "a wrong reply")
	case rpc.FailedPrecondition:
		return unless(c.do == "fail" && c.runs > 0 && strings.HasSuffix(err.Error(), ": "+modelToken(c.id)), "a wrong error")
	case rpc.Internal:
		return unless((c.do == "panic" || c.do == "goexit") && c.runs > 0, "Internal without a panic")
	case rpc.Canceled:
		return unless(!c.cancelled.IsZero() || closed, "Canceled, and it was not")
	default:
		return others(code)
	}
}

func unless(good bool, problem string) string {
	if good {
		return ""
	}
	return problem
}
