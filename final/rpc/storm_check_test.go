package rpc_test

import (
	"bytes"
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// check is what holds after every step.
func (w *stormWorld) check() {
	for _, s := range w.all {
		if leased, most := rpc.Leased(s.Server); leased > most {
			w.fail("%d bytes are leased for params, of %d (WithParamsMemory)", leased, most)
		}
	}
	for _, u := range w.users {
		if u == nil || u.caller == nil {
			continue
		}
		if n := rpc.Waiting(u.caller); u.waiting > 0 && n > u.waiting {
			w.fail("%d calls wait, of %d (WithMaxWaiting)", n, u.waiting)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkCalmLocked()
	w.repliesStayLocked()
	now := time.Now()
	for _, c := range w.calls {
		if c.ended && rpc.CodeOf(c.err) == rpc.Unavailable && !rpc.NeverRan(c.err) && len(c.offers) == 0 && w.exact(c) {
			w.failLocked("call %d: no Write was given the request, and NeverRan is false of %v", c.id, c.err)
		}
		if !c.ended {
			w.lateLocked(&c.seededCall, now, modelSlack)
		}
	}
}

// checkCalmLocked: other callers' faults delay no calm one.
func (w *stormWorld) checkCalmLocked() {
	const soon = 2 * time.Second
	running := map[*stormUser]int{}
	for _, s := range w.all {
		for run := range s.running {
			c := run.call
			running[c.user]++
			if c.user.calm && c.do == "hang" && c.ended && time.Since(c.endedAt) > soon {
				w.failLocked("call %d of a calm caller has ended, and its handler's context has not", c.id)
			}
		}
	}
	for _, c := range w.calls {
		slots := w.hosts[firstOf(c.user.hosts)].slots
		if c.user.calm && !c.ended && c.runs == 0 && time.Since(c.begun) > soon && time.Since(c.user.freed) > soon && running[c.user] < slots {
			w.failLocked("call %d of a calm caller waits, and its server has room: %d of %d slots are taken", c.id, running[c.user], slots)
		}
	}
}

// handle is the handler of all methods.
func (w *stormWorld) handle(ctx context.Context, s *stormServer, req *modelRequest) (*modelReply, error) {
	run := w.enter(ctx, s, req)
	defer w.exit(s, run)
	c := run.call
	nap := time.Duration(1+req.ID%7) * 20 * time.Millisecond
	return c.handle(ctx, req, nap, func(err error) { w.handlerCancelled(c, err) })
}

// handlerCancelled checks that a calm caller has left.
func (w *stormWorld) handlerCancelled(c *stormCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.user.calm && c.cancelled.IsZero() && !c.timeUp(time.Now()) && !c.user.closed {
		w.failLocked("call %d: its handler's context ended (%v), and its caller, a calm one, waits", c.id, err)
	}
}

// enter checks what a handler sees when it begins.
func (w *stormWorld) enter(ctx context.Context, s *stormServer, req *modelRequest) *stormRun {
	peer, _ := rpc.PeerFrom(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calls[req.ID]
	if c == nil {
		w.failLocked("a handler runs for call %d, which was not made", req.ID)
	}
	run := &stormRun{c, peer.Addr.String()}
	s.running[run] = struct{}{}
	s.byConn[run.peer]++
	s.byHost[hostOf(run.peer)]++
	w.noteLocked("call %d runs on host %d for %v", req.ID, s.host, peer.Addr)
	h := w.hosts[s.host]
	w.runsLocked(ctx, &c.seededCall, req, c.user.attempts, h.handler)
	switch {
	case s.byConn[run.peer] > h.slots:
		w.failLocked("%d handlers run for one connection, of %d slots (WithMaxInFlight)", s.byConn[run.peer], h.slots)
	case h.handlers > 0 && len(s.running) > h.handlers:
		w.failLocked("%d handlers run on one server, of %d (WithMaxHandlers)", len(s.running), h.handlers)
	case h.peerCalls > 0 && s.byHost[hostOf(run.peer)] > mostOf(h.handlers, h.peerCalls):
		w.failLocked("%d handlers run for %s, of %d (WithPeerShare)", s.byHost[hostOf(run.peer)], hostOf(run.peer), h.handlers)
	}
	return run
}

// hostOf is the IP address of a peer, "" if it has none.
func hostOf(peer string) string {
	host, _, _ := net.SplitHostPort(peer)
	return host
}

func (w *stormWorld) exit(s *stormServer, run *stormRun) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(s.running, run)
	s.byConn[run.peer]--
	s.byHost[hostOf(run.peer)]--
	run.call.user.freed = time.Now()
	w.noteLocked("the handler of call %d ends", run.call.id)
}

// offered is told that a Write was given all of a request.
func (w *stormWorld) offered(conn *modelConn, id int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calls[id]
	if c == nil || w.opaque(c) {
		return
	}
	c.offers = append(c.offers, conn)
}

// sentLocked is told that the network has taken a whole request.
func (w *stormWorld) sentLocked(f *wire.Frame) {
	at := bytes.LastIndex(f.Payload, []byte("call-"))
	if at < 0 {
		return // compressed
	}
	text, _, _ := bytes.Cut(f.Payload[at+len("call-"):], []byte("."))
	id, _ := strconv.Atoi(string(text))
	c := w.calls[id]
	if c.sent++; c.sent > c.user.attempts {
		w.failLocked("call %d was sent %d times, of %d attempts (WithMaxAttempts)", id, c.sent, c.user.attempts)
	}
}

// opaque reports whether requests of a call cannot be seen on the network.
func (w *stormWorld) opaque(c *stormCall) bool { return w.stormProgram.net.tls || c.user.compress }

// exact reports whether it is known of a call that no Write was given it: on this network
// a batch with a large body is several Writes, and how many have begun is not known.
func (w *stormWorld) exact(c *stormCall) bool {
	return !w.opaque(c) && !slices.ContainsFunc(w.steps, func(s stormStep) bool { return s.caller == c.caller && s.bytes > 4<<10 })
}

// attemptDone checks each attempt: what it says of having run, and who pays for it.
func (w *stormWorld) attemptDone(ctx context.Context, u *stormUser, a rpc.Attempt) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.calls[ctx.Value(stormKey{}).(int)]
	c.attempts++
	w.noteLocked("call %d, attempt %d on %s: %v, NeverRan %v", c.id, a.Number, a.Addr, a.Err, rpc.NeverRan(a.Err))
	if a.Number != c.attempts {
		w.failLocked("call %d: attempt %d is told as %d", c.id, c.attempts, a.Number)
	}
	if a.Number > 1 && w.mustPay(c, u) {
		u.paid++
		if u.paid*100 > u.reserve*100+u.percent*u.answered {
			w.failLocked("caller %d has sent %d calls again, and %d were answered, of WithRetryBudget(%d, %d)", u.index, u.paid, u.answered, u.percent, u.reserve)
		}
	}
	if a.Err == nil || remoteAnswer(a.Err) {
		u.answered++
	}
	c.last = stormAttempt{err: a.Err}
	if n := len(c.offers); n > 0 && !rpc.NeverRan(a.Err) {
		c.last.age = time.Since(c.offers[n-1].made)
	}
}

// remoteAnswer reports whether an attempt may have been answered by a server that works.
func remoteAnswer(err error) bool {
	switch rpc.CodeOf(err) {
	case rpc.Unavailable, rpc.DeadlineExceeded, rpc.Canceled:
		return false
	}
	return !rpc.NeverRan(err)
}

// mustPay reports whether the budget certainly has to pay for the attempt after the
// last one: it was sent, was not refused by a go-away, and its connection was young.
func (w *stormWorld) mustPay(c *stormCall, u *stormUser) bool {
	return c.last.err != nil && !rpc.NeverRan(c.last.err) && c.last.age > 0 && c.last.age < u.backoffTo && !w.opaque(c)
}

// callEnded checks what a call has returned with.
func (w *stormWorld) callEnded(c *stormCall, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.endedLocked(&c.seededCall, err, now, modelSlack)
	if problem := c.judge(err, c.user.closed, func(code rpc.Code) string { return w.judge(c, code, now) }); problem != "" {
		w.failLocked("call %d, of which %d runs began and %d requests were sent: %s: %v", c.id, c.runs, c.sent, problem, err)
	}
}

// judge returns what is wrong with the error of a call, "" for nothing.
func (w *stormWorld) judge(c *stormCall, code rpc.Code, now time.Time) string {
	switch code {
	case rpc.DeadlineExceeded:
		return unless(c.timeUp(now) || w.handlerTimeUp(c, now), "DeadlineExceeded before the deadline")
	case rpc.ResourceExhausted:
		told := strings.Contains(c.err.Error(), ": "+modelToken(c.id))
		return unless(c.do == "refuse" && c.runs > 0 && told || w.tight(c.user), "a limit that was not reached")
	case rpc.Unavailable:
		return w.judgeUnavailable(c, c.err, now)
	}
	return "an error that nothing explains"
}

func (w *stormWorld) handlerTimeUp(c *stormCall, now time.Time) bool {
	for _, h := range w.hosts {
		if h.handler > 0 && !now.Before(c.begun.Add(h.handler)) {
			return true
		}
	}
	return false
}

// tight reports whether a server may have refused a call of u.
func (w *stormWorld) tight(u *stormUser) bool {
	for _, h := range w.hosts {
		if h.handlers > 0 || h.conns > 0 || h.params > 0 {
			return !u.calm
		}
	}
	return false
}

// judgeUnavailable is judge for Unavailable. What certainly never ran is tried again
// for as long as the options say.
func (w *stormWorld) judgeUnavailable(c *stormCall, err error, now time.Time) string {
	u, text := c.user, err.Error()
	waited := c.deadline.IsZero() && !now.Before(c.begun.Add(u.wait))
	left := !c.cancelled.IsZero() || !c.deadline.IsZero() && !now.Before(c.deadline)
	byOption := u.failFast || strings.Contains(text, "WithRetryBudget") || strings.Contains(text, "WithMaxWaiting")
	switch {
	case u.calm && !waited && !left && !(c.attempts >= u.attempts && w.retires(modelAddrOf(firstOf(u.hosts)))):
		return "a calm caller's call was lost"
	case u.kind == "NewClient":
		return ""
	case rpc.NeverRan(err) || c.again:
		return unless(waited || w.opaque(c) || c.attempts >= u.attempts || left || byOption, "it was not tried again")
	}
	return ""
}
