package rpc

import "example.com/rpc-from-scratch/final/internal/wire"

// Credit, at the side that receives. A stream has a window, which is as large as was
// announced until its peer wants more; larger windows come from what the connection has
// beside all streams' first ones. One stream at a time gets a loan: memory for one item
// that is larger than its window.

const (
	streamWindow = 16 << 10 // what is announced
	mostWindow   = 1 << 20  // to which it may grow
)

// arrived counts a data frame. It returns false if the frame costs more than the credit
// that is left.
func (s *stream) arrived(cost int64) bool {
	in := &s.in
	if cost > in.credit {
		return false
	}
	in.credit -= cost
	s.setWanted(0) // any data frame ends a want
	if in.drop {
		in.taken += cost
		s.table.settle(s)
	} else {
		in.queued += cost
	}
	return true
}

// want notes that the peer waits for credit for an item that costs n.
func (s *stream) want(n int64) {
	if n <= s.in.credit || s.in.quiet() {
		return // what it needs is on its way, or the end
	}
	s.setWanted(n) // first: from now on the receiver counts at once what it takes
	s.count()
	s.in.starved = true
	s.table.settle(s)
}

// took counts what was received by the consumer.
func (s *stream) took(cost int64) {
	if cost == 0 || s.in.drop { // dropped, and counted then
		return
	}
	s.in.queued -= cost
	s.in.taken += cost
	s.table.settle(s)
}

// credited adds to what this side may send. It returns false if that is more than may be.
func (s *stream) credited(n int64) bool {
	out := &s.out
	if out.credit+n > wire.MaxCredit {
		return false
	}
	out.credit += n
	if out.wanted > 0 && out.wanted <= out.credit {
		out.wait.signal()
	}
	return true
}

// settle does with what was taken, and with a want, what the rules say.
func (t *streamTable) settle(s *stream) {
	t.payBack(s)
	in := &s.in
	if in.starved && in.queued == 0 && !in.quiet() {
		in.starved = false
		t.grow(s)
	}
	switch {
	case in.quiet():
	case in.wanted > 0:
		t.grantWant(s)
	case in.taken >= in.window/4:
		t.giveTaken(s)
	}
	t.lendNext()
}

// payBack gives back to the connection what the stream does not need any more.
func (t *streamTable) payBack(s *stream) {
	in := &s.in
	pay := min(in.taken, in.extra)
	in.taken -= pay
	in.extra -= pay
	if in.extra == 0 && t.memory.holder == s {
		t.memory.holder = nil
	}
	if in.window <= t.window || !in.quiet() && !t.memory.scarce() {
		return
	}
	d := min(in.taken, in.window-t.window)
	if in.wanted > 0 {
		d = min(d, max(0, in.window-in.wanted))
	}
	in.taken -= d
	in.window -= d
	t.memory.pool += d
	t.memory.unpromise(d)
}

// grantWant gives all credit that there is once it is enough.
func (t *streamTable) grantWant(s *stream) {
	in := &s.in
	switch {
	case in.wanted <= in.credit+in.taken:
		t.giveTaken(s)
		s.setWanted(0)
	case in.wanted <= in.window+in.extra:
	case t.memory.holder != s:
		t.memory.line.push(s)
	case in.queued == 0: // its item has become larger since it got the loan
		t.lend(s)
	}
}

// grow makes a window larger: several items then go without a want. It is called once the
// consumer has taken all that had arrived when the peer began to want.
func (t *streamTable) grow(s *stream) {
	in := &s.in
	if in.window >= mostWindow || t.memory.scarce() {
		return
	}
	more := min(max(2*in.window, 4*in.wanted), mostWindow) - in.window
	if more > t.memory.pool {
		more = in.wanted - in.window
	}
	if more <= 0 || more > t.memory.pool || in.window+more > mostWindow || !t.memory.promise(more) {
		return
	}
	in.window += more
	t.memory.pool -= more
	t.give(s, more)
}

func (t *streamTable) giveTaken(s *stream) {
	n := s.in.taken
	s.in.taken = 0
	t.give(s, n)
}

// give gives credit, which the next batch says.
func (t *streamTable) give(s *stream, n int64) {
	if n == 0 {
		return
	}
	s.in.credit += n
	s.in.give += uint32(n)
	t.lane.credit.push(s)
}
