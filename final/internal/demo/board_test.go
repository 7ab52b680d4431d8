package demo

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

// fakeStock is an inventory that lists these items, and tells a watcher what the test
// sends it; a nil item ends the stream.
func fakeStock(t *testing.T, listed ...inventory.Item) (*rpctest.Fake, chan<- *inventory.Item) {
	t.Helper()
	told := make(chan *inventory.Item)
	fake := rpctest.NewFake(t)
	rpctest.Stub(fake, inventory.List, func(context.Context, *inventory.ListRequest) (*inventory.ListReply, error) {
		return &inventory.ListReply{Items: listed}, nil
	})
	rpctest.StubServerStream(fake, inventory.Watch, func(ctx context.Context, _ *inventory.WatchRequest, out *rpc.Sender[inventory.Item]) error {
		for {
			select {
			case item := <-told:
				if item == nil {
					return rpc.Errorf(rpc.Unavailable, "the server is about to end")
				}
				if err := out.Send(ctx, item); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	return fake, told
}

func TestBoard_FollowsFromOneServerToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, told := fakeStock(t, inventory.Item{ID: "a", Left: 3, Reserved: 2}, inventory.Item{ID: "b", Left: 7})
		b := newBoard(fake)
		ctx, cancel := context.WithCancel(t.Context())
		go b.follow(ctx)
		told <- &inventory.Item{ID: "a", Left: 5}
		told <- &inventory.Item{ID: "b", Left: 7}
		told <- nil // and the next server:
		told <- &inventory.Item{ID: "a", Left: 4, Reserved: 1}
		synctest.Wait()
		assert.Equal(t, boardSeen{levels: 3, streams: 2}, b.saw())

		settled := make(chan error, 1)
		go func() { settled <- b.settle(ctx) }()
		synctest.Wait()
		assert.Empty(t, settled, "it shows one unit too many")
		told <- &inventory.Item{ID: "a", Left: 3, Reserved: 2}
		require.NoError(t, <-settled)
		cancel()
	})
}

func TestBoard_ThatStaysBehindIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake, told := fakeStock(t, inventory.Item{ID: "a", Left: 5})
		b := newBoard(fake)
		ctx, cancel := context.WithCancel(t.Context())
		go b.follow(ctx)
		told <- &inventory.Item{ID: "a", Left: 6}
		begin := time.Now()
		err := b.settle(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "the board shows map[a:{a 6 0}], the inventory has map[a:{a 5 0}]")
		assert.Equal(t, showsWithin, time.Since(begin))
		assert.Error(t, b.compare(nil))
		cancel()
	})
}
