package gateway

import (
	"container/list"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/peerip"
)

// evictAfter is how long a body may take at a full gateway until another request gets
// its place. A body that a client sends with its request is there at once.
const evictAfter = 50 * time.Millisecond

// places are those of the requests in flight: from the first byte of a body until the
// handler has ended and the answer is written. At a full gateway the body that has been
// on its way for longest gives its place to the next request: where no caller is
// authorized, anybody can send slow bodies.
//
// Before that, a request stands at the door while its caller is authorized. That takes as
// long as the hook does, whatever a stranger sends. The bound is for hooks that hang.
//
// The last quarter of the places is for addresses that have not more than their share.
type places struct {
	mu      sync.Mutex
	taken   int
	own     map[netip.Addr]int // of these, those of each address
	door    int
	reading list.List // of *place: bodies on their way, the oldest first
}

// A place belongs to one request. What is below mu is guarded by it, and the rest by
// that of places.
type place struct {
	of     *places
	from   netip.Addr // where the client comes from; the zero value if that is not known
	began  time.Time
	entry  *list.Element // in reading; nil once the body has arrived
	given  bool          // to another request
	users  int           // who has not left yet
	giveUp func()        // makes the body fail

	release func() // gives back what else the request has, when all have left

	mu     sync.Mutex
	atBody bool
}

// leastDoor is for how many requests there is room at the door of a gateway with few places.
const leastDoor = 64

// knock lets a request stand at the door until enterFromDoor, if limit do not, and room more.
func (ps *places) knock(limit, room int) bool {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.door-room >= max(limit, leastDoor) {
		return false
	}
	ps.door++
	return true
}

func (ps *places) enterFromDoor() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.door--
}

// bound is how many places there are, and how many of the last quarter one address may have.
type bound struct{ all, peer int }

// leastShared is from how many places on there are shares that nobody has set: a quarter
// of fewer would not be enough for anybody else.
const leastShared = 64

// boundOf is the bound of all places, with the share that is set, or a 16th.
func boundOf(all, share int) bound {
	switch {
	case share > 0:
		return bound{all, share}
	case all < leastShared:
		return bound{all, all}
	}
	return bound{all, all / 16}
}

func (b bound) threeQuarters() int { return b.all - b.all/4 }

// originOf returns what stands for the address of a client; the zero value if it is not known.
func originOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err == nil {
		return peerip.Of(at.Addr())
	}
	if ip, err := netip.ParseAddr(r.RemoteAddr); err == nil { // a proxy's middleware may set it without a port
		return peerip.Of(ip)
	}
	return netip.Addr{}
}

// take returns a place for a request with a body on its way, or nil if all are taken, and room
// more, or if those that are left are for other addresses: then it is not fair. GiveUp is
// called while it is, if another request gets the place.
func (ps *places) take(b bound, room int, from netip.Addr, giveUp func()) (p *place, fair bool) {
	p = &place{of: ps, from: from, began: time.Now(), users: 1, giveUp: giveUp, release: func() {}, atBody: true}
	evicted, fair, ok := ps.enter(p, b, room)
	if !ok {
		return nil, fair
	}
	if evicted != nil {
		evicted.evict()
	}
	return p, true
}

func (ps *places) enter(p *place, b bound, room int) (evicted *place, fair, ok bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	full := ps.taken-room >= b.all // it may be the largest number
	hasShare := room == 0 && p.from.IsValid() && ps.own[p.from] >= b.peer
	fair = full || !hasShare || ps.taken < b.threeQuarters()
	if full || !fair {
		if evicted = ps.slowLocked(p, !hasShare); evicted == nil {
			return nil, fair, false
		}
		evicted.readLocked()
		evicted.given = true
		ps.countLocked(evicted.from, -1)
	}
	ps.countLocked(p.from, 1)
	p.entry = ps.reading.PushBack(p)
	return evicted, fair, true
}

// slowLocked returns whose body has been on its way for longest, and for too long beside p: of
// all, or of those of the address of p. It returns nil if there is none.
func (ps *places) slowLocked(p *place, ofAll bool) *place {
	for e := ps.reading.Front(); e != nil; e = e.Next() {
		slow := e.Value.(*place)
		switch {
		case p.began.Sub(slow.began) < evictAfter:
			return nil
		case ofAll || slow.from == p.from:
			return slow
		}
	}
	return nil
}

// countLocked counts n places more for an address.
func (ps *places) countLocked(from netip.Addr, n int) {
	ps.taken += n
	if !from.IsValid() {
		return
	}
	if ps.own == nil {
		ps.own = map[netip.Addr]int{}
	}
	if ps.own[from] += n; ps.own[from] == 0 {
		delete(ps.own, from)
	}
}

// evict makes the body fail, unless it has arrived by now.
func (p *place) evict() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.atBody {
		p.giveUp()
	}
}

// arrived ends the time in which the place can be given to another request. It reports
// whether it still is this one's.
func (p *place) arrived() bool {
	p.mu.Lock()
	p.atBody = false
	p.mu.Unlock()
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.readLocked()
	return !p.given
}

// readLocked takes the body out of those on their way.
func (p *place) readLocked() {
	if p.entry != nil {
		p.of.reading.Remove(p.entry)
		p.entry = nil
	}
}

// share lets another goroutine use the place, which leaves it as well.
func (p *place) share() {
	p.of.mu.Lock()
	p.users++
	p.of.mu.Unlock()
}

// leave gives the place back when all have left.
func (p *place) leave() {
	p.of.mu.Lock()
	p.readLocked() // if the body has ended the request by a panic
	p.users--
	last := p.users == 0
	if last && !p.given {
		p.of.countLocked(p.from, -1)
	}
	p.of.mu.Unlock()
	if last {
		p.release()
	}
}
