package ratelimit

import (
	"container/heap"
	"hash/maphash"
	"time"

	"golang.org/x/time/rate"
)

// peers is the buckets of one limit per peer. Its Limiter's lock guards it.
//
// Keys are kept as hashes under a random seed. A bucket therefore takes the
// same memory whatever its key, and an attacker cannot make up keys that share
// one.
type peers struct {
	key    Key
	size   int
	rate   rate.Limit
	burst  int
	seeds  [2]maphash.Seed // by use
	known  map[uint64]*peer
	byFull byFull        // the same, the one that is full soonest first
	others *rate.Limiter // for peers that there is no place for
}

// use is what a peer's bucket is for.
type use int

const (
	calling  use = iota
	guessing     // refused calls of exempt methods: see [Limiter.Before]
)

// peer is the bucket of one peer.
type peer struct {
	bucket *rate.Limiter
	hash   uint64
	full   time.Time // when it will hold burst tokens again
	place  int       // in byFull
}

func newPeers(size int, key Key, limit rate.Limit, burst int) *peers {
	return &peers{
		key: key, size: size, rate: limit, burst: burst,
		seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, known: map[uint64]*peer{},
		others: rate.NewLimiter(limit, burst),
	}
}

func (p *peers) hash(use use, key string) uint64 { return maphash.String(p.seeds[use], key) }

// find returns the bucket for a key, which may be a new one that is not kept yet.
// One of a nil peer is the bucket of those that there is no place for.
func (p *peers) find(hash uint64, now time.Time) (*peer, *rate.Limiter) {
	if known := p.known[hash]; known != nil {
		return known, known.bucket
	}
	if len(p.known) >= p.size && now.Before(p.byFull[0].full) {
		return nil, p.others
	}
	fresh := &peer{bucket: rate.NewLimiter(p.rate, p.burst), hash: hash, place: -1}
	return fresh, fresh.bucket
}

// took notes that a token was taken from a peer's bucket, and keeps it. Where
// there is no place left, find has seen that the first bucket is full.
func (p *peers) took(t *peer, now time.Time) {
	t.full = now.Add(duration((float64(p.burst) - t.bucket.TokensAt(now)) / float64(p.rate)))
	if t.place >= 0 {
		heap.Fix(&p.byFull, t.place)
		return
	}
	if len(p.known) >= p.size {
		delete(p.known, heap.Pop(&p.byFull).(*peer).hash)
	}
	p.known[t.hash] = t
	heap.Push(&p.byFull, t)
}

// byFull is a heap of peers.
type byFull []*peer

func (h byFull) Len() int           { return len(h) }
func (h byFull) Less(i, j int) bool { return h[i].full.Before(h[j].full) }

func (h byFull) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *byFull) Push(x any) {
	p := x.(*peer)
	p.place = len(*h)
	*h = append(*h, p)
}

func (h *byFull) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}
