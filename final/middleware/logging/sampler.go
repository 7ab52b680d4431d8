package logging

import (
	"sync"
	"time"
)

// sampler lets some of many lines pass. The zero value lets all of them pass.
type sampler struct {
	oneIn     int64 // of so many; up to 1: all
	perSecond int64 // at most so many in a second of the clock; 0: no bound

	mu      sync.Mutex
	seen    int64
	second  int64 // the one that passed is of
	passed  int64
	skipped int64 // since the last one that passed
}

// pass reports whether a line of now may be written, and how many before it were not.
func (s *sampler) pass(now time.Time) (skipped int64, pass bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.take(now.Unix()) {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}

func (s *sampler) take(second int64) bool {
	s.seen++
	if s.oneIn > 1 && s.seen%s.oneIn != 1 {
		return false
	}
	if s.perSecond <= 0 {
		return true
	}
	if s.second != second {
		s.second, s.passed = second, 0
	}
	s.passed++
	return s.passed <= s.perSecond
}
