package attack_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
	"example.com/rpc-from-scratch/final/rpc"
)

// A serverAttack is what a hostile server does to its clients: all connections that they
// make, it treats in the same way.
type serverAttack struct {
	name  string
	hello func(n int64) *wire.ServerHello // for connection n; nil: one that grants all
	talk  func(h *hostile)                // after the hellos
	ends  string                          // codes that calls or streams must end with before the attack is over: all of "a,b", or one of "a|b"
}

// The code ok is that of a call that is answered, and of an item that is received.
var serverAttacks = []serverAttack{
	{"hello: nonsense", nonsense, briefly, "ok,unavailable"},
	{"hello: none", noHello, answers, "deadline_exceeded"},
	{"connections: closed after the hello", nil, func(*hostile) {}, "unavailable"},
	{"replies: gzip bombs", nil, replyBombs, "resource_exhausted"},
	{"replies: gzip up to the limit, all at once", nil, replyLimits, "ok"},
	{"replies: gzip whose trailer lies", nil, replyLies, "internal"},
	{"replies: nested", nil, replyNested, "internal"},
	{"replies: to calls that do not exist", nil, replyUnknown, "unavailable"},
	{"replies: a length that is only claimed", nil, replyClaimed, "unavailable"},
	{"replies: never", nil, (*hostile).drop, "deadline_exceeded"},
	{"errors: details without end", nil, manyDetails, "not_found"},
	{"metadata: of replies, and headers again and again", nil, manyHeaders, "internal"},
	{"go-aways, again and again", nil, goAways, "unavailable"},
	// The client has no time for its calls, or ends a connection whose pongs are not read.
	{"pings", nil, serverPings, "deadline_exceeded|unavailable"},
	{"pings, and pongs unread", nil, serverPingsUnread, "deadline_exceeded|unavailable"},
	{"items: gzip bombs", nil, itemBombs, "resource_exhausted"},
	{"items: gzip up to the limit", nil, itemLimits, "ok"},
	{"items: beyond credit", nil, itemsBeyond, "unavailable"},
	{"items: a part without end", nil, itemParts, "unavailable"},
	{"credit that nobody asked for", nil, creditUnasked, "unavailable"},
	{"wants, again and again", nil, serverWants, "deadline_exceeded"},
}

// What a client holds: a connection and the windows of its streams, as its options say, and
// for each call, and each stream that receives, the frame, what is decompressed, and the value.
const (
	clientMessage = 64 << 10
	clientStreams = 512 << 10
	clientBudget  = 2*perConn + clientMessage + clientStreams + (hostileCallers+hostileReceivers)*3*clientMessage
)

// Each attack lasts until the client's calls have ended as they must. With ATTACK_TIME it lasts
// so long at least, and is measured.
func TestAttackOnClient(t *testing.T) {
	d := attackTime(t)
	v := startVictim(t, clientVictim)
	fair := honestServer(t)
	for _, at := range serverAttacks {
		t.Run(at.name, func(t *testing.T) {
			at.run(t, v, fair, d)
		})
	}
}

// honestServer is where the client under attack makes its other calls.
func honestServer(t *testing.T) (addr string) {
	t.Helper()
	srv := rpc.NewServer(victimOptions())
	require.NoError(t, registerVictim(srv))
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	go srv.Serve(ln)
	t.Cleanup(func() { srv.Close() })
	return ln.Addr().String()
}

func (at serverAttack) run(t *testing.T, v *victim, fair string, d time.Duration) {
	addr, done := at.serve(t)
	before := v.ask(t, "begin")
	var started, ended clientReport
	v.tell(t, fmt.Sprintf("start %s %s", addr, fair), &started)
	v.tell(t, fmt.Sprintf("stop %s %s %s", addr, d, at.ends), &ended)
	assert.True(t, hasEnds(ended.Ends, at.ends), "calls must have ended with %s: %v", at.ends, ended.Ends)
	assert.Empty(t, ended.Unclear, "how calls have ended")
	assert.Empty(t, ended.HonestFails, "calls to the honest server")
	assert.Positive(t, done.Load())
	if d == 0 {
		return
	}
	after := v.ask(t, "state")
	settle(t, v, before.Goroutines)
	for code, said := range ended.Said {
		t.Logf("%s: %.200s", code, said)
	}
	const budget = clientBudget*garbageFactor + slack
	t.Logf("%6d frames; hostile: %v; honest calls: %4d, p99 %v; memory: %4.1f MiB more, of %5.1f allowed", done.Load(),
		ended.Ends, ended.Honest, ended.P99.Round(10*time.Microsecond), float64(after.Peak-after.Base)/(1<<20), float64(budget)/(1<<20))
	assert.Less(t, ended.P99, time.Second, "what 99 in 100 calls to the honest server took")
	assert.Less(t, after.Peak-after.Base, int64(budget), "bytes that the client held more")
}

// serve listens until the test ends.
func (at serverAttack) serve(t *testing.T) (addr string, done *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	done = new(atomic.Int64)
	all.Go(func() {
		for n := int64(0); ; n++ {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			all.Go(func() {
				defer conn.Close()
				defer context.AfterFunc(ctx, func() { conn.Close() })()
				at.treat(&hostile{ctx: ctx, conn: conn, done: done}, n)
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		ln.Close()
		all.Wait()
	})
	return ln.Addr().String(), done
}

// treat says the hello of connection n, and then what the attack is about.
func (at serverAttack) treat(h *hostile, n int64) {
	if _, err := wire.ReadHello(h.conn, wire.MaxHello); err != nil {
		return
	}
	say := &wire.ServerHello{InFlight: 1 << 10, MaxMessage: 4 << 20, Text: allGranted}
	if at.hello != nil {
		say = at.hello(n)
		h.done.Add(1)
	}
	if say != nil {
		h.write(say.Append(nil))
		at.talk(h)
	}
}

const allGranted = "rpc.compression=gzip rpc.reply-metadata=1 rpc.streams=1024,16384 rpc.params=16777216,16777216"
