package rpc

import "example.com/rpc-from-scratch/final/internal/wire"

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
