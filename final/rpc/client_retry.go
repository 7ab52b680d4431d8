package rpc

import (
	"context"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// tries is the state of a call between its attempts.
type tries struct {
	written    int // requests handed to Write
	mayHaveRun bool
	number     int           // attempts, written or not, for observers
	failed     error         // what the last of them ended with
	paid       int           // attempts that the budget has paid for
	probe      bool          // the attempt under way decides the probe of its server
	waited     time.Duration // for a slot, without a deadline
	stream     bool          // it is an open, which needs a stream slot
	params     int64         // bytes that have had no room: the connection keeps that for them

	// A round is over when each server that can take the call has been tried.
	tried  []*Client
	asked  []askedPause // that are not over
	rested bool         // one was made
}

// mayGoOn notes that a call failed with err on c, and reports whether it may be
// tried again.
func (g *group) mayGoOn(ctx context.Context, t *tries, method string, c *Client, err error) bool {
	t.mayHaveRun = t.mayHaveRun || !NeverRan(err)
	if isAttempt(err) {
		t.written++
	}
	t.tried = append(t.tried, c)
	g.tryNoMore(t, c.server)
	pause, asked := askedToWait(ctx, method, err)
	if asked {
		t.asked = append(t.asked, askedPause{c.server, pause, time.Now().Add(pause), err})
	}
	switch {
	case ctx.Err() != nil || t.written >= g.options.maxAttempts:
		return false
	case asked:
		return true
	case mayRetry(ctx, method, err):
		return c.fixed == nil // else there is no other connection
	}
	return mayTryElsewhere(err) && !g.nobodyBut(t.tried)
}

// payAgain takes what sending a call again costs from the budget, and makes the pause
// before that. It returns what the call fails with if that is not to be.
func (g *group) payAgain(ctx context.Context, t *tries, failed error) error {
	e := toError(failed)
	if !isAttempt(failed) || e.unpaid {
		return nil
	}
	if !g.budget.take() {
		e = e.clone()
		e.Message += "; not sent again: the retry budget is used up (WithRetryBudget)"
		return e
	}
	t.paid++
	if n := len(t.asked); n > 0 && t.asked[n-1].err == failed {
		return nil // the server has said how long to wait, and another may take the call at once
	}
	o := g.options
	return g.rest(ctx, o.chance.backoff(o.backoffMin, o.backoffMax, t.paid-1), nil)
}

// lastAttempt reports whether the attempt to come is the last one, and a server has
// asked for a pause that the call has not made: then it is made after a pause, where
// it may be of use.
func (g *group) lastAttempt(t *tries) bool {
	return len(t.asked) > 0 && !t.rested && t.written == g.options.maxAttempts-1
}

// askedPause is a pause that a server has asked for, when it is over, and the error
// that asked.
type askedPause struct {
	server *serverHealth
	pause  time.Duration
	over   time.Time
	err    error
}

// tryNoMore notes that all connections to this server have been tried.
func (g *group) tryNoMore(t *tries, server *serverHealth) {
	for _, member := range *g.members.Load() {
		if member.server == server && !slices.Contains(t.tried, member) {
			t.tried = append(t.tried, member)
		}
	}
}

// nextRound begins another round, after the shortest pause that a server asked for;
// those whose pause is longer stay out of it.
func (g *group) nextRound(ctx context.Context, t *tries) error {
	t.tried = nil
	if len(t.asked) == 0 {
		return nil
	}
	first := slices.MinFunc(t.asked, func(a, b askedPause) int { return a.over.Compare(b.over) })
	if most := g.options.maxRetryAfter; most <= 0 || first.pause > most {
		return first.err
	}
	left := max(time.Until(first.over), 0)
	if err := g.rest(ctx, left+time.Duration(g.options.chance.upTo(int64(left/4+1))), first.err); err != nil {
		return err
	}
	t.rested = true
	now := time.Now()
	t.asked = slices.DeleteFunc(t.asked, func(p askedPause) bool { return !p.over.After(now) })
	for _, p := range t.asked {
		g.tryNoMore(t, p.server)
	}
	return nil
}

// rest waits. If ctx or the group ends first, it returns what the call fails with: if
// that is certain from the beginning, at once and with refused.
func (g *group) rest(ctx context.Context, pause time.Duration, refused error) error {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= pause {
		return refused
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return unrun(contextError(ctxError(ctx)))
	case <-g.ended:
		return unrun(Errorf(Canceled, "%w", ErrClientClosed))
	}
}

// afterAttempts returns the error of a call whose last attempt failed with err.
// That one may never have run, and an earlier one all the same have done so.
func afterAttempts(err error, mayHaveRun bool) error {
	if mayHaveRun {
		return ran(err)
	}
	return err
}

// mayRetry reports whether a call that failed with err may be tried again: it
// never ran or does no harm twice, and the reason is one that may pass.
func mayRetry(ctx context.Context, method string, err error) bool {
	if causes.Is(err, ErrClientClosed) || CodeOf(err) != Unavailable {
		return false
	}
	if NeverRan(err) {
		return true
	}
	e, found := causes.Find[*Error](err)
	lost := found && !e.remote // a handler may also say Unavailable: it has run
	return lost && mayRepeat(ctx, method)
}

// askedToWait reports whether the call that failed with err may be tried again
// after a pause that the server asked for.
func askedToWait(ctx context.Context, method string, err error) (time.Duration, bool) {
	if code := CodeOf(err); code != ResourceExhausted && code != Unavailable {
		return 0, false
	}
	pause, asked := RetryAfter(err)
	return pause, asked && (NeverRan(err) || mayRepeat(ctx, method))
}

// mayTryElsewhere reports whether another server may have room for a call that this
// one had none for, or may read one that is too large for this one.
func mayTryElsewhere(err error) bool {
	return NeverRan(err) && CodeOf(err) == ResourceExhausted
}

// isAttempt reports whether the request of the call that failed with err was
// handed to Write.
func isAttempt(err error) bool {
	e := toError(err)
	return e.handed || !e.neverRan
}

func remote(err error) bool {
	e, found := causes.Find[*Error](err)
	return found && e.remote
}
