package cache

import (
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// store is the kept answers. The Cache's lock guards it. An expired one is
// dropped by the next call that asks for it, or when it has not been used for
// longest.
type store struct {
	lru      *simplelru.LRU[digest, *entry]
	requests map[digest]*entry // the first of the entries that differ by metadata alone
	maxBytes int
	bytes    int
}

// entry is one kept answer.
type entry struct {
	question
	answer
	expires    time.Time
	prev, next *entry // of the same request
}

func newStore(entries, bytes int) (*store, error) {
	s := &store{requests: map[digest]*entry{}, maxBytes: bytes}
	var err error
	s.lru, err = simplelru.NewLRU(entries, func(_ digest, e *entry) { s.dropped(e) })
	return s, err
}

// get returns the answer to a question, or nil.
func (s *store) get(q *question, now time.Time) *entry {
	e, ok := s.lru.Get(q.key)
	switch {
	case !ok || e.want != q.want:
		return nil
	case !now.Before(e.expires):
		s.lru.Remove(q.key)
		return nil
	}
	return e
}

// add keeps an answer, in the place of an older one, and returns how many others
// had to go for it.
func (s *store) add(e *entry) (evicted int) {
	s.lru.Remove(e.key)
	if e.size() > s.maxBytes {
		return 0
	}
	if e.next = s.requests[e.request]; e.next != nil {
		e.next.prev = e
	}
	s.requests[e.request] = e
	s.bytes += e.size()
	if s.lru.Add(e.key, e) {
		evicted++
	}
	for s.bytes > s.maxBytes {
		s.lru.RemoveOldest()
		evicted++
	}
	return evicted
}

// dropped is told of every entry that leaves.
func (s *store) dropped(e *entry) {
	s.bytes -= e.size()
	switch {
	case e.prev != nil:
		e.prev.next = e.next
	case e.next != nil:
		s.requests[e.request] = e.next
	default:
		delete(s.requests, e.request)
	}
	if e.next != nil {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
}

// forgetRequest drops the answers to a request, whatever the metadata.
func (s *store) forgetRequest(request digest) {
	for e := s.requests[request]; e != nil; e = s.requests[request] {
		s.lru.Remove(e.key)
	}
}

// forgetMethod drops the answers of a method.
func (s *store) forgetMethod(method string) {
	for _, e := range s.lru.Values() {
		if e.method == method {
			s.lru.Remove(e.key)
		}
	}
}
