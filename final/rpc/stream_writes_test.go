package rpc

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// countedWrites is a client's connection whose writes are counted, and wait while the gate
// is there.
type countedWrites struct {
	net.Conn
	gate   atomic.Pointer[chan struct{}]
	writes atomic.Int32
}

func (c *countedWrites) Write(p []byte) (int, error) {
	if gate := c.gate.Load(); gate != nil {
		<-*gate
	}
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c *countedWrites) client(t *testing.T, srv *Server) *Client {
	near, far := net.Pipe()
	c.Conn = near
	go srv.ServeConn(far)
	client := NewClient(c, WithKeepalive(0))
	t.Cleanup(func() { client.Close() })
	return client
}

// A lone item waits for nothing, and no goroutine is woken for it: it has left when Send
// returns. So has the next one, once something has arrived.
func TestStream_ALoneItemHasLeftWhenSendReturns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		conn := new(countedWrites)
		s, err := syncing.Open(t.Context(), conn.client(t, streamServer(t)))
		require.NoError(t, err)
		for n := range 5 {
			synctest.Wait()
			before := conn.writes.Load()
			require.NoError(t, s.Send(t.Context(), &change{N: n}))
			assert.Equal(t, before+1, conn.writes.Load(), "item %d", n)
			_, err := s.Receive(t.Context())
			require.NoError(t, err)
		}
		require.NoError(t, s.Close())
	})
}

// Items that are sent one after the other wait for no write: what gathers during one leaves
// in the next.
func TestStream_ABurstLeavesInFewWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		conn := new(countedWrites)
		s, err := imports.Open(t.Context(), conn.client(t, streamServer(t)))
		require.NoError(t, err)
		synctest.Wait()
		const items = 50
		require.NoError(t, s.Send(t.Context(), &change{}))
		before, gate := conn.writes.Load(), make(chan struct{})
		conn.gate.Store(&gate)
		for n := 1; n < items; n++ {
			require.NoError(t, s.Send(t.Context(), &change{N: n}))
		}
		conn.gate.Store(nil)
		close(gate)
		synctest.Wait()
		assert.LessOrEqual(t, conn.writes.Load()-before, int32(3))
		got, err := s.CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, report{items, items * (items - 1) / 2}, *got)
	})
}
