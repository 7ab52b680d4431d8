package rpc

// streamQueue is streams in a row. A stream is in it at most once; it stays where it is when
// it is pushed again.
type streamQueue struct {
	which       queueKind
	first, last *stream
}

// queueKind says which of its links a stream is in a queue by.
type queueKind uint8

const (
	inCredit queueKind = iota
	inReady
	inSenders
	inEncoders
	inLargeLine
	queueKinds
)

func (s *stream) isIn(q queueKind) bool { return s.queued&(1<<q) != 0 }

func (q *streamQueue) push(s *stream) {
	if s.isIn(q.which) {
		return
	}
	s.queued |= 1 << q.which
	if q.first == nil {
		q.first = s
	} else {
		q.last.next[q.which] = s
	}
	q.last = s
}

// pushFirst is push to the other end.
func (q *streamQueue) pushFirst(s *stream) {
	if s.isIn(q.which) {
		return
	}
	s.queued |= 1 << q.which
	s.next[q.which] = q.first
	if q.first == nil {
		q.last = s
	}
	q.first = s
}

// drop takes s out, wherever it stands.
func (q *streamQueue) drop(s *stream) {
	if !s.isIn(q.which) {
		return
	}
	var before *stream
	for at := q.first; at != s; at = at.next[q.which] {
		before = at
	}
	if before == nil {
		q.first = s.next[q.which]
	} else {
		before.next[q.which] = s.next[q.which]
	}
	if q.last == s {
		q.last = before
	}
	s.next[q.which] = nil
	s.queued &^= 1 << q.which
}

// pop takes the first one out; nil if there is none.
func (q *streamQueue) pop() *stream {
	s := q.first
	if s == nil {
		return nil
	}
	q.first = s.next[q.which]
	s.next[q.which] = nil
	s.queued &^= 1 << q.which
	return s
}
