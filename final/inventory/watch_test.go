package inventory

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// pipeTo returns a client of an inventory's server, over a pipe.
func pipeTo(t *testing.T, inv *Inventory) (*rpc.Client, *rpc.Server) {
	t.Helper()
	srv := rpc.NewServer()
	require.NoError(t, inv.Register(srv))
	near, far := net.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.ServeConn(far)
	}()
	client := rpc.NewClient(near)
	t.Cleanup(func() {
		client.Close()
		srv.Close()
		<-served
	})
	return client, srv
}

func watch(t *testing.T, client *rpc.Client, items ...string) *rpc.ReceiveStream[Item] {
	t.Helper()
	stream, err := Watch.Open(t.Context(), client, &WatchRequest{Items: items})
	require.NoError(t, err)
	t.Cleanup(func() { stream.Close() })
	return stream
}

func next(t *testing.T, stream *rpc.ReceiveStream[Item]) Item {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	item, err := stream.Receive(ctx)
	require.NoError(t, err)
	return *item
}

func TestWatch_SendsWhatIsThereAndWhatChanges(t *testing.T) {
	inv := openTest(t, map[string]int{"a": 5, "b": 7, "c": 9})
	client, _ := pipeTo(t, inv)
	all, some := watch(t, client), watch(t, client, "c", "a")
	for _, want := range []Item{{"a", 5, 0}, {"b", 7, 0}, {"c", 9, 0}} {
		assert.Equal(t, want, next(t, all))
	}
	assert.Equal(t, Item{"a", 5, 0}, next(t, some))
	assert.Equal(t, Item{"c", 9, 0}, next(t, some))

	mustReserve(t, inv, "1", Line{"b", 2})
	mustReserve(t, inv, "1", Line{"b", 2}) // again: nothing has changed
	assert.Equal(t, Item{"b", 5, 2}, next(t, all))
	mustReserve(t, inv, "2", Line{"a", 1})
	assert.Equal(t, Item{"a", 4, 1}, next(t, all))
	assert.Equal(t, Item{"a", 4, 1}, next(t, some))
	_, err := inv.Release(t.Context(), &ReleaseRequest{Order: "1"})
	require.NoError(t, err)
	assert.Equal(t, Item{"b", 7, 0}, next(t, all))
}

// A watcher that takes nothing must not stop a Reserve, and later gets the last level of
// each item, far fewer than there were changes.
func TestWatch_ASlowCallerGetsTheLatest(t *testing.T) {
	const changes = 2000
	inv := openTest(t, map[string]int{"a": changes, "b": 1})
	client, _ := pipeTo(t, inv)
	stream := watch(t, client)
	orders := make(chan int)
	done := make(chan struct{})
	for range 50 { // together, so that they share the disk
		go func() {
			for i := range orders {
				_, err := inv.Reserve(t.Context(), &ReserveRequest{Order: string(rune(i + 1000)), Lines: []Line{{"a", 1}}})
				assert.NoError(t, err)
			}
			done <- struct{}{}
		}()
	}
	for i := range changes {
		orders <- i
	}
	close(orders)
	for range 50 {
		<-done
	}
	last, received := changes+1, 0
	for last > 0 {
		item := next(t, stream)
		if item.ID == "a" {
			require.Less(t, item.Left, last, "never back")
			require.Equal(t, changes, item.Left+item.Reserved)
			last, received = item.Left, received+1
		}
	}
	t.Logf("%d of %d changes were received", received, changes)
	assert.Less(t, received, changes/2)
}

func TestWatch_RefusesWhatIsNotThere(t *testing.T) {
	inv := openTest(t, map[string]int{"a": 1})
	client, _ := pipeTo(t, inv)
	for _, c := range []struct {
		items []string
		want  rpc.Code
	}{
		{[]string{"a", "z"}, rpc.NotFound},
		{[]string{""}, rpc.InvalidArgument},
		{[]string{"\xff"}, rpc.InvalidArgument},
		{make([]string, MaxLines+1), rpc.InvalidArgument},
	} {
		_, err := watch(t, client, c.items...).Receive(t.Context())
		assert.ErrorIs(t, err, c.want, "%q", c.items)
	}
}

// What has ended leaves nothing behind, whoever ends it.
func TestWatch_Ends(t *testing.T) {
	inv := openTest(t, map[string]int{"a": 1})
	synctest.Test(t, func(t *testing.T) {
		client, srv := pipeTo(t, inv)
		left, drained := watch(t, client), watch(t, client)
		next(t, left)
		next(t, drained)
		synctest.Wait()
		assert.Len(t, inv.watchers.all, 2)
		left.Close()
		synctest.Wait()
		assert.Len(t, inv.watchers.all, 1)

		require.NoError(t, srv.Shutdown(t.Context()), "it waits for no watcher")
		_, err := drained.Receive(t.Context())
		assert.ErrorIs(t, err, rpc.Unavailable)
		assert.Empty(t, inv.watchers.all)
	})
}
