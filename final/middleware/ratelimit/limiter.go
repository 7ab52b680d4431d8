package ratelimit

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Limiter holds the limits of one server. Make one with [New]. Its methods may be
// called by many goroutines; one lock, held for a microsecond or two, lets a call
// see all its buckets at one instant.
type Limiter struct {
	all     []shared            // for every call
	methods map[string][]shared // by exact name
	exempt  map[string]bool     // of all limits but those of methods

	messages map[string]*messages // by exact name

	limitHealth bool // health checks are not exempt

	mu    sync.Mutex // guards what is below, and that buckets are asked and used together
	peers []*peers
	stats Stats
}

// shared is a bucket that is not a peer's.
type shared struct {
	bucket *rate.Limiter
	whose  string
}

// Stats is what a [Limiter] has done since it was made.
type Stats struct {
	Allowed int64 // calls let through, without those that no limit is for
	Refused int64 // calls over a limit
	Crowded int64 // calls among these of peers without a place
	Peers   int   // buckets of peers that are kept now
}

// New returns a Limiter with the given limits, all of which apply. It fails if
// an option or a key is nil, if a rate is not a finite number above 0, if a
// burst or a size is below 1, if a bucket would take more than a year to fill, or
// if a name can be none of a method.
func New(limits ...Option) (*Limiter, error) {
	l := &Limiter{methods: map[string][]shared{}, exempt: map[string]bool{}, messages: map[string]*messages{}}
	for i, add := range limits {
		if add == nil {
			return nil, fmt.Errorf("ratelimit: limit %d of %d is nil", i+1, len(limits))
		}
		if err := add(l); err != nil {
			return nil, fmt.Errorf("ratelimit: %w", err)
		}
	}
	for _, check := range []string{health.Check.Name(), health.Watch.Name()} {
		if l.limitHealth && l.exempt[check] {
			return nil, fmt.Errorf("ratelimit: Exempt names %s, and LimitHealth is given, too", check)
		}
		l.exempt[check] = !l.limitHealth
	}
	return l, nil
}

// Authorize refuses calls over a limit and lets through everything else. It is
// an [rpc.AuthorizeFunc]. Calls of methods that do not exist count as others do.
func (l *Limiter) Authorize(ctx context.Context, method string) (rpc.Identity, error) {
	return rpc.Identity{}, l.allow(ctx, method, "")
}

// Before asks the limits and then next, so calls that next refuses count, too.
// An attacker can then not try out tokens faster than the limits allow, but
// strangers use up the server's limit. The identity is that of a client's
// certificate only. It panics if next is nil.
//
// A call of an exempt method counts only if next refuses it with Unauthenticated or
// PermissionDenied. It then takes from all limits like any other call. A peer with
// as many refused calls as a limit of [Peer] allows may not call exempt methods
// either until the limit allows one more: else the one call that succeeds would tell
// which token is right. There is no such pause without a limit per peer, because
// anyone could then keep the probes of all others from being answered.
func (l *Limiter) Before(next rpc.AuthorizeFunc) rpc.AuthorizeFunc {
	misuse.NotNil("ratelimit: Before", "hook", next)
	return func(ctx context.Context, method string) (rpc.Identity, error) {
		if err := l.allow(ctx, method, ""); err != nil {
			return rpc.Identity{}, err
		}
		if l.isExempt(ctx, method) {
			return l.beforeExempt(ctx, method, next)
		}
		return next(ctx, method)
	}
}

// beforeExempt asks next, and counts the call if next refuses who calls.
func (l *Limiter) beforeExempt(ctx context.Context, method string, next rpc.AuthorizeFunc) (rpc.Identity, error) {
	var room [2]uint64
	guesses := l.hashes(ctx, "", guessing, room[:0])
	if err := l.guess(guesses, false); err != nil {
		return rpc.Identity{}, err
	}
	identity, err := next(ctx, method)
	if code := rpc.CodeOf(err); code != rpc.Unauthenticated && code != rpc.PermissionDenied {
		return identity, err
	}
	// In this order, and one by one: a server under load must not make guesses free.
	if over := l.guess(guesses, true); over != nil {
		return rpc.Identity{}, over
	}
	if over := l.take(nil, l.all, l.hashes(ctx, "", calling, nil)); over != nil {
		return rpc.Identity{}, over
	}
	return identity, err
}

// After asks next, and then the limits about the calls that next allows, with
// the identity that next has found. It also limits all calls of methods that do
// not exist. It panics if next is nil.
func (l *Limiter) After(next rpc.AuthorizeFunc) rpc.AuthorizeFunc {
	misuse.NotNil("ratelimit: After", "hook", next)
	return func(ctx context.Context, method string) (rpc.Identity, error) {
		identity, err := next(ctx, method)
		if err != nil && !unknown(ctx) {
			return rpc.Identity{}, err
		}
		if over := l.allow(ctx, method, identity.Name); over != nil {
			return identity, over
		}
		return identity, err
	}
}

// Stats returns the figures so far.
func (l *Limiter) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	for _, p := range l.peers {
		s.Peers += len(p.known)
	}
	return s
}

// unknown reports whether a server asks about a method that does not exist.
func unknown(ctx context.Context) bool {
	_, served := rpc.PeerFrom(ctx)
	return served && rpc.MethodFrom(ctx) == ""
}

// allow takes a token from each bucket of a call, or returns the error that
// refuses the call.
func (l *Limiter) allow(ctx context.Context, method, identity string) error {
	if err := l.checkMessages(method); err != nil {
		return err
	}
	own := l.methods[method]
	if l.isExempt(ctx, method) {
		if len(own) == 0 {
			return nil
		}
		return l.take(own, nil, nil)
	}
	var room [2]uint64
	hashes := l.hashes(ctx, identity, calling, room[:0]) // outside of the lock: keys are a user's code
	return l.take(own, l.all, hashes)
}

// isExempt reports whether only limits of [Method] apply to a call.
func (l *Limiter) isExempt(ctx context.Context, method string) bool {
	return l.exempt[method] && !unknown(ctx)
}

// take asks the buckets given, and those of the peers' limits that there are hashes for.
func (l *Limiter) take(own, all []shared, hashes []uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := take{now: time.Now()}
	for _, b := range all {
		t.ask(b.bucket, b.whose)
	}
	for _, b := range own {
		t.ask(b.bucket, b.whose)
	}
	var kept [2]*peer
	found := l.askPeers(&t, hashes, kept[:0])
	for _, peer := range found {
		if peer == nil {
			l.stats.Crowded++
		}
	}
	if t.pause > 0 {
		l.stats.Refused++
		return t.refusal()
	}
	l.stats.Allowed++
	l.use(&t, found)
	return nil
}

// guess asks the buckets that count a peer's refused calls of exempt methods, and
// takes from them if it is to count one.
func (l *Limiter) guess(hashes []uint64, count bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := take{now: time.Now()}
	var kept [2]*peer
	found := l.askPeers(&t, hashes, kept[:0])
	if t.pause > 0 {
		l.stats.Refused++
		return t.refusal()
	}
	if count {
		l.use(&t, found)
	}
	return nil
}

// askPeers asks the peers' buckets, and appends those that have a place.
func (l *Limiter) askPeers(t *take, hashes []uint64, found []*peer) []*peer {
	for i, hash := range hashes {
		peer, bucket := l.peers[i].find(hash, t.now)
		found = append(found, peer)
		t.ask(bucket, "each peer")
	}
	return found
}

// use takes a token from each bucket that was asked.
func (l *Limiter) use(t *take, found []*peer) {
	t.takeAll()
	for i, peer := range found {
		if peer != nil {
			l.peers[i].took(peer, t.now)
		}
	}
}

// hashes appends the hashed key of each limit per peer, of one of the two buckets
// that a peer has.
func (l *Limiter) hashes(ctx context.Context, identity string, use use, dst []uint64) []uint64 {
	if len(l.peers) > 0 && identity == "" {
		identity = rpc.IdentityFrom(ctx).Name
	}
	for _, p := range l.peers {
		dst = append(dst, p.hash(use, p.key(ctx, identity)))
	}
	return dst
}

// take is one call's way through its buckets: asked first, used if all agree.
type take struct {
	now     time.Time
	buckets []*rate.Limiter
	room    [4]*rate.Limiter

	pause time.Duration // until the last of them has a token; 0: all have one
	limit *rate.Limiter // that one
	whose string
}

// ask notes a bucket and how long the call would have to wait for it.
func (t *take) ask(b *rate.Limiter, whose string) {
	if t.buckets == nil {
		t.buckets = t.room[:0]
	}
	t.buckets = append(t.buckets, b)
	missing := 1 - b.TokensAt(t.now)
	if missing <= 0 {
		return
	}
	if pause := duration(missing / float64(b.Limit())); pause > t.pause {
		t.pause, t.limit, t.whose = pause, b, whose
	}
}

// takeAll takes a token from each bucket. They have one: the lock is held since they were asked.
func (t *take) takeAll() {
	for _, b := range t.buckets {
		b.AllowN(t.now, 1)
	}
}

// refusal is the error of a call that would have to wait.
func (t *take) refusal() *rpc.Error {
	e := rpc.Errorf(rpc.ResourceExhausted, "over the limit of %v calls a second for %s", float64(t.limit.Limit()), t.whose)
	ms := (t.pause + time.Millisecond - 1) / time.Millisecond
	e.Details = map[string]string{rpc.RetryAfterDetail: strconv.FormatInt(int64(ms), 10)}
	return e
}

// duration turns seconds into a duration, cut to nanoseconds as package rate does
// when it decides whether a bucket has a token.
func duration(seconds float64) time.Duration {
	return time.Duration(seconds * float64(time.Second))
}
