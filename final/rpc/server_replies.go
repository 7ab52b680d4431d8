package rpc

import "sync/atomic"

// A reply takes memory from its encoding until it is written. A result waits for that
// before it is encoded, and its handler keeps its place.

// reserve takes memory for a result that is about to be encoded. On a goroutine of the
// call's own it waits; the reader, which runs no call while memory is scarce, does
// not. It returns false if the share is closed, or ended is.
func (s *share) reserve(charge *int64, size int64, own bool, ended <-chan struct{}) (ok bool) {
	switch {
	case size <= uncounted:
		return true
	case own:
		*charge, ok = s.await(size, ended)
		return ok
	}
	s.overdraw(size)
	*charge = size
	return true
}

// settle charges an encoded result for what it takes. It returns false if that is much
// more than was guessed, and there is no room: then it is to be encoded again, when
// there is.
func (s *share) settle(charge *int64, size int64, must bool) bool {
	if size <= uncounted {
		size = 0
	}
	more := size - *charge
	switch {
	case more == 0:
		return true
	case more < 0:
		s.give(-more)
	case s.take(more):
	case must || more <= *charge:
		s.overdraw(more)
	default:
		return false
	}
	*charge = size
	return true
}

// forgo gives back what was taken for a result that is not sent.
func (s *share) forgo(charge *int64) {
	s.give(*charge)
	*charge = 0
}

// lightBytes is how many bytes of replies that were not charged may wait on a connection
// to be written. What is above that is charged in pieces of this size.
const lightBytes = 64 << 10

// lightRoomLocked reports whether there is room for a reply that was not charged.
func (c *serverConn) lightRoomLocked() bool {
	if c.out.err != nil || c.out.light() < lightBytes+c.light {
		return true
	}
	if !c.replies.take(lightBytes) {
		return false
	}
	c.light += lightBytes
	return true
}

// lightenLocked takes what lightRoomLocked has charged off the connection, once few such bytes
// wait. It returns how much, for the caller to give back without the lock.
func (c *serverConn) lightenLocked() (charged int64) {
	if c.light > 0 && (c.out.err != nil || c.out.light() < lightBytes) {
		charged, c.light = c.light, 0
	}
	return charged
}

// replySizes is what a method's replies have lately taken at most.
type replySizes struct{ n atomic.Int64 }

// note forgets a large reply slowly.
func (r *replySizes) note(size int64) {
	size = max(size, 1)
	switch n := r.n.Load(); {
	case size > n:
		r.n.Store(size)
	case size < n/2:
		r.n.Store(n - n/64 - 1)
	}
}

// encodedByField reports whether a codec reads results field by field, as guessReply
// does. Others may read a result under a lock of its own.
func encodedByField(codec Codec) bool { return codec == JSON || isStream(codec) }

// guess returns how large a result will be, about, and whether only the replies to
// come can tell. Most is that of the share from which the result takes memory.
func guess(m *method, result any, readable bool, most int64) (size int64, learn bool) {
	if readable {
		size, known := guessReply(result)
		if known {
			return size, false
		}
	}
	if seen := m.replySizes.n.Load(); seen > 0 {
		return seen, true
	}
	return most / 4, true // not many at once
}
