package ratelimit

import (
	"context"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// caller is a key that the tests choose.
type caller struct{}

func by(ctx context.Context, _ string) string { s, _ := ctx.Value(caller{}).(string); return s }

func as(t *testing.T, name string) context.Context {
	return context.WithValue(t.Context(), caller{}, name)
}

func newLimiter(t testing.TB, limits ...Option) *Limiter {
	t.Helper()
	l, err := New(limits...)
	require.NoError(t, err)
	return l
}

// allowed counts how many of n calls at once are let through.
func allowed(ctx context.Context, l *Limiter, method string, n int) (passed int) {
	for range n {
		if _, err := l.Authorize(ctx, method); err == nil {
			passed++
		}
	}
	return passed
}

// pauseOf returns the pause that a refusal asks for.
func pauseOf(t *testing.T, l *Limiter, ctx context.Context, method string) time.Duration {
	t.Helper()
	_, err := l.Authorize(ctx, method)
	require.ErrorIs(t, err, rpc.ResourceExhausted)
	pause, ok := rpc.RetryAfter(err)
	require.True(t, ok)
	return pause
}

func TestNew_RefusesLimitsThatAreNone(t *testing.T) {
	for name, limit := range map[string]Option{
		"zero":             Server(0, 1),
		"negative":         Server(-1, 1),
		"not a number":     Server(math.NaN(), 1),
		"infinite":         Server(math.Inf(1), 1),
		"no burst":         Server(1, 0),
		"negative burst":   Method("A.B", 1, -1),
		"years":            Method("A.B", 1e-9, 1),
		"zero for a peer":  Peer(Host, 0, 1),
		"no places":        Peers(0, Host, 1, 1),
		"negative places":  Peers(-1, Host, 1, 1),
		"nobody to tell":   Peer(nil, 1, 1),
		"burst of a peer":  Peer(Host, 1, 0),
		"years for a peer": Peer(Host, 1, math.MaxInt),
		"a whole service":  Method("A.*", 1, 1),
		"no method":        Method("", 1, 1),
		"a service":        Method("A", 1, 1),
		"exempt service":   Exempt("A.B", "A.*"),
		"exempt nothing":   Exempt(),
	} {
		l, err := New(Server(1, 1), limit)
		assert.Nil(t, l, name)
		assert.ErrorContains(t, err, "ratelimit: ", name)
	}
}

func TestNew_RefusesHealthThatIsExemptAndLimited(t *testing.T) {
	for _, options := range [][]Option{{LimitHealth(), Exempt("Health.Check")}, {Exempt("A.B", "Health.Check"), LimitHealth()}} {
		_, err := New(options...)
		assert.ErrorContains(t, err, "ratelimit: Exempt names Health.Check, and LimitHealth is given, too")
	}
}

func TestLimiter_WithoutLimitsLetsThroughEverything(t *testing.T) {
	assert.Equal(t, 1000, allowed(t.Context(), newLimiter(t), "A.B", 1000))
}

func TestLimiter_TakesABurstAndThenTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Server(10, 5))
		assert.Equal(t, 5, allowed(t.Context(), l, "A.B", 100))
		assert.Equal(t, 100*time.Millisecond, pauseOf(t, l, t.Context(), "A.B"))
		<-time.After(99 * time.Millisecond)
		assert.Equal(t, time.Millisecond, pauseOf(t, l, t.Context(), "A.B"), "refused calls use up nothing")
		<-time.After(time.Millisecond)
		assert.Equal(t, 1, allowed(t.Context(), l, "A.B", 100))
		<-time.After(time.Hour)
		assert.Equal(t, 5, allowed(t.Context(), l, "A.B", 100), "no more than the burst is saved up")
		assert.Equal(t, Stats{Allowed: 11, Refused: 95 + 2 + 99 + 95}, l.Stats())
	})
}

func TestLimiter_WhoWaitsTheWholePauseIsLetThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, perSecond := range []float64{0.3, 3, 7, 10, 33.3, 999, 1e4} {
			l := newLimiter(t, Server(perSecond, 1))
			for i := range 20 {
				require.Equal(t, 1, allowed(t.Context(), l, "A.B", 1), "%v: call %d", perSecond, i)
				<-time.After(pauseOf(t, l, t.Context(), "A.B"))
			}
		}
	})
}

func TestLimiter_RefusedCallTakesNothingElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Server(1, 10), Method("A.Dear", 1, 2), Peer(by, 1, 4))
		assert.Equal(t, 2, allowed(as(t, "ann"), l, "A.Dear", 50))
		assert.Equal(t, 2, allowed(as(t, "ann"), l, "A.Cheap", 50), "48 refusals have not used up ann's limit")
		assert.Equal(t, 4, allowed(as(t, "bob"), l, "A.Cheap", 50))
		assert.Equal(t, 2, allowed(as(t, "eve"), l, "A.Cheap", 50), "nor the server's")
	})
}

func TestLimiter_AsksForTheLongestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Server(10, 1), Method("A.B", 0.5, 1), Peer(by, 1, 1))
		assert.Equal(t, 1, allowed(t.Context(), l, "A.B", 1))
		_, err := l.Authorize(t.Context(), "A.B")
		assert.EqualError(t, err, "rpc: resource_exhausted: over the limit of 0.5 calls a second for A.B")
		assert.Equal(t, 2*time.Second, pauseOf(t, l, t.Context(), "A.B"))
	})
}

func TestLimiter_LimitsMethodsByTheirExactNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Method("A.B", 1, 1))
		assert.Equal(t, 1, allowed(t.Context(), l, "A.B", 9))
		for _, other := range []string{"A.C", "a.b", "A.B ", "A.B.C"} {
			assert.Equal(t, 9, allowed(t.Context(), l, other, 9), "%q", other)
		}
	})
}

func TestLimiter_GreedyPeerLeavesTheOthersTheirs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Peer(by, 10, 2))
		passed := map[string]int{}
		for range 100 { // one second
			for name, calls := range map[string]int{"greedy": 100, "modest": 1} {
				passed[name] += allowed(as(t, name), l, "A.B", calls)
			}
			<-time.After(10 * time.Millisecond)
		}
		assert.InDelta(t, 11, passed["greedy"], 1)
		assert.InDelta(t, 11, passed["modest"], 1, "as many as a peer that calls a hundred times as often")
	})
}

func TestPeers_MadeUpOnesTakeBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Peers(100, by, 1, 5))
		long := strings.Repeat("x", 8<<10)
		passed := 0
		for i := range 5000 {
			passed += allowed(as(t, long+strconv.Itoa(i)), l, "A.B", 1)
		}
		assert.Equal(t, 100+5, passed, "those who have no place share one bucket")
		assert.Equal(t, Stats{Allowed: 105, Refused: 4895, Crowded: 4900, Peers: 100}, l.Stats())
		assert.Len(t, l.peers[0].byFull, 100)
	})
}

func TestPeers_RefusedOnesTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Server(1, 3), Peer(by, 1, 5))
		for i := range 100 {
			l.Authorize(as(t, strconv.Itoa(i)), "A.B")
		}
		assert.Equal(t, 3, l.Stats().Peers)
	})
}

func TestPeers_NobodyGetsAFreshBurstByCrowdingOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Peers(10, by, 1, 60))
		assert.Equal(t, 60, allowed(as(t, "limited"), l, "A.B", 100))
		for second := range 59 {
			for i := range 1000 {
				l.Authorize(as(t, fmt.Sprint(second, " ", i)), "A.B")
			}
			<-time.After(time.Second)
		}
		assert.Equal(t, 59, allowed(as(t, "limited"), l, "A.B", 100), "one a second, as for somebody alone")
	})
}

func TestPeers_FullBucketsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Peers(3, by, 1, 4))
		for i, name := range []string{"a", "b", "c"} {
			assert.Equal(t, 3-i, allowed(as(t, name), l, "A.B", 3-i)) // full after 3, 2 and 1 seconds
		}
		<-time.After(1500 * time.Millisecond)
		assert.Equal(t, 4, allowed(as(t, "d"), l, "A.B", 9), "in the place of c")
		assert.Zero(t, l.Stats().Crowded)
		assert.NotNil(t, l.peers[0].known[l.peers[0].hash(calling, "a")])
		assert.Nil(t, l.peers[0].known[l.peers[0].hash(calling, "c")])
		assert.Equal(t, 2, allowed(as(t, "a"), l, "A.B", 9), "1 was left, and 1.5 have been added")
	})
}

func TestPeers_SeveralLimitsEachByItsKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		everyone := func(context.Context, string) string { return "" }
		l := newLimiter(t, Peer(by, 1, 2), Peer(everyone, 1, 5), Peer(by, 1, 3))
		assert.Equal(t, 2, allowed(as(t, "ann"), l, "A.B", 9))
		assert.Equal(t, 2, allowed(as(t, "bob"), l, "A.B", 9))
		assert.Equal(t, 1, allowed(as(t, "eve"), l, "A.B", 9))
	})
}

func TestLimiter_CountsExactlyUnderManyCallers(t *testing.T) {
	l := newLimiter(t, Server(1e-3, 500), Peer(by, 1e-3, 100))
	var wg sync.WaitGroup
	passed := make([]int, 8)
	for i := range passed {
		wg.Go(func() { passed[i] = allowed(as(t, strconv.Itoa(i%4)), l, "A.B", 100) })
	}
	wg.Wait()
	sum := 0
	for _, n := range passed {
		sum += n
	}
	assert.Equal(t, 400, sum)
	assert.Equal(t, Stats{Allowed: 400, Refused: 400, Peers: 4}, l.Stats())
}

func TestBeforeAndAfter_WhoseCallsCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook := func(ctx context.Context, _ string) (rpc.Identity, error) {
			if name := by(ctx, ""); name != "stranger" {
				return rpc.Identity{Name: name}, nil
			}
			return rpc.Identity{}, rpc.Unauthenticated
		}
		after := newLimiter(t, Server(1, 3), Peer(Identity, 1, 2))
		authorize := after.After(hook)
		for range 9 {
			_, err := authorize(as(t, "stranger"), "A.B")
			assert.ErrorIs(t, err, rpc.Unauthenticated)
		}
		for i, name := range []string{"ann", "ann", "bob"} {
			identity, err := authorize(as(t, name), "A.B")
			assert.NoError(t, err, "%d", i)
			assert.Equal(t, name, identity.Name)
		}
		_, err := authorize(as(t, "bob"), "A.B")
		assert.ErrorIs(t, err, rpc.ResourceExhausted, "the server's 3 are used up")

		authorize = newLimiter(t, Server(1, 3)).Before(hook)
		for i, want := range []rpc.Code{rpc.Unauthenticated, rpc.OK, rpc.Unauthenticated, rpc.ResourceExhausted} {
			name := []string{"stranger", "ann"}[i%2]
			_, err := authorize(as(t, name), "A.B")
			assert.Equal(t, want, rpc.CodeOf(err), "%d", i)
		}
	})
}

// An exempt method must not be where tokens are tried out.
func TestBefore_LimitsTheGuessesAtExemptMethods(t *testing.T) {
	hook := func(ctx context.Context, _ string) (rpc.Identity, error) {
		switch ctx.Value(caller{}) {
		case "wrong":
			return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no such token")
		case "poor":
			return rpc.Identity{}, rpc.PermissionDenied
		case "broken":
			return rpc.Identity{}, rpc.Unavailable
		}
		return rpc.Identity{Name: "ann"}, nil
	}
	// Each story is calls of an exempt method by one peer, then what the peer may still do.
	for name, c := range map[string]struct {
		limits []Option
		calls  []string
		want   []rpc.Code
		other  int // calls of another method that are let through afterwards
	}{
		"right ones are free":        {[]Option{Server(1, 2), Peer(Host, 1, 2)}, []string{"ann", "ann", "ann", "ann"}, []rpc.Code{0, 0, 0, 0}, 2},
		"wrong ones take":            {[]Option{Server(1, 3)}, []string{"wrong", "poor"}, []rpc.Code{rpc.Unauthenticated, rpc.PermissionDenied}, 1},
		"other failures do not":      {[]Option{Server(1, 3)}, []string{"broken", "broken"}, []rpc.Code{rpc.Unavailable, rpc.Unavailable}, 3},
		"of the server":              {[]Option{Server(1, 1)}, []string{"wrong", "wrong", "ann"}, []rpc.Code{rpc.Unauthenticated, rpc.ResourceExhausted, 0}, 0},
		"the right one tells no one": {[]Option{Peer(Host, 1, 2)}, []string{"wrong", "wrong", "wrong", "ann"}, []rpc.Code{rpc.Unauthenticated, rpc.Unauthenticated, rpc.ResourceExhausted, rpc.ResourceExhausted}, 0},
		"nor under load":             {[]Option{Server(1, 1), Peer(Host, 1, 2)}, []string{"wrong", "wrong", "ann"}, []rpc.Code{rpc.Unauthenticated, rpc.ResourceExhausted, rpc.ResourceExhausted}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLimiter(t, append(c.limits, Exempt("A.Free"))...)
				authorize := l.Before(hook)
				for i, by := range c.calls {
					_, err := authorize(as(t, by), "A.Free")
					assert.Equal(t, c.want[i], rpc.CodeOf(err), "call %d, by %s", i, by)
				}
				assert.Equal(t, c.other, allowed(as(t, "ann"), l, "A.B", 9))
				<-time.After(time.Hour)
				_, err := authorize(as(t, "ann"), "A.Free")
				assert.NoError(t, err)
			})
		})
	}
}

// A peer under load is not one that guesses: its probes go on.
func TestBefore_ExemptCallsOfABusyPeerAreFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, Server(1, 5), Peer(by, 1, 2))
		authorize := l.Before(func(ctx context.Context, method string) (rpc.Identity, error) {
			if by(ctx, "") == "eve" {
				return rpc.Identity{}, rpc.Unauthenticated
			}
			return rpc.Identity{}, nil
		})
		for range 20 {
			authorize(as(t, "ann"), "A.B")
			authorize(as(t, "eve"), "Health.Check")
			_, err := authorize(as(t, "ann"), "Health.Check")
			assert.NoError(t, err)
		}
		stats := l.Stats()
		assert.EqualValues(t, 4, stats.Allowed, "ann's two, and two guesses of eve")
		assert.EqualValues(t, 18+18, stats.Refused)
	})
}

// hostOf returns what Host says of a peer with that address.
func hostOf(t *testing.T, addr net.Addr) (host string) {
	t.Helper()
	srv := rpc.NewServer(rpc.WithAuthorize(func(ctx context.Context, _ string) (rpc.Identity, error) {
		host = Host(ctx, "")
		return rpc.Identity{}, nil
	}))
	require.NoError(t, srv.RegisterFunc("A.B", func() error { return nil }))
	_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "A.B", Codec: rpc.JSON, Peer: &rpc.Peer{Addr: addr}})
	require.NoError(t, err)
	return host
}

type textAddr string

func (textAddr) Network() string  { return "text" }
func (a textAddr) String() string { return string(a) }

func TestHost_IsTheAddressWithoutPort(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		require.NoError(t, err)
		return a
	}
	for want, addrs := range map[string][]net.Addr{
		"192.0.2.1":         {tcp("192.0.2.1:1"), tcp("192.0.2.1:2"), tcp("[::ffff:192.0.2.1]:3"), textAddr("192.0.2.1:4"), textAddr("[::ffff:192.0.2.1]:5"), textAddr("192.0.2.1"), textAddr("::ffff:192.0.2.1"), textAddr("[192.0.2.1]")},
		"192.0.2.2":         {textAddr("192.0.2.2"), &net.IPAddr{IP: net.IPv4(192, 0, 2, 2)}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 4}},
		"2001:db8:1:2::/64": {tcp("[2001:db8:1:2::1]:1"), tcp("[2001:db8:1:2:ffff::9]:1"), textAddr("[2001:db8:1:2::3]:4"), textAddr("2001:db8:1:2::3"), textAddr("[2001:db8:1:2::3]")},
		"2001:db8:1:3::/64": {tcp("[2001:db8:1:3::1]:1")},
		"fe80::/64":         {tcp("[fe80::1%lo]:1"), tcp("[fe80::1%eth0]:1"), textAddr("fe80::1%eth0"), textAddr("[fe80::1%lo]"), &net.IPAddr{IP: net.ParseIP("fe80::1"), Zone: "lo"}},
		"unix":              {&net.UnixAddr{Net: "unix"}, &net.UnixAddr{Net: "unix", Name: "@"}},
		"text":              {textAddr("somewhere"), textAddr("[192.0.2.1"), textAddr("192.0.2.1]"), textAddr("[]"), textAddr(""), textAddr("192.0.2.1:99999"), textAddr("[192.0.2.1]]")},
		"":                  {nil},
	} {
		for _, addr := range addrs {
			assert.Equal(t, want, hostOf(t, addr), "%v", addr)
		}
	}
	assert.Equal(t, "", Host(t.Context(), ""), "no call")
	assert.NotPanics(t, func() { hostOf(t, (*net.TCPAddr)(nil)) })
}

func BenchmarkLimiter(b *testing.B) {
	l := newLimiter(b, Server(1e12, 1e12), Method("A.B", 1e12, 1e12), Peer(by, 1e6, 1e6))
	contexts := make([]context.Context, 1<<16)
	for i := range contexts {
		contexts[i] = context.WithValue(b.Context(), caller{}, strconv.Itoa(i))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Authorize(contexts[i%len(contexts)], "A.B")
		i++
	}
}
