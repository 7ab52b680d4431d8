package rpc

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// rawFrom connects a raw client at an address to srv.
func rawFrom(t *testing.T, srv *Server, addr string) *rawConn {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(fromConn{far, net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr))})
	r := rawOn(t, near)
	hello := wire.ClientHello{Codec: "json", MaxMessage: 1 << 20}
	r.write(hello.Append(nil))
	_, err := wire.ReadHello(near, wire.MaxHello)
	require.NoError(t, err)
	return r
}

// A few connections took three quarters of the memory for params, and more of them, each of
// which held little, took the rest.
func TestMemory_OneHostLeavesParamsToOthers(t *testing.T) {
	const most, large, small = 4 << 20, 350, 22 // elements, each of which counts as 2.6 KB
	bubble(t, func(t *testing.T) {
		g := newGrowing(t, WithParamsMemory(most, most/4))
		defer g.Close()
		g.began = make(chan struct{}, 1000)
		call := func(addr string, n int) *Pending {
			client := pipeFrom(t, g.Server, addr)
			require.NoError(t, client.Ping(t.Context()))
			pending := client.Go(t.Context(), grown, &encodedText{rows(n)}, nil)
			synctest.Wait()
			return pending
		}
		var hogs []*Pending
		for port := range 10 {
			hogs = append(hogs, call(fmt.Sprintf("10.0.0.1:%d", port+1), large))
		}
		for port := range 60 {
			hogs = append(hogs, call(fmt.Sprintf("10.0.0.1:%d", port+101), small))
		}
		held := g.params.leased
		assert.GreaterOrEqual(t, held, int64(most*3/4), "until it is scarce, one address may have it")
		assert.LessOrEqual(t, held, int64(most*7/8))
		refused := call("10.0.0.1:1000", small)
		err := refused.Wait()
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.ErrorContains(t, err, "there is no room for more from this address now (WithPeerMemory)")
		assert.True(t, NeverRan(err))
		_, pause := RetryAfter(err)
		assert.True(t, pause)

		before := g.runs.Load()
		honest := []*Pending{call("10.0.0.2:1", small), call("10.0.0.2:2", small), call("[2001:db8::1]:1", small)}
		assert.EqualValues(t, 3, g.runs.Load()-before, "others find room")
		close(g.hold)
		for _, pending := range honest {
			assert.NoError(t, pending.Wait())
		}
		for _, pending := range hogs {
			pending.Wait()
		}
		require.NoError(t, call("10.0.0.1:1001", large).Wait(), "there is room again")
		g.Close()
		assert.Zero(t, g.params.leased)
	})
}

func TestMemory_OneHostLeavesRepliesToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, _ := newBig(t, 25_000, WithReplyMemory(4<<20, 1<<20), WithWriteTimeout(time.Hour))
		for port := range 100 { // none of them reads
			results := 2
			if port < 5 {
				results = 100
			}
			rawFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1)).askFor(bigText, results)
			synctest.Wait()
		}
		assert.LessOrEqual(t, srv.replies.leased, int64(4<<20*7/8))
		assert.GreaterOrEqual(t, srv.replies.leased, int64(3<<20))
		begun := time.Now()
		for host := range 3 {
			honest := pipeFrom(t, srv, fmt.Sprintf("10.0.1.%d:1", host))
			assert.NoError(t, honest.Call(timeout(t, time.Minute), bigText, nil, new(string)))
			assert.NoError(t, honest.Call(timeout(t, time.Minute), bigText+"Quick", nil, new(string)))
		}
		assert.Zero(t, time.Since(begun))
		srv.Close()
		assert.Zero(t, srv.replies.leased)
	})
}

func TestMemory_OneHostLeavesStreamsToOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithMaxMessage(8<<10), WithStreamMemory(2<<20), WithConnStreamMemory(512<<10))
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
			out.Send(ctx, &change{N: 1})
			<-ctx.Done()
			return ctx.Err()
		}))
		open := func(client *Client) error {
			stream, err := syncing.Open(t.Context(), client)
			require.NoError(t, err)
			_, err = stream.Receive(t.Context())
			return err
		}
		refused := 0
		for port := range 40 {
			hog := pipeFrom(t, srv, fmt.Sprintf("10.0.0.1:%d", port+1))
			for range 5 {
				if err := open(hog); err != nil {
					assert.ErrorIs(t, err, ResourceExhausted)
					refused++
				}
			}
		}
		assert.Positive(t, refused)
		for host := range 3 {
			honest := pipeFrom(t, srv, fmt.Sprintf("10.0.1.%d:1", host))
			for range 2 {
				assert.NoError(t, open(honest))
			}
		}
		srv.Close()
		assert.Zero(t, srv.streams.leased)
	})
}

// What one address can have of windows, and of loans for large items, leaves some of both
// to another one, in whatever order it takes them.
func TestMemory_OneHostLeavesWindowsAndPlacesToOthers(t *testing.T) {
	const most, window, loan = 64 << 20, 16 << 10, 288 << 10
	for name, order := range map[string][]bool{"windows first": {false, true}, "loans first": {true, false}} {
		t.Run(name, func(t *testing.T) {
			all := newMemory(most)
			all.setLoansAside(loan)
			var hog, honest origin
			for _, loans := range order {
				for range 2 * most / loan {
					var m streamMemory
					m.leaseFrom(all, 4<<20, loan, hog.ownStreams())
					if loans {
						m.loan.take(loan)
						continue
					}
					for m.promise(window) {
					}
				}
			}
			assert.Equal(t, hog.streams, all.leased)
			assert.LessOrEqual(t, all.leased, int64(most))
			for range 4 {
				var m streamMemory
				m.leaseFrom(all, 4<<20, loan, honest.ownStreams())
				assert.True(t, m.promise(window))
				assert.True(t, m.loan.take(loan))
			}
			assert.LessOrEqual(t, all.leased, int64(most))
		})
	}
}

// A share that is as large as the memory is no limit, and a peer whose address is not known
// has none.
func TestMemory_AShareOfAllTurnsFairnessOff(t *testing.T) {
	for name, c := range map[string]struct {
		peer int
		from *origin
		want int64
	}{
		"default":   {0, new(origin), 7 << 20},
		"all":       {8 << 20, new(origin), 8 << 20},
		"more":      {1 << 40, new(origin), 8 << 20},
		"not known": {0, nil, 8 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			all := newMemory(8 << 20)
			all.setPeer(c.peer)
			for range 100 {
				s := all.newShare(2 << 20)
				s.own = c.from.ownStreams()
				for s.take(64 << 10) {
				}
			}
			assert.Equal(t, c.want, all.leased)
		})
	}
}
