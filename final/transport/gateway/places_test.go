package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// One address had all places of the gateway, and the others got 429.
func TestPlaces_OneHostLeavesSomeToOthers(t *testing.T) {
	for name, path := range map[string]string{"requests": "/rpc/Test.Wait", "streams": watchPath} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := rpc.NewServer()
				defer srv.Close()
				registerStreams(t, srv, newWatcher())
				require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error {
					<-ctx.Done()
					return nil
				}))
				g := New(srv, WithMaxInFlight(64), WithMaxStreams(64))
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				ask := func(from string) *httptest.ResponseRecorder {
					w := httptest.NewRecorder()
					r := httptest.NewRequestWithContext(ctx, http.MethodPost, path, strings.NewReader(`{"Count":1,"Then":"wait"}`))
					r.Header.Set("Content-Type", "application/json")
					r.RemoteAddr = from
					go g.ServeHTTP(w, r)
					synctest.Wait()
					return w
				}
				taken := func() int {
					if path == watchPath {
						return g.streams.taken
					}
					return g.places.taken
				}
				for range 70 {
					ask("10.0.0.1:1")
				}
				assert.Equal(t, 48, taken(), "three quarters of the places can be had")
				refused := ask("10.0.0.1:1")
				assert.Equal(t, http.StatusTooManyRequests, refused.Code)
				assert.Contains(t, refused.Body.String(), "more than 4 "+name+" of this address are ")
				assert.Contains(t, refused.Body.String(), ", and more than 48 in all (WithPeerShare)")
				for range 5 {
					ask("[2001:db8::1]:1")
					ask("[2001:db8::2]:1")
				}
				assert.Equal(t, 52, taken(), "a network has a share")
				for range 5 {
					ask("@") // not known
				}
				assert.Equal(t, 57, taken())
				ask("10.0.0.3")
				assert.Equal(t, 58, taken(), "without a port")
				leave()
				synctest.Wait()
				assert.Zero(t, taken())
				assert.Empty(t, g.places.own)
				assert.Empty(t, g.streams.own)
			})
		})
	}
}

// All clients behind one proxy may have one address. Slow bodies of some do not keep the
// others out, and take no place of another address.
func TestPlaces_SlowBodiesOfAnAddressGiveWayToItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ps places
		proxy, other := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
		var gaveUp []netip.Addr
		b := boundOf(64, 0)
		take := func(from netip.Addr) *place {
			p, _ := ps.take(b, 0, from, func() { gaveUp = append(gaveUp, from) })
			return p
		}
		require.NotNil(t, take(other))
		for range 47 {
			require.NotNil(t, take(proxy))
		}
		assert.Nil(t, take(proxy), "none has taken its time yet")
		<-time.After(evictAfter)
		assert.NotNil(t, take(proxy))
		assert.Equal(t, []netip.Addr{proxy}, gaveUp)
		for range 16 {
			require.NotNil(t, take(netip.Addr{}))
		}
		assert.NotNil(t, take(netip.MustParseAddr("10.0.0.3")), "no place is free: the oldest body gives its own")
		assert.Equal(t, []netip.Addr{proxy, other}, gaveUp)
		assert.Equal(t, 64, ps.taken)
		assert.Equal(t, map[netip.Addr]int{proxy: 47, netip.MustParseAddr("10.0.0.3"): 1}, ps.own)
	})
}

func TestPlaces_TheShareIsASixteenthOrWhatIsSet(t *testing.T) {
	for _, c := range []struct{ all, set, want int }{
		{1024, 0, 64}, {64, 0, 4}, {63, 0, 63}, {1, 0, 1}, {64, 7, 7}, {4, 1, 1}, {64, 1000, 1000},
	} {
		assert.Equal(t, bound{c.all, c.want}, boundOf(c.all, c.set))
	}
	assert.Panics(t, func() { New(rpc.NewServer(), WithPeerShare(-1, 0)) })
	assert.Panics(t, func() { New(rpc.NewServer(), WithPeerShare(0, -1)) })
	var o options
	WithPeerShare(3, 4)(&o)
	assert.Equal(t, []int{3, 4}, []int{o.peerInFlight, o.peerStreams})
}
