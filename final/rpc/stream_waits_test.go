package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A handler that has taken all items and does not ask for the next one keeps no credit back:
// an item of any size is sent meanwhile.
func TestStreamSend_NeedsNoReceiveOnceAllWasTaken(t *testing.T) {
	for _, size := range []int{1000, 15_800, 16_200, 17_000, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				goOn := make(chan struct{})
				srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
					if _, err := in.Receive(ctx); err != nil {
						return err
					}
					<-goOn
					_, err := collect(in)
					return err
				})
				client := pipe(t, srv)
				s, err := syncing.Open(t.Context(), client)
				require.NoError(t, err)
				require.NoError(t, s.Send(t.Context(), &change{Data: strings.Repeat("x", 600)}))
				synctest.Wait()
				assert.NoError(t, s.Send(timeout(t, time.Hour), &change{Data: strings.Repeat("x", size)}))
				close(goOn)
				require.NoError(t, s.CloseSend())
				_, err = s.Receive(t.Context())
				assert.Equal(t, io.EOF, err)
				client.Close()
				srv.Close()
			})
		})
	}
}

// changingItem is encoded as it should be once, and then otherwise.
type changingItem struct {
	size  int
	times int
	then  func() (string, error)
}

func (c *changingItem) MarshalJSON() ([]byte, error) {
	data := strings.Repeat("x", c.size)
	if c.times++; c.times > 1 {
		var err error
		if data, err = c.then(); err != nil {
			return nil, err
		}
	}
	return json.Marshal(&change{Data: data})
}

// Who waits for the place for large items and cannot use it then does not keep it: the
// stream ends. The item may also become a little larger or smaller, as a compressed one
// with a map in it does.
func TestStreamSend_ItemThatChangesWhileItWaitsKeepsNoPlace(t *testing.T) {
	const size = 100_000
	for name, c := range map[string]struct {
		then func() (string, error)
		want string // what Send returns; none: it is sent
	}{
		"it cannot be encoded":   {func() (string, error) { return "", errors.New("not again") }, "not again"},
		"its marshaler exits":    {func() (string, error) { runtime.Goexit(); return "", nil }, "exits"},
		"it is above the limit":  {func() (string, error) { return strings.Repeat("x", 200_000), nil }, "reads at most"},
		"it has nearly vanished": {func() (string, error) { return "", nil }, "bytes when it was first encoded"},
		"it is a little larger":  {func() (string, error) { return strings.Repeat("x", size+10), nil }, ""},
		"it is a little smaller": {func() (string, error) { return strings.Repeat("x", size-10), nil }, ""},
		"it is much larger":      {func() (string, error) { return strings.Repeat("x", size*3/2), nil }, ""},
	} {
		for _, side := range []string{"client", "handler"} {
			t.Run(name+" at the "+side, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					item := &changingItem{size: size, then: c.then}
					ended := make(chan error, 1)
					sends := func(s Stream) {
						err := errors.New("exits")
						defer func() { ended <- err }()
						err = s.Send(timeout(t, time.Hour), item)
					}
					srv := newInventory().server(t, WithMaxMessage(190_000))
					require.NoError(t, syncing.Handle(srv, receiveAll))
					require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
						if req.Count == 0 {
							return out.Send(ctx, &change{Data: strings.Repeat("x", 150_000)})
						}
						go sends(out.stream)
						<-ctx.Done()
						return ctx.Err()
					}))
					client := pipe(t, srv, WithMaxMessage(190_000))
					if side == "client" {
						s, err := syncing.Open(t.Context(), client)
						require.NoError(t, err)
						go sends(s.opened)
						runtime.KeepAlive(s)
					} else {
						s, err := watch.Open(t.Context(), client, &watchRequest{Count: 1})
						require.NoError(t, err)
						go func() {
							for range s.All() {
							}
						}()
					}
					synctest.Wait()
					if err := <-ended; c.want == "" {
						assert.NoError(t, err)
					} else {
						assert.ErrorContains(t, err, c.want)
					}
					if side == "client" {
						s, err := syncing.Open(t.Context(), client)
						require.NoError(t, err)
						assert.NoError(t, s.Send(timeout(t, time.Hour), &change{Data: strings.Repeat("x", 150_000)}))
					} else {
						s, err := watch.Open(t.Context(), client, &watchRequest{})
						require.NoError(t, err)
						_, err = s.Receive(timeout(t, time.Hour))
						assert.NoError(t, err)
					}
					client.Close()
					srv.Close()
				})
			})
		}
	}
}

// A caller's context ends its stream, also when the server has ended it and there are items
// that were not received. They are dropped, and the place for large ones is free.
func TestStream_IsDroppedByItsContextAfterTheEnd(t *testing.T) {
	for _, size := range []int{10, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
					return out.Send(ctx, &change{Data: strings.Repeat("x", size)})
				})
				client := pipe(t, srv)
				ctx, cancel := context.WithCancel(t.Context())
				first, err := syncing.Open(ctx, client)
				require.NoError(t, err)
				synctest.Wait()
				assert.Zero(t, openAt(srv), "it has ended")
				cancel()
				synctest.Wait()
				assertNoStreams(t, client)
				_, err = first.Receive(t.Context())
				assert.Equal(t, Canceled, CodeOf(err))
				size = 3 << 20
				second, err := syncing.Open(t.Context(), client)
				require.NoError(t, err)
				_, err = second.Receive(timeout(t, time.Hour))
				assert.NoError(t, err)
				client.Close()
				srv.Close()
			})
		})
	}
}

// A stream of which all was received, or that was closed, is not kept by its context.
func TestStream_IsNotKeptByItsContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t)
		client := pipe(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		for name, end := range map[string]func(s *ReceiveStream[change]){
			"there was nothing": func(s *ReceiveStream[change]) {},
			"received":          func(s *ReceiveStream[change]) { collect(&s.Receiver) },
			"closed":            func(s *ReceiveStream[change]) { s.Close() },
		} {
			open := func() weak.Pointer[clientStream] {
				count := 2
				if name == "there was nothing" {
					count = 0
				}
				s, err := watch.Open(ctx, client, &watchRequest{Count: count})
				require.NoError(t, err)
				synctest.Wait()
				end(s)
				return weak.Make(s.opened.(*reopening).now)
			}
			s := open()
			synctest.Wait()
			runtime.GC()
			assert.Nil(t, s.Value(), name)
		}
		client.Close()
		srv.Close()
	})
}

// There is room for senders that have to encode their items again, and the first ones cannot:
// then it is the turn of those behind them, though nothing is written meanwhile.
func TestStreamSend_WhoCannotEncodeAgainLetsOthersGoOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,2147483647", WithKeepalive(0))
		open := func() *DuplexStream[changingItem, change] {
			opened := make(chan *DuplexStream[changingItem, change])
			go func() {
				s, err := BidiStream[changingItem, change](syncing.Name()).Open(t.Context(), client)
				assert.NoError(t, err)
				opened <- s
			}()
			raw.read()
			return <-opened
		}
		var streams [2 + mostEncoders + 2]*DuplexStream[changingItem, change]
		for i := range streams {
			streams[i] = open()
		}
		for _, s := range streams[:2] { // the first item is being written, and the second fills the lane
			go s.Send(t.Context(), &changingItem{size: 100_000})
			synctest.Wait()
		}
		var again atomic.Int64
		hold := make(chan struct{})
		then := func() (string, error) {
			if again.Add(1) > mostEncoders {
				return "x", nil
			}
			<-hold
			return "", errors.New("cannot be encoded again")
		}
		sent := make(chan error, len(streams))
		for _, s := range streams[2:] {
			go func() { sent <- s.Send(t.Context(), &changingItem{size: 8000, then: then}) }()
		}
		synctest.Wait()
		require.Empty(t, sent)
		go io.Copy(io.Discard, raw.conn)
		synctest.Wait()
		require.EqualValues(t, mostEncoders, again.Load())
		close(hold)
		failed := 0
		for range streams[2:] {
			if err := <-sent; err != nil {
				failed++
			}
		}
		assert.Equal(t, mostEncoders, failed)
		client.Close()
	})
}
