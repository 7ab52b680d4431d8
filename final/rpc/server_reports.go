package rpc

import (
	"fmt"
	"sync"
	"time"
)

// reportsPerSecond is of how many connections a second, of each kind, the callbacks for
// errors are told. Strangers can have any number refused, and each report is a line in a
// log.
const reportsPerSecond = 20

// reports counts connections of one kind: those that were refused, or those that an error
// has ended after the hello. Strangers have no part in the second kind's.
type reports struct {
	kind string // "were refused"

	mu    sync.Mutex // guards what follows
	begun time.Time  // of the second that is counted
	told  int        // in it
	left  int        // not told; they are when the second is over
	timer *time.Timer
	last  bool           // no timer is started any more
	timed sync.WaitGroup // the timer that runs, or what it has started
}

// next counts one more, and reports whether the callbacks are to be told. If not, report
// is called later, once, for all that are left out.
func (r *reports) next(now time.Time, report func()) (tell bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.begun) >= time.Second {
		r.begun, r.told = now, 0
	}
	if r.told < reportsPerSecond {
		r.told++
		return true
	}
	if r.left++; r.left == 1 && !r.last {
		r.timed.Add(1)
		r.timer = time.AfterFunc(r.begun.Add(time.Second).Sub(now), func() {
			defer r.timed.Done()
			report()
		})
	}
	return false
}

// end lets no timer run any more, and waits for one that does.
func (r *reports) end() {
	r.mu.Lock()
	r.last = true
	if r.timer != nil && r.timer.Stop() {
		r.timed.Done()
	}
	r.mu.Unlock()
	r.timed.Wait()
}

// takeLeft returns how many were left out since it was last called.
func (r *reports) takeLeft() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.left
	r.left = 0
	return left
}

// report tells the callbacks why a connection was refused or ended, or counts it among
// those of its kind that are left out.
func (c *serverConn) report(of *reports, err error) {
	if of.next(time.Now(), func() { c.server.reportLeft(of) }) {
		c.server.report(aboutPeer(c.peer.Addr, err))
	}
}

func (s *Server) reportLeft(of *reports) {
	if left := of.takeLeft(); left > 0 {
		s.report(fmt.Errorf("rpc: %d more connections %s within a second", left, of.kind))
	}
}

// endReports tells the callbacks what is left. They may end the goroutine.
func (s *Server) endReports() {
	for _, of := range []*reports{&s.refused, &s.broken} {
		of.end()
		runApart("a callback for errors", func() error {
			s.reportLeft(of)
			return nil
		})
	}
}
