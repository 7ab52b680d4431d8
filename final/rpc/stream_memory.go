package rpc

import "example.com/rpc-from-scratch/final/internal/wire"

// streamMemory is what the streams of a connection may promise to take, beyond the first
// windows of all.
type streamMemory struct {
	pool, poolMost int64       // for larger windows
	holder         *stream     // has the loan: credit for one item above its window
	line           streamQueue // streams that want it

	share  *share // of the memory of all connections; nil at a client, which has few
	loan   *share // of the same, for the loan alone: who waits for that delays no window
	lent   bool   // the loan was taken from it
	asking bool   // a goroutine waits until it can be taken
}

// leaseFrom makes windows take their memory from all, at most so many bytes, and the loan,
// too. own counts what the peer's address has; nil if that is not known.
func (m *streamMemory) leaseFrom(all *memory, bytes, loan int64, own *int64) {
	windows, large := all.newShare(int(bytes)), all.newLoan(loan)
	windows.own, large.own = own, own
	m.share, m.loan = &windows, &large
}

// close ends the waiting, since the connection ends. What is held is still to be given back.
func (m *streamMemory) close() {
	m.share.close()
	m.loan.close()
}

// giveAll gives back all that is held, after close.
func (m *streamMemory) giveAll() {
	m.share.giveAll()
	m.loan.giveAll()
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

// lendNext lends the loan to the stream that has waited longest for it.
func (t *streamTable) lendNext() {
	m := &t.memory
	for m.holder == nil {
		s := m.line.first
		switch {
		case s == nil:
			t.returnLoan()
			return
		case s.in.quiet() || s.in.wanted <= s.in.credit+s.in.taken: // it does not need it any more
			m.line.pop()
			continue
		case !t.takeLoan():
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

// takeLoan takes memory for the loan. If there is none, a goroutine waits for it.
func (t *streamTable) takeLoan() bool {
	m := &t.memory
	switch {
	case m.loan == nil || m.lent:
		return true
	case m.asking:
		return false
	case m.loan.take(t.mostCost()):
		m.lent = true
		return true
	}
	m.asking = true
	go t.awaitLoan(m.loan)
	return false
}

// awaitLoan waits for memory for the loan, unless the connection ends.
func (t *streamTable) awaitLoan(loan *share) {
	_, ok := loan.await(t.mostCost(), nil)
	t.mu.Lock()
	t.memory.asking = false
	if ok && t.out.err == nil { // else all of the memory is given back
		t.memory.lent = true
		t.lendNext()
	}
	start := t.out.start()
	t.mu.Unlock()
	t.flush(start, true)
}

// returnLoan gives the memory of the loan back: nobody wants it.
func (t *streamTable) returnLoan() {
	if t.memory.lent {
		t.memory.lent = false
		t.memory.loan.give(t.mostCost())
	}
}
