package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// eachPeer runs test as a subtest for every peer.
func eachPeer(t *testing.T, test func(t *testing.T, p peer)) {
	t.Helper()
	for _, p := range peers {
		t.Run(p.name, func(t *testing.T) { test(t, p) })
	}
}

// testClients opens p with as many clients as callers need, and a context that ends with the test.
func testClients(t *testing.T, p peer, callers int) (context.Context, []client) {
	t.Helper()
	b, err := openBench(p, workload{callers: callers, connections: 1}, nil)
	require.NoError(t, err)
	t.Cleanup(b.close)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx, b.clients
}

func TestPeer_AnswersCheckStock(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		ctx, clients := testClients(t, p, 1)
		for item, want := range stock {
			got, err := clients[0].CheckStock(ctx, item)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
	})
}

func TestPeer_ReportsAnUnknownItem(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		ctx, clients := testClients(t, p, 1)
		_, err := clients[0].CheckStock(ctx, "item9")
		assert.ErrorContains(t, err, "unknown item: item9")

		got, err := clients[0].CheckStock(ctx, "item1")
		require.NoError(t, err, "an error spoils the connection")
		assert.Equal(t, stock["item1"], got)
	})
}

func TestPeer_EchoesBodies(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		ctx, clients := testClients(t, p, 1)
		for _, n := range []int{1, 1 << 10, 64 << 10, 1 << 10} {
			got, err := clients[0].Echo(ctx, payload(n))
			require.NoError(t, err)
			assert.Equal(t, payload(n), got)
		}
	})
}

// Every caller echoes a body of its own, so that a reply given to another caller is seen.
func TestPeer_GivesEachCallerItsOwnReply(t *testing.T) {
	const callers, calls = 32, 50
	eachPeer(t, func(t *testing.T, p peer) {
		ctx, clients := testClients(t, p, callers)
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				c := clients[i%len(clients)]
				for n := range calls {
					body := []byte{byte(i), byte(n)}
					got, err := c.Echo(ctx, body)
					if !assert.NoError(t, err) || !assert.Equal(t, body, got) {
						return
					}
				}
			})
		}
		wg.Wait()
	})
}
