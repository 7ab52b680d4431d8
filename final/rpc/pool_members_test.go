package rpc

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
)

func TestPool_MembersTellWhatTheConnectionsDo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		srv := inv.server(t)
		n.set("up", srv)
		pool := NewPool(StaticResolver{"up", "down"}, WithDialer(n.dial))
		synctest.Wait()
		assert.Equal(t, []PoolMember{{Addr: "up"}, {Addr: "down"}}, pool.Members(), "it connects when first needed")

		call := pool.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		assert.Equal(t, []PoolMember{{Addr: "up", Connected: true, InFlight: 1}, {Addr: "down", BackingOff: true}}, pool.Members())
		close(inv.hold)
		assert.NoError(t, call.Wait())
		assert.Equal(t, PoolMember{Addr: "up", Connected: true}, pool.Members()[0])

		pool.Close()
		assert.Empty(t, pool.Members())
	})
}
