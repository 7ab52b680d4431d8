package rpc

import (
	"context"
	"io"
	"runtime"
	"sync"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An open stream on which nothing happens holds little on both sides together, also if an
// item has gone each way. The stack of its handler is not counted, nor the caller's own.
func TestStream_IdleOnesAreSmall(t *testing.T) {
	const n, most = 1000, 2 << 10
	for name, item := range map[string]bool{"nothing sent": false, "an item each way": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				goroutines(2 * n) // their descriptors are used again
				srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
					for {
						item, err := in.Receive(ctx)
						if err == io.EOF {
							return nil
						}
						if err == nil {
							err = out.Send(ctx, item)
						}
						if err != nil {
							return err
						}
					}
				}, WithMaxHandlers(2*n))
				client := pipe(t, srv)
				all := make([]*DuplexStream[change, change], n)
				open := func(i int) {
					s, err := syncing.Open(context.Background(), client)
					require.NoError(t, err)
					if all[i] = s; item {
						require.NoError(t, s.Send(t.Context(), &change{N: i}))
						_, err := s.Receive(t.Context())
						require.NoError(t, err)
					}
				}
				open(0)
				before := heapInUse()
				for i := 1; i < n; i++ {
					open(i)
				}
				held := int(heapInUse()-before) / (n - 1)
				t.Logf("%d bytes held; stream %d, client's %d, server's %d", held, unsafe.Sizeof(stream{}), unsafe.Sizeof(clientStream{}), unsafe.Sizeof(serverStream{}))
				assert.LessOrEqual(t, held, most)
				runtime.KeepAlive(all)
				client.Close()
				srv.Close()
			})
		})
	}
}

// goroutines starts n goroutines and lets them end.
func goroutines(n int) {
	var all sync.WaitGroup
	end := make(chan struct{})
	for range n {
		all.Go(func() { <-end })
	}
	close(end)
	all.Wait()
}
