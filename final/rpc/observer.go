package rpc

import (
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// ConnObserver counts connections and the bytes of their frames, without hellos
// and TLS, for metrics. Its methods are called by many goroutines at once, and
// must not wait.
type ConnObserver interface {
	ConnOpened()
	ConnClosed()
	BytesRead(n int)
	BytesWritten(n int)
}

// observers is several observers, which are called in the order in which they
// were given.
type observers []ConnObserver

// observeToo returns an observer for both. before may be nil.
func observeToo(before, obs ConnObserver) ConnObserver {
	all, _ := before.(observers)
	return append(all[:len(all):len(all)], obs)
}

// ConnOpened implements ConnObserver.
func (all observers) ConnOpened() { all.tell(func(obs ConnObserver) { obs.ConnOpened() }) }

// ConnClosed implements ConnObserver.
func (all observers) ConnClosed() { all.tell(func(obs ConnObserver) { obs.ConnClosed() }) }

// BytesRead implements ConnObserver.
func (all observers) BytesRead(n int) { all.tell(func(obs ConnObserver) { obs.BytesRead(n) }) }

// BytesWritten implements ConnObserver.
func (all observers) BytesWritten(n int) { all.tell(func(obs ConnObserver) { obs.BytesWritten(n) }) }

func (all observers) tell(f func(ConnObserver)) {
	for _, obs := range all {
		guardObserver(obs, f)
	}
}

// guardObserver keeps a panic of an observer from ending the process: it runs on
// goroutines of ours, on both sides.
func guardObserver(obs ConnObserver, f func(ConnObserver)) {
	defer func() {
		if p := recover(); p != nil {
			printPanic(fmt.Sprintf("in the ConnObserver %T", obs), p, debug.Stack())
		}
	}()
	f(obs)
}

// connEvents tells an observer that a connection was opened and, after that, that
// it was closed. The connection, and the calls that it had, go on while the observer
// is busy for long: it may have made a call, which needs this connection, or another.
type connEvents struct {
	observer ConnObserver
	state    atomic.Uint32
}

const (
	observerNotTold uint32 = iota
	toldOpened
	closedMeanwhile // ConnClosed waits for ConnOpened to return
)

// observerGrace is for how long a connection waits for its observer.
const observerGrace = 10 * time.Millisecond

func (e *connEvents) opened() {
	if e.observer == nil {
		return
	}
	tell(func() {
		e.observer.ConnOpened()
		if !e.state.CompareAndSwap(observerNotTold, toldOpened) {
			e.observer.ConnClosed()
		}
	})
}

func (e *connEvents) closed() {
	if e.observer != nil && !e.state.CompareAndSwap(observerNotTold, closedMeanwhile) {
		tell(e.observer.ConnClosed)
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
