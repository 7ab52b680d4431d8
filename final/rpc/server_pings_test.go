package rpc

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

func TestServer_TooManyPingsEndTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		raw := rawClient(t, srv, "json")
		defer raw.conn.Close()
		ping := func(n int) {
			for range n {
				raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
				require.Equal(t, wire.KindPong, raw.read().Kind)
			}
		}
		ping(1000)
		for range 10 { // and then 100 a second
			<-time.After(time.Second)
			ping(100)
		}
		<-time.After(10 * time.Second)
		ping(1000)
		raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
		_, e := raw.readGoAway()
		assert.Equal(t, ResourceExhausted, e.Code)
		assert.Equal(t, "too_many_pings: more than 1000 at once and 100 per second", e.Message)
	})
}

// However often a client checks that its connection is alive, it does not lose it by that.
func TestKeepalive_DoesNotPingTooOften(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv, WithKeepalive(1))
		for range 60 {
			<-time.After(time.Second)
			require.NoError(t, client.Ping(t.Context()))
		}
	})
}

// However often the callers of a client ping, nobody loses a connection by that: beyond a
// rate they wait, and share pongs.
func TestClient_PingsBelowTheServersLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv, WithKeepalive(1))
		other := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "item1", Wait: time.Minute}, nil)
		begun := time.Now()
		for range 3000 {
			require.NoError(t, client.Ping(t.Context()))
		}
		assert.InDelta(t, 50, time.Since(begun).Seconds(), 1, "500 at once, and then 50 per second")
		assert.NoError(t, other.Wait())

		other = client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "item1", Wait: time.Minute}, nil)
		begun = time.Now()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() {
				for range 100 {
					assert.NoError(t, client.Ping(t.Context()))
				}
			})
		}
		all.Wait()
		assert.Less(t, time.Since(begun), 3*time.Second, "callers that wait share a ping")
		assert.NoError(t, other.Wait())
	})
}

// A ping that waits for its turn ends with its context, without the others, and at the
// connection's end.
func TestClient_APingThatWaitsEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for range 500 {
			require.NoError(t, client.Ping(t.Context()))
		}
		for range 100 {
			begun := time.Now()
			err := client.Ping(timeout(t, time.Millisecond))
			assert.Equal(t, DeadlineExceeded, CodeOf(err))
			assert.Equal(t, time.Millisecond, time.Since(begun))
			late := make(chan error)
			go func() { late <- client.Ping(t.Context()) }()
			assert.Equal(t, DeadlineExceeded, CodeOf(client.Ping(timeout(t, time.Millisecond))))
			assert.NoError(t, <-late)
		}
		late := make(chan error)
		go func() { late <- client.Ping(t.Context()) }()
		synctest.Wait()
		assert.Empty(t, late)
		client.Close()
		assert.ErrorIs(t, <-late, ErrClientClosed)
	})
}
