package attack_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An attack is made by some attackers at once, again and again.
type attack struct {
	name      string
	attackers int
	memory    int64 // what the options allow the victim to hold for all of them, in bytes
	also      also  // how the honest client calls, beside plain TCP
	once      func(a *attacker) error
}

// also is another way to call the victim.
type also int

const (
	nothing also = iota
	overTLS
	overHTTP
	overStreams
	fromElsewhere // connecting for each call, from another address than the attackers', with params that are counted
	overHTTPFromElsewhere
)

// What the options allow for a connection, in bytes.
const (
	perConn   = 64 << 10                     // goroutines, buffers, TLS
	perFrame  = perConn + maxMessage         // and a frame that arrives
	perUnread = perFrame + 2<<20             // and answers that are not read
	perCalls  = perConn + maxInFlight*growth // and the params of calls that run
	growth    = 3 * maxMessage               // the frame, what is decompressed, and the value
)

var attacks = []attack{
	{"garbage", 16, 16 * perConn, nothing, garbage},
	{"HTTP at the port of calls", 16, 16 * perConn, nothing, foreign},
	{"hello: never", 100, 100 * perConn, nothing, helloNever},
	{"hello: byte by byte", 100, 100 * perConn, nothing, helloDrip},
	{"hello: too long", 16, 16 * perConn, nothing, helloLong},
	{"hello: flood", 16, 16 * perConn, nothing, helloFlood},
	{"connections: reset", 16, 16 * perConn, nothing, reset},
	{"connections: idle", 200, 200 * perConn, nothing, idleConnection},
	{"connections: more than there may be", 8, maxConns * perConn, nothing, crowd},
	{"connections: all for one host", 8, maxConns * perConn, fromElsewhere, crowd},
	{"connections: half closed", 16, 16 * perFrame, nothing, halfClosed},
	{"frame: a length that is only claimed", 200, 200 * perConn, nothing, frameClaimed},
	{"frame: byte by byte", 100, 100 * perConn, nothing, frameDrip},
	{"frame: broken", 16, 16 * perConn, nothing, frameBroken},
	{"calls: unknown methods", 4, 4 * perUnread, nothing, unknownMethods},
	{"calls: params that do not decode", 4, 4 * perCalls, nothing, badParams},
	{"calls: metadata", 4, 4 * perUnread, nothing, manyPairs},
	{"calls: gzip bombs", 4, 4 * perCalls, nothing, bombs},
	{"calls: params that grow", 2, 2*perUnread + paramsMemory, nothing, growing},
	{"calls: all memory for params for one host", 1, memoryHogs*perUnread + paramsMemory, fromElsewhere, hogMemory},
	{"calls: more than announced", 4, 4 * perUnread, nothing, tooMany},
	{"calls: cancelled at once", 4, 4 * perUnread, nothing, cancels},
	{"calls: handlers that wait", 8, 8 * perCalls, nothing, waiting},
	{"calls: all handlers for one host", 2, 2 * (maxHandlers/maxInFlight + 1) * perUnread, fromElsewhere, hog},
	{"calls: handlers that panic", 4, 4 * perUnread, nothing, panics},
	{"unread: pongs", 4, 4 * perUnread, nothing, unreadPongs},
	{"unread: refusals", 4, 4 * perUnread, nothing, unreadRefusals},
	{"unread: small results", 4, 4 * perUnread, nothing, unreadResults},
	{"unread: large results", 4, 4 * (perUnread + connReplyMemory), nothing, unreadLarge},
	{"pings", 4, 4 * perUnread, nothing, pings},
	{"TLS: garbage", 16, 16 * perConn, overTLS, tlsGarbage},
	{"TLS: a handshake that stalls", 100, 100 * perConn, overTLS, tlsStalls},
	{"TLS: handshakes", 8, 8 * perConn, overTLS, tlsFlood},
	{"TLS: new keys, and answers unread", 16, 16 * perUnread, overTLS, tlsNewKeys},
	{"HTTP: headers byte by byte", 100, 100 * perConn, overHTTP, httpHeaderDrip},
	{"HTTP: a body byte by byte", gatewayInFlight / 2, gatewayInFlight / 2 * perFrame, overHTTP, httpBodyDrip},
	{"HTTP: a body that never comes", gatewayInFlight / 2, gatewayInFlight / 2 * perFrame, overHTTP, httpNoBody},
	{"HTTP: too large a body", 8, 8 * perFrame, overHTTP, httpLargeBody},
	{"HTTP: too large headers", 8, 8 * perConn, overHTTP, httpLargeHeaders},
	{"HTTP: extensions of chunks without end", 8, 8 * perFrame, overHTTP, httpChunkExtension},
	{"HTTP: an extension of a chunk byte by byte", gatewayInFlight / 2, gatewayInFlight / 2 * perFrame, overHTTP, httpChunkDrip},
	{"HTTP: trailers without end", 8, 8 * perFrame, overHTTP, httpTrailers},
	{"HTTP: a trailer byte by byte", gatewayInFlight / 2, gatewayInFlight / 2 * perFrame, overHTTP, httpTrailerDrip},
	{"HTTP: two requests in one", 8, 8 * perFrame, overHTTP, httpSmuggle},
	{"HTTP: answers that are not read", 16, 16 * perUnread, overHTTP, httpUnread},
	{"HTTP: all places for one host", 2, 2 * httpHogs * perFrame, overHTTPFromElsewhere, httpHog},
	{"HTTP: params that do not decode", 8, 8 * perFrame, overHTTP, httpBadParams},
	{"streams: unknown methods", 4, 4 * perUnread, overStreams, streamsRefused},
	{"streams: more than granted", 4, 4 * perStreams, overStreams, streamsTooMany},
	{"streams: never finished", 4, 4 * perStreams, overStreams, streamsNeverFinished},
	{"streams: cancelled at once", 4, 4 * perStreams, overStreams, streamsCancelled},
	{"streams: a thousand that stall", 4, 4 * perStreams, overStreams, streamsStalled},
	{"streams: a thousand full of items of one byte", 4, 4 * perStreams, overStreams, streamsSmall},
	{"streams: small items", 4, 4 * perStreams, overStreams, itemsSmall},
	{"streams: credit never", 4, 4 * perStreams, overStreams, creditNever},
	{"streams: credit byte by byte", 4, 4 * perStreams, overStreams, creditDrips},
	{"streams: all credit, and items unread", 4, 4 * (perStreams + connReplyMemory), overStreams, creditLarge},
	{"streams: places for large items", 4, 4 * perStreams, overStreams, placesHoarded},
	{"streams: wants, again and again", 4, 4 * perStreams, overStreams, wantsAgain},
	{"streams: items after the end", 4, 4 * perStreams, overStreams, afterEnd},
	{"streams: broken frames", 8, 8 * perStreams, overStreams, streamsBroken},
	{"streams: metadata", 4, 4 * perUnread, overStreams, streamsPairs},
	{"streams: gzip bombs", 4, 4 * (perStreams + connParamsMemory), overStreams, itemsGrow},
}

// garbageFactor and slack are what memory may grow beyond what is allowed: a heap may
// double before Go collects it, and takes whole pages.
const (
	garbageFactor = 2
	slack         = 32 << 20
)

// attackTime is how long each attack takes, as the environment variable ATTACK_TIME says;
// 0 if it does not.
func attackTime(t *testing.T) time.Duration {
	t.Helper()
	s := os.Getenv("ATTACK_TIME")
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	require.NoError(t, err)
	require.Positive(t, d)
	return d
}

// With ATTACK_TIME, attacks come one after the other, with all their attackers, and are
// measured. Otherwise each has one attacker for a moment, beside other attacks and other
// packages' tests, and what the victim has to do is checked alone.
func TestAttack(t *testing.T) {
	d := attackTime(t)
	v := newVictim(t, strong)
	for _, at := range attacks {
		t.Run(at.name, func(t *testing.T) {
			if d > 0 {
				at.run(t, v, d)
				return
			}
			t.Parallel()
			at.attackers = 1
			_, err := at.attack(t.Context(), v, 100*time.Millisecond, patience)
			assert.NoError(t, err, "the victim has to defend itself")
			newHonest(t, v, at.also).close()
		})
	}
}

// An attack that no victim could fail would prove nothing: without its limits of time, a
// victim is found out.
func TestAttack_FindsAWeakVictim(t *testing.T) {
	v := newVictim(t, weak)
	for _, at := range attacks {
		switch at.name {
		case "hello: never", "connections: idle", "frame: a length that is only claimed", "TLS: a handshake that stalls", "HTTP: a body that never comes", "streams: never finished":
			t.Run(at.name, func(t *testing.T) {
				t.Parallel()
				at.attackers = 1
				_, err := at.attack(t.Context(), v, time.Second, 100*time.Millisecond)
				assert.ErrorContains(t, err, "the connection is still open")
			})
		}
	}
}

// run makes the attack for that long, beside an honest client.
func (at attack) run(t *testing.T, v *victim, d time.Duration) {
	h := newHonest(t, v, at.also)
	before := v.ask(t, "begin")
	ctx, cancel := context.WithCancel(t.Context())
	var honestWork sync.WaitGroup
	honestWork.Go(func() { h.work(ctx) })
	done, err := at.attack(t.Context(), v, d, patience)
	cancel()
	honestWork.Wait()
	h.close()
	after := v.ask(t, "state")
	settle(t, v, before.Goroutines)

	budget := at.memory*garbageFactor + slack
	t.Logf("%6d attacks; honest calls: %4d, %d failed, p99 %v, slowest %v; memory: %4.1f MiB more, of %5.1f allowed",
		done, len(h.took), len(h.fails), h.p99().Round(10*time.Microsecond), h.took[len(h.took)-1].Round(10*time.Microsecond),
		float64(after.Peak-after.Base)/(1<<20), float64(budget)/(1<<20))
	assert.NoError(t, err, "the victim has to defend itself")
	assert.NoError(t, errors.Join(h.fails...), "calls of the honest client")
	assert.Less(t, h.p99(), time.Second, "what 99 in 100 calls of the honest client took")
	assert.Less(t, after.Peak-after.Base, budget, "bytes that the victim held more")
	assert.Positive(t, done)
}

// attack has all attackers attack for that long, and returns how often something was done.
func (at attack) attack(ctx context.Context, v *victim, d, patience time.Duration) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var wg sync.WaitGroup
	var done, held atomic.Int64
	errs := make([]error, at.attackers)
	for i := range errs {
		wg.Go(func() {
			a := &attacker{ctx: ctx, victim: v, done: &done, held: &held, patience: patience}
			for ctx.Err() == nil && errs[i] == nil {
				errs[i] = at.once(a)
			}
		})
	}
	wg.Wait()
	return done.Load(), errors.Join(errs...)
}

// settle waits until the attackers have left nothing behind: no goroutine more than
// before, when the honest client was there.
func settle(t *testing.T, v *victim, before int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.Now().Add(2 * patience)
	for now := v.ask(t, "state").Goroutines; now > before; now = v.ask(t, "state").Goroutines {
		if time.Now().After(end) {
			t.Errorf("%d goroutines are left, there were %d", now, before)
			return
		}
		<-tick.C
	}
}
