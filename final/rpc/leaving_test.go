package rpc

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// changing is a resolver that is told its lists.
type changing chan []string

func (c changing) Resolve(ctx context.Context, update func([]string)) error {
	for {
		select {
		case addrs := <-c:
			update(addrs)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A server that has left the list ends its calls first, but not after Close.
func TestPool_CloseEndsTheCallsOfServersThatHaveLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := newInventory().server(t)
		n.set("a", srv)
		lists := make(changing)
		pool := NewPool(lists, WithDialer(n.dial))
		lists <- []string{"a"}
		call := pool.Go(timeout(t, time.Hour), checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		for range 3 { // it is not forgotten by further lists
			lists <- []string{"b"}
			lists <- nil
		}
		synctest.Wait()
		begun := time.Now()
		pool.Close()
		assert.ErrorIs(t, call.Wait(), ErrClientClosed)
		assert.Zero(t, time.Since(begun))
	})
}

// Without a bound for the hello, a mute server that leaves the list would keep its connection for ever.
func TestPool_DropsAHelloOfAServerThatHasLeft(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		ended := make(chan struct{})
		n.odd["mute"] = func(conn net.Conn) { mute(conn); close(ended) }
		lists := make(changing)
		pool := newPool(t, lists, WithDialer(n.dial), WithHandshakeTimeout(0))
		lists <- []string{"mute"}
		assert.Error(t, callFor(t, pool, time.Second))
		lists <- nil
		synctest.Wait()
		select {
		case <-ended:
		default:
			t.Error("the connection is still open")
		}
	})
}
