package rpc

import "example.com/rpc-from-scratch/final/internal/wire"

// Credit, at the side that receives. A stream has a window, which is as large as was
// announced until its peer wants more; larger windows come from what the connection has
// beside all streams' first ones. One stream at a time is lent a place for an item that is
// larger than its window.

const (
	streamWindow = 16 << 10 // what is announced
	mostWindow   = 1 << 20  // to which it may grow
)

// streamMemory is what the streams of a connection may promise to take, beyond the first
// windows of all.
type streamMemory struct {
	pool, poolMost int64 // for larger windows
	holder         *stream
	line           streamQueue // streams that want the large place

	share  *share // of the memory of all connections; nil at a client, which has few
	place  *share // of the same, for the large place alone: who waits for that delays no window
	placed bool   // the large place was taken from it
	asking bool   // a goroutine waits until it can be taken
}

// leaseFrom makes windows take their memory from all, at most so many bytes, and the large
// place, too. own counts what the peer's address has; nil if that is not known.
func (m *streamMemory) leaseFrom(all *memory, bytes, place int64, own *int64) {
	windows, large := all.newShare(int(bytes)), all.newPlace(place)
	windows.own, large.own = own, own
	m.share, m.place = &windows, &large
}

// close ends the waiting, since the connection ends. What is held is still to be given back.
func (m *streamMemory) close() {
	m.share.close()
	m.place.close()
}

// giveAll gives back all that is held, after close.
func (m *streamMemory) giveAll() {
	m.share.giveAll()
	m.place.giveAll()
}

// scarce reports whether windows should become smaller again.
func (m *streamMemory) scarce() bool {
	return m.pool < m.poolMost/4 || m.share != nil && m.share.scarce()
}

// promise takes n bytes of what all connections have, if that is possible now.
func (m *streamMemory) promise(n int64) bool { return m.share == nil || m.share.take(n) }

// unpromise gives n bytes back.
func (m *streamMemory) unpromise(n int64) {
	if m.share != nil {
		m.share.give(n)
	}
}

// mostCost is more than any item costs.
func (t *streamTable) mostCost() int64 { return largeCost(t.maxRead) }

// largeCost is more than any item costs for a side that reads messages of so many bytes.
func largeCost(maxMessage int) int64 {
	return min(int64(maxMessage)+int64(maxMessage)/8, wire.MaxCredit)
}

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
	t.lendPlace()
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
	case in.queued == 0: // its item has become larger since it was lent the place
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

// lendPlace lends the large place to the stream that has waited longest for it.
func (t *streamTable) lendPlace() {
	m := &t.memory
	for m.holder == nil {
		s := m.line.first
		switch {
		case s == nil:
			t.leavePlace()
			return
		case s.in.quiet() || s.in.wanted <= s.in.credit+s.in.taken: // it does not need it any more
			m.line.pop()
			continue
		case !t.havePlace():
			return
		}
		m.line.pop()
		t.lend(s)
		m.holder = s
	}
}

// lend gives the credit that the stream wants.
func (t *streamTable) lend(s *stream) {
	in := &s.in
	t.giveTaken(s)
	more := in.wanted - in.credit
	in.extra += more
	t.give(s, more)
	s.setWanted(0)
}

// havePlace takes memory for the large place. If there is none, a goroutine waits for it.
func (t *streamTable) havePlace() bool {
	m := &t.memory
	switch {
	case m.place == nil || m.placed:
		return true
	case m.asking:
		return false
	case m.place.take(t.mostCost()):
		m.placed = true
		return true
	}
	m.asking = true
	go t.awaitPlace(m.place)
	return false
}

// awaitPlace waits for memory for the large place, unless the connection ends.
func (t *streamTable) awaitPlace(place *share) {
	_, ok := place.await(t.mostCost(), nil)
	t.mu.Lock()
	t.memory.asking = false
	if ok && t.out.err == nil { // else all of the memory is given back
		t.memory.placed = true
		t.lendPlace()
	}
	start := t.out.start()
	t.mu.Unlock()
	t.flush(start, true)
}

// leavePlace gives the memory of the large place back: nobody wants it.
func (t *streamTable) leavePlace() {
	if t.memory.placed {
		t.memory.placed = false
		t.memory.place.give(t.mostCost())
	}
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
