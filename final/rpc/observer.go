package rpc

import (
	"context"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"
)

// Observer is a set of callbacks for what happens on connections, like
// [net/http/httptrace.ClientTrace]. Each may be nil. They are called by many
// goroutines at once, and must not wait. A panic of one is printed by package
// log.
type Observer struct {
	ConnOpened func() // a connection is made; it may not have said hello yet
	ConnClosed func() // one for each ConnOpened

	// The bytes of frames, without hellos and TLS.
	BytesRead    func(n int)
	BytesWritten func(n int)

	// AttemptDone is called by a Client and a Pool, on the goroutine of the call,
	// when an attempt to make it has ended, also if your code has ended it by a
	// panic or runtime.Goexit. ctx is the call's, with what interceptors have put
	// into it. A Server never calls it. Of a stream, it is called once it has ended, on
	// any goroutine.
	AttemptDone func(ctx context.Context, a Attempt)
}

// Attempt is one attempt to make a call on a connection. A call has several if
// the ones before failed and it may be tried again: see [WithMaxAttempts].
// Number may exceed that, since it counts attempts that were not sent, too.
type Attempt struct {
	Method string
	Kind   MethodKind // Unary for a call
	Addr   string     // the server's, as Dial or the Resolver gave it; "" for a Client of NewClient
	Number int        // 1 for the first attempt; those that were not sent count, too
	After  error      // why there is another attempt: what the one before failed with; nil for the first
	Begun  time.Time
	Ended  time.Time
	Err    error // nil if it succeeded; see [NeverRan]. Of a stream, what it ended with; nil for a good end
}

func (o *Observer) empty() bool {
	return o.ConnOpened == nil && o.ConnClosed == nil && o.BytesRead == nil && o.BytesWritten == nil && o.AttemptDone == nil
}

// observers is the functions of all observers, in the order in which these were given.
type observers struct {
	opened, closed []func()
	read, written  []func(n int)
	attempted      []func(ctx context.Context, a Attempt)
}

// add adds obs. The slices are copied: two clients may share the start of them.
func (all *observers) add(obs Observer) {
	all.opened = addFunc(all.opened, obs.ConnOpened, obs.ConnOpened != nil)
	all.closed = addFunc(all.closed, obs.ConnClosed, obs.ConnClosed != nil)
	all.read = addFunc(all.read, obs.BytesRead, obs.BytesRead != nil)
	all.written = addFunc(all.written, obs.BytesWritten, obs.BytesWritten != nil)
	all.attempted = addFunc(all.attempted, obs.AttemptDone, obs.AttemptDone != nil)
}

func addFunc[F any](before []F, f F, given bool) []F {
	if !given {
		return before
	}
	return append(slices.Clip(before), f)
}

func (all *observers) bytesRead(n int) {
	for _, f := range all.read {
		guardHook("Observer.BytesRead", func() { f(n) })
	}
}

func (all *observers) bytesWritten(n int) {
	for _, f := range all.written {
		guardHook("Observer.BytesWritten", func() { f(n) })
	}
}

func (all *observers) connOpened() {
	for _, f := range all.opened {
		guardHook("Observer.ConnOpened", f)
	}
}

func (all *observers) connClosed() {
	for _, f := range all.closed {
		guardHook("Observer.ConnClosed", f)
	}
}

func (all *observers) attemptDone(ctx context.Context, a Attempt) {
	for _, f := range all.attempted {
		guardHook("Observer.AttemptDone", func() { f(ctx, a) })
	}
}

// guardHook keeps a panic of a user's function from ending the process: it runs on
// goroutines of ours, on both sides.
func guardHook(name string, f func()) {
	defer func() {
		if p := recover(); p != nil {
			printPanic("in "+name, p, debug.Stack())
		}
	}()
	f()
}

// report tells the callbacks of a client's [WithErrorHandler].
func (o *clientOptions) report(err error) {
	if len(o.onError) == 0 {
		return
	}
	tell(func() {
		for _, f := range o.onError {
			guardHook("a callback of WithErrorHandler", func() { f(err) })
		}
	})
}

// connEvents tells observers that a connection was opened and, after that, that it was
// closed. The connection, and the calls that it had, go on while an observer is busy
// for long: it may have made a call, which needs this connection, or another.
type connEvents struct {
	observers *observers
	state     atomic.Uint32
}

const (
	observerNotTold uint32 = iota
	toldOpened
	closedMeanwhile // ConnClosed waits for ConnOpened to return
)

// observerGrace is for how long a connection waits for its observer.
const observerGrace = 10 * time.Millisecond

func (e *connEvents) opened() {
	if len(e.observers.opened)+len(e.observers.closed) == 0 {
		return
	}
	tell(func() {
		e.observers.connOpened()
		if !e.state.CompareAndSwap(observerNotTold, toldOpened) {
			e.observers.connClosed()
		}
	})
}

func (e *connEvents) closed() {
	if len(e.observers.closed) > 0 && !e.state.CompareAndSwap(observerNotTold, closedMeanwhile) {
		tell(e.observers.connClosed)
	}
}

// tell calls f in a goroutine of its own, and waits for it, but not for long.
func tell(f func()) {
	told := make(chan struct{})
	go func() {
		defer close(told)
		f()
	}()
	timer := time.NewTimer(observerGrace)
	defer timer.Stop()
	select {
	case <-told:
	case <-timer.C:
	}
}
