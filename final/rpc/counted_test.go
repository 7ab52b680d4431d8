package rpc

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// saysLess passes on everything, and says that it was nothing.
type saysLess struct{ net.Conn }

func (c saysLess) Write(p []byte) (int, error) {
	_, err := c.Conn.Write(p)
	return 0, err
}

// A Write without an error has taken all, whatever number it returns.
func TestNeverRan_IsFalseOfWhatWriteHasTakenWithoutAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t)
		near, far := net.Pipe()
		go srv.ServeConn(far)
		client := NewClient(saysLess{near})
		defer client.Close()
		call := startOne(t, client, "held")
		require.Equal(t, 1, inv.runs("held"))
		near.Close()
		assert.False(t, NeverRan(call.Wait()))
	})
}
