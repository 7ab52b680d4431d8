package rpc

import (
	"container/list"
	"slices"
	"sync"
	"sync/atomic"
)

// uncounted is how much memory a call's params, and its reply, may each take
// without being counted: such calls are bounded by their number.
const uncounted = 4 << 10

// memory is what all connections of a server may take for one purpose. They lease it
// in blocks, so that most calls do not touch what all of them share.
type memory struct {
	most, block int64
	peer        int64       // what one address may have of the last eighth; it does not change
	scarce      atomic.Bool // three quarters are leased; set under mu, to be seen without it

	mu      sync.Mutex // guards what follows; taken last
	leased  int64
	loans   int64     // of these, by shares for loans
	waiting list.List // of *share, each once

	// aside is what only shares for loans may lease, whatever others have. It does not change.
	aside int64
}

func newMemory(most int) *memory {
	return &memory{most: int64(most), peer: int64(most) / 16, block: max(1, min(64<<10, int64(most)/64))}
}

// setPeer sets what one address may have of the last eighth. 0 leaves it as it is.
func (m *memory) setPeer(bytes int) {
	if bytes > 0 {
		m.peer = int64(bytes)
	}
}

// lease gives s so many bytes more, or enters it among those that wait. The last
// quarter is for connections that have little, and the last eighth for addresses that
// have not more than their share.
func (m *memory) lease(s *share, more int64, wait bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.allows(s, more) {
		if wait && s.elem == nil {
			s.elem = m.waiting.PushBack(s)
		}
		return false
	}
	m.countLocked(s, more)
	return true
}

func (m *memory) allows(s *share, more int64) bool {
	after := m.leased + more
	switch {
	case s.forLoan:
		return after <= m.threeQuarters() || m.loans+more <= m.aside || after <= m.most && s.own != nil && *s.own+more <= m.peer
	case after > m.most || after-m.loans > m.most-m.aside || m.unfair(s, more):
		return false
	}
	return after <= m.threeQuarters() || s.leased+more <= s.most/16
}

// unfair reports whether so many bytes more are of the last eighth, of all or of what is not
// for loans, and the address of s has its share.
func (m *memory) unfair(s *share, more int64) bool {
	after, others := m.leased+more, m.most-m.aside
	last := after > m.most-m.most/8 || after-m.loans > others-others/8
	return last && s.own != nil && *s.own+more > m.peer
}

func (m *memory) threeQuarters() int64 { return m.most - m.most/4 }

// countLocked counts n bytes more that s has leased; fewer if n is negative.
func (m *memory) countLocked(s *share, n int64) {
	s.leased += n
	if s.own != nil {
		*s.own += n
	}
	if s.forLoan {
		m.loans += n
	}
	m.leased += n
	if scarce := m.leased > m.threeQuarters(); scarce != m.scarce.Load() {
		m.scarce.Store(scarce)
	}
}

// release takes back what s has leased beyond what it holds. A block stays with it
// for its next call, unless others may need that.
func (m *memory) release(s *share) (released bool) {
	back := (s.leased - s.held) / m.block * m.block
	if back == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !s.closed && !s.forLoan && m.leased <= m.most/4 {
		back -= m.block
	}
	m.countLocked(s, -back)
	return back > 0
}

// fruitless is how many connections are tried in vain with what was released.
const fruitless = 64

// wake grants what was released to those that wait. Each one that is tried in vain
// goes to the end of the line.
func (m *memory) wake() {
	for failed := 0; failed < fruitless; {
		s := m.next()
		if s == nil {
			return
		}
		if !s.grant() {
			failed++
		}
	}
}

func (m *memory) next() *share {
	m.mu.Lock()
	defer m.mu.Unlock()
	first := m.waiting.Front()
	if first == nil {
		return nil
	}
	s := m.waiting.Remove(first).(*share)
	s.elem = nil
	return s
}

// share is one connection's part of a memory.
type share struct {
	of   *memory
	most int64
	full atomic.Bool   // half of it is held; set under mu, to be seen without it
	elem *list.Element // in of.waiting; guarded by of.mu

	own *int64 // what its address has leased in all, guarded by of.mu; nil if that is not known

	forLoan bool // it lends memory for one large item, or nothing; see memory.aside

	mu     sync.Mutex // guards what follows
	held   int64      // taken and not given back
	leased int64      // of the memory: held, and a part of a block or a block more
	queue  []*shareWaiter
	closed bool
}

// shareWaiter waits for n bytes.
type shareWaiter struct {
	n     int64
	ready chan struct{} // closed when it has them, or the share is closed
	taken bool          // set before
}

// leave takes s out of those that wait.
func (m *memory) leave(s *share) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.elem != nil {
		m.waiting.Remove(s.elem)
		s.elem = nil
	}
}

// newShare returns a part of m that is bounded itself, and never above a quarter, but a byte:
// whatever fits it can be granted one day, though other connections hold their blocks.
func (m *memory) newShare(most int) share {
	return share{of: m, most: max(1, min(int64(most), m.most/4))}
}

// setLoansAside sets an eighth aside for loans of so many bytes, and at least one.
func (m *memory) setLoansAside(loan int64) {
	m.aside = max(m.most/8, (loan+m.block-1)/m.block*m.block)
}

// newLoan returns the part of m for a loan of so many bytes.
func (m *memory) newLoan(bytes int64) share {
	return share{of: m, most: min(bytes, m.most/4), forLoan: true}
}

// take takes n bytes if that is possible now.
func (s *share) take(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) == 0 && s.takeLocked(n, false)
}

func (s *share) takeLocked(n int64, wait bool) bool {
	if s.held+n > s.most {
		return false
	}
	if more := s.missingLocked(n); more > 0 {
		if !s.of.lease(s, more, wait) {
			return false
		}
	}
	s.setLocked(s.held + n)
	return true
}

// missingLocked returns how many blocks' bytes are to be leased for n bytes more.
func (s *share) missingLocked(n int64) int64 {
	more := s.held + n - s.leased
	if more <= 0 {
		return 0
	}
	return (more + s.of.block - 1) / s.of.block * s.of.block
}

func (s *share) setLocked(held int64) {
	s.held = held
	if full := held > s.most/2; full != s.full.Load() {
		s.full.Store(full)
	}
}

// overdraw takes n bytes for a caller that must not wait.
func (s *share) overdraw(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if more := s.missingLocked(n); more > 0 {
		s.of.mu.Lock()
		s.of.countLocked(s, more)
		s.of.mu.Unlock()
	}
	s.setLocked(s.held + n)
}

// await takes n bytes, at most all of the share, when that is possible: first come,
// first served. It returns how many it has taken, and false if the share was closed
// meanwhile, or ended was. A nil ended never is.
func (s *share) await(n int64, ended <-chan struct{}) (taken int64, ok bool) {
	return s.awaitUntil(n, ended, nil)
}

// awaitUntil is await that ends, too, when gone is closed.
func (s *share) awaitUntil(n int64, ended, gone <-chan struct{}) (taken int64, ok bool) {
	n = min(n, s.most)
	w, ok := s.enter(n)
	switch {
	case ok:
		return n, true
	case w == nil:
		return 0, false
	}
	select {
	case <-w.ready:
	case <-ended:
		s.forsake(w)
	case <-gone:
		s.forsake(w)
	}
	if !w.taken {
		return 0, false
	}
	return n, true
}

// enter takes n bytes if that is possible now. Else it returns who waits for them; nil if the
// share is closed.
func (s *share) enter(n int64) (w *shareWaiter, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, false
	case len(s.queue) == 0 && s.takeLocked(n, true):
		return nil, true
	}
	w = &shareWaiter{n: n, ready: make(chan struct{})}
	s.queue = append(s.queue, w)
	return w, false
}

// forsake takes w out of the queue. If it has got its bytes just now, it keeps them.
func (s *share) forsake(w *shareWaiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, w)
	if i < 0 {
		return // it was granted, or the share was closed: ready was closed under the lock
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	s.grantLocked() // those after it may need less
	if len(s.queue) == 0 {
		s.of.leave(s)
	}
}

// give gives n bytes back.
func (s *share) give(n int64) {
	if n == 0 {
		return
	}
	s.mu.Lock()
	s.setLocked(s.held - n)
	s.grantLocked()
	released := s.of.release(s)
	s.mu.Unlock()
	if released {
		s.of.wake()
	}
}

// giveAll gives back all that is held, of a share that is closed and used no more.
func (s *share) giveAll() {
	s.mu.Lock()
	held := s.held
	s.mu.Unlock()
	s.give(held)
}

// grant grants what is possible. It reports whether that was something.
func (s *share) grant() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grantLocked()
}

func (s *share) grantLocked() (some bool) {
	for len(s.queue) > 0 && s.takeLocked(s.queue[0].n, true) {
		w := s.queue[0]
		s.queue[0] = nil
		s.queue = s.queue[1:]
		w.taken, some = true, true
		close(w.ready)
	}
	return some
}

// close ends the waiting. What is held is still to be given back.
func (s *share) close() {
	s.mu.Lock()
	s.closed = true
	queue := s.queue
	s.queue = nil
	s.of.leave(s)
	released := s.of.release(s)
	s.mu.Unlock()
	for _, w := range queue {
		close(w.ready)
	}
	if released {
		s.of.wake()
	}
}

// unfair reports whether the address has its share, so that n bytes are for others.
func (s *share) unfair(n int64) bool {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.of.unfair(s, n)
}

// scarce reports whether more of the memory should be taken only by those that can
// wait for it.
func (s *share) scarce() bool { return s.full.Load() || s.of.scarce.Load() }
