package rpc

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// slowItem is encoded at once, and the second time when it is allowed to be.
type slowItem struct {
	size  int
	again chan struct{}
	times int
}

func (s *slowItem) MarshalJSON() ([]byte, error) {
	if s.times++; s.times > 1 {
		<-s.again
	}
	return json.Marshal(&change{Data: strings.Repeat("x", s.size)})
}

// An item that waits for room is encoded again after. While that takes its time, in a user's
// code, all others of the connection go on: small ones, and those that were encoded again, too.
func TestStreamSend_SlowMarshalerDelaysNoOther(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		slowly := openRaw(t, client, raw)
		fills, small, large := openRaw(t, client, raw), openRaw(t, client, raw), openRaw(t, client, raw)
		for id := uint64(1); id <= 4; id++ {
			raw.write(number(wire.KindCredit, id, 1<<30))
		}
		synctest.Wait()
		send := func(s OpenedStream, item any) <-chan error {
			sent := make(chan error, 1)
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				sent <- s.Send(ctx, item)
			}()
			synctest.Wait()
			return sent
		}
		require.NoError(t, <-send(fills.opened, &change{Data: strings.Repeat("x", 300_000)})) // more than a batch
		slow := &slowItem{size: 100_000, again: make(chan struct{})}
		slowSent := send(slowly.opened, slow)
		largeSent := send(large.opened, &change{Data: strings.Repeat("x", 100_000)})
		smallSent := send(small.opened, new(change))
		require.Empty(t, largeSent)
		require.Empty(t, smallSent)

		go func() { // the server reads again
			for {
				if _, err := raw.conn.Read(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}()
		assert.NoError(t, <-smallSent, "one that has waited")
		assert.NoError(t, <-largeSent, "one that has waited, and was encoded again")
		assert.NoError(t, <-send(small.opened, new(change)))
		assert.NoError(t, <-send(large.opened, &change{Data: strings.Repeat("x", 100_000)}))
		assert.Empty(t, slowSent)
		assert.Equal(t, 2, slow.times)
		close(slow.again)
		assert.NoError(t, <-slowSent)
		raw.conn.Close()
		client.Close()
	})
}
