package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// newPool returns a pool whose addresses are those servers; nil: nobody listens.
func newPool(t *testing.T, servers map[string]*testServer, addrs ...string) *Pool {
	p := NewPool(addrs...)
	p.dial = func(_ context.Context, addr string) (*Client, error) {
		if servers[addr] == nil {
			return nil, errors.New("connection refused")
		}
		return NewClient(servers[addr].connect(t)), nil
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPool_ConnectsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		p := newPool(t, map[string]*testServer{"a": srv}, "a")
		var quantity int
		require.NoError(t, p.Call(t.Context(), "Inventory.CheckStock", "item1", &quantity))
		p.clients["a"].conn.Close() // a cable, a proxy, a restart: the server itself is well
		synctest.Wait()
		require.NoError(t, p.Call(t.Context(), "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
	})
}

func TestPool_TriesElsewhereWhatNeverLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, map[string]*testServer{"b": newStockServer(t)}, "a", "b")
		for range 4 {
			assert.NoError(t, p.Call(t.Context(), "Inventory.CheckStock", "item1", nil))
		}
		p = newPool(t, nil, "a", "b")
		assert.EqualError(t, p.Call(t.Context(), "Inventory.CheckStock", "item1", nil), "connection refused")
	})
}

// lossy registers a method that loses the connection on its first run, and
// returns how often it has run.
func lossy(t *testing.T, srv *testServer, p *Pool) *int {
	runs := 0
	register(t, srv, "Lossy", func() {
		if runs++; runs == 1 {
			p.clients["a"].conn.Close()
		}
	})
	return &runs
}

func TestPool_RepeatsOnlyWhatIsIdempotent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		p := newPool(t, map[string]*testServer{"a": srv}, "a")
		runs := lossy(t, srv, p)
		assert.ErrorContains(t, p.Call(t.Context(), "Test.Lossy", nil, nil), "connection broken")
		synctest.Wait()
		assert.Equal(t, 1, *runs, "it may have run, so it is not repeated")
	})
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		p := newPool(t, map[string]*testServer{"a": srv}, "a")
		runs := lossy(t, srv, p)
		assert.NoError(t, p.Call(WithIdempotent(t.Context()), "Test.Lossy", nil, nil))
		assert.Equal(t, 2, *runs)
	})
}

func TestPool_AnAnswerIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, runs := newServer(t, &Server{}), 0
		register(t, srv, "Fail", func() error { runs++; return Errorf(NotFound, "no") })
		p := newPool(t, map[string]*testServer{"a": srv}, "a")
		assert.ErrorIs(t, p.Call(WithIdempotent(t.Context()), "Test.Fail", nil, nil), NotFound)
		assert.Equal(t, 1, runs)
	})
}

func TestPool_EndsWithItsContextAndByClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, map[string]*testServer{"a": newStockServer(t)}, "a")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, p.Call(WithIdempotent(ctx), "Inventory.CheckStock", "item1", nil), context.Canceled)
		require.NoError(t, p.Close())
		assert.ErrorIs(t, p.Call(t.Context(), "Inventory.CheckStock", "item1", nil), ErrClientClosed)
	})
}
