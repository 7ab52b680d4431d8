package rpc

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

type (
	watchRequest struct{ Count, Size int }
	change       struct {
		N    int
		Data string
	}
	report struct{ Items, Sum int }
)

var (
	watch   = ServerStream[watchRequest, change]("Inventory.Watch")
	imports = ClientStream[change, report]("Orders.Import")
	syncing = BidiStream[change, change]("Inventory.Sync")
)

func sendCount(ctx context.Context, req *watchRequest, out *Sender[change]) error {
	for n := range req.Count {
		if err := out.Send(ctx, &change{N: n, Data: string(make([]byte, req.Size))}); err != nil {
			return err
		}
	}
	return nil
}

func addUp(ctx context.Context, in *Receiver[change]) (*report, error) {
	r := new(report)
	for c, err := range in.All() {
		if err != nil {
			return nil, err
		}
		r.Items++
		r.Sum += c.N
	}
	return r, nil
}

func echo(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
	for c, err := range in.All() {
		if err != nil {
			return err
		}
		if err := out.Send(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// streamServer returns a server with these handlers; those that are nil do what their name says.
func streamServer(t *testing.T, opts ...ServerOption) *Server {
	t.Helper()
	srv := newInventory().server(t, append(opts, WithCodecs(JSON, Gob))...)
	require.NoError(t, watch.Handle(srv, sendCount))
	require.NoError(t, imports.Handle(srv, addUp))
	require.NoError(t, syncing.Handle(srv, echo))
	return srv
}

// collect receives to the end.
func collect(in *Receiver[change]) (numbers []int, failed error) {
	for c, err := range in.All() {
		if err != nil {
			return numbers, err
		}
		numbers = append(numbers, c.N)
	}
	return numbers, nil
}

func upTo(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

func TestStream_ItemsArriveInOrderOnce(t *testing.T) {
	for name, codec := range map[string]Codec{"json": JSON, "gob": Gob} {
		for size, items := range map[int]int{0: 200, 100: 200, 5000: 40, 40_000: 10} {
			t.Run(fmt.Sprint(name, " ", size), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					client := pipe(t, streamServer(t), WithCodec(codec))
					ctx := t.Context()
					in, err := watch.Open(ctx, client, &watchRequest{Count: items, Size: size})
					require.NoError(t, err)
					got, err := collect(&in.Receiver)
					require.NoError(t, err)
					assert.Equal(t, upTo(items), got)
					_, err = in.Receive(ctx)
					assert.Equal(t, io.EOF, err, "again and again")

					out, err := imports.Open(ctx, client)
					require.NoError(t, err)
					for n := range items {
						require.NoError(t, out.Send(ctx, &change{N: n, Data: string(repeat('x', size))}))
					}
					r, err := out.CloseAndReceive(ctx)
					require.NoError(t, err)
					assert.Equal(t, report{items, items * (items - 1) / 2}, *r)
					assertNoStreams(t, client)
				})
			})
		}
	}
}

// assertNoStreams says that all stream slots are free, at the client.
func assertNoStreams(t *testing.T, c *Client) {
	t.Helper()
	synctest.Wait()
	conn := c.conn.Load()
	require.NotNil(t, conn)
	conn.mu.Lock()
	defer conn.mu.Unlock()
	assert.Empty(t, conn.streams.streams)
	assert.Zero(t, conn.inFlight)
	assert.Zero(t, conn.streams.lane.size)
	assert.Equal(t, conn.streams.memory.poolMost, conn.streams.memory.pool)
	assert.Nil(t, conn.streams.memory.holder)
}

func TestStream_BothDirectionsAreIndependent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		go func() {
			for n := range 300 {
				if s.Send(t.Context(), &change{N: n, Data: string(make([]byte, 300))}) != nil {
					return
				}
			}
			s.CloseSend()
		}()
		got, err := collect(&s.Receiver)
		require.NoError(t, err)
		assert.Equal(t, upTo(300), got)
		assertNoStreams(t, client)
	})
}

func TestStream_ItemsBeforeAnErrorComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			if err := sendCount(ctx, req, out); err != nil {
				return err
			}
			return Errorf(NotFound, "no more").WithDetail("item", "x")
		}))
		client := pipe(t, srv)
		in, err := watch.Open(t.Context(), client, &watchRequest{Count: 50, Size: 1000})
		require.NoError(t, err)
		synctest.Wait() // all that fits has arrived
		got, err := collect(&in.Receiver)
		assert.Equal(t, upTo(50), got)
		require.Equal(t, NotFound, CodeOf(err))
		e := toError(err)
		assert.Equal(t, "no more", e.Message)
		assert.Equal(t, map[string]string{"item": "x"}, e.Details)
		assert.False(t, NeverRan(err))
		_, again := in.Receive(t.Context())
		assert.Equal(t, err, again)
		assertNoStreams(t, client)
	})
}

// A stream that nobody reads delays neither calls, nor other streams, nor what the
// connection has to say: credit bounds what its peer may send.
func TestStream_StalledOneDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		ctx := t.Context()
		stalled, err := watch.Open(ctx, client, &watchRequest{Count: 1000, Size: 1000})
		require.NoError(t, err)
		synctest.Wait()
		_, err = checkStock.Call(ctx, client, &stockRequest{Item: "item1"})
		require.NoError(t, err, "a call")
		require.NoError(t, client.Ping(ctx), "a ping")
		in, err := watch.Open(ctx, client, &watchRequest{Count: 100, Size: 1000})
		require.NoError(t, err)
		got, err := collect(&in.Receiver)
		require.NoError(t, err)
		assert.Equal(t, upTo(100), got, "another stream")
		require.NoError(t, stalled.Close(), "its own cancel")
		assertNoStreams(t, client)
	})
}

// What a client holds of a stream that it does not read: 15 items of 1,000 bytes, which
// cost 1,078 each.
func TestStream_StalledOneGetsItsWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, sent := newInventory().server(t), atomic.Int64{}
		each := ServerStream[watchRequest, string]("Test.Each")
		require.NoError(t, each.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[string]) error {
			item := strings.Repeat("x", 998) // and its quotes
			for out.Send(ctx, &item) == nil {
				sent.Add(1)
			}
			return nil
		}))
		client := pipe(t, srv)
		stalled, err := each.Open(t.Context(), client, new(watchRequest))
		require.NoError(t, err)
		synctest.Wait()
		assert.EqualValues(t, 15, sent.Load())
		require.NoError(t, stalled.Close())
		assertNoStreams(t, client)
	})
}

// Two peers that both send and never receive: each one's sender waits, and calls go on.
func TestStream_TwoThatOnlySendEachWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan int, 1)
		srv := newInventory().server(t)
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
			n := 0
			for out.Send(ctx, &change{Data: string(make([]byte, 500))}) == nil {
				n++
			}
			sent <- n
			return nil
		}))
		client := pipe(t, srv)
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		n := 0
		for err == nil {
			if err = s.Send(ctx, &change{Data: string(make([]byte, 500))}); err == nil {
				n++
			}
		}
		assert.Equal(t, DeadlineExceeded, CodeOf(err), "a sender waits under its context")
		assert.Positive(t, n)
		assert.LessOrEqual(t, n, streamWindow/500)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		require.NoError(t, s.Close())
		m := <-sent
		assert.Positive(t, m)
		assert.LessOrEqual(t, m, streamWindow/500)
		assertNoStreams(t, client)
	})
}

func TestStream_SendGoesOnAfterItsContextEndedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newInventory().server(t)
		require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *Receiver[change]) (*report, error) {
			<-release
			return addUp(ctx, in)
		}))
		client := pipe(t, srv)
		out, err := imports.Open(t.Context(), client)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		n := 0
		for err == nil {
			if err = out.Send(ctx, &change{N: 1, Data: string(make([]byte, 500))}); err == nil {
				n++
			}
		}
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		close(release)
		require.NoError(t, out.Send(t.Context(), &change{N: 1}))
		r, err := out.CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, report{n + 1, n + 1}, *r, "what failed was not sent")
	})
}

func TestStream_CancelReachesTheHandler(t *testing.T) {
	for name, leave := range map[string]func(in *ReceiveStream[change], cancel context.CancelFunc){
		"context": func(_ *ReceiveStream[change], cancel context.CancelFunc) { cancel() },
		"Close":   func(in *ReceiveStream[change], _ context.CancelFunc) { in.Close(); in.Close() },
		"loop": func(in *ReceiveStream[change], _ context.CancelFunc) {
			for range in.All() {
				break
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 2)
				srv := newInventory().server(t)
				require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
					if err := out.Send(ctx, &change{}); err != nil {
						return err
					}
					<-ctx.Done()
					ended <- context.Cause(ctx)
					ended <- out.Send(context.Background(), &change{})
					return nil
				}))
				client := pipe(t, srv)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				in, err := watch.Open(ctx, client, &watchRequest{})
				require.NoError(t, err)
				synctest.Wait()
				leave(in, cancel)
				assert.ErrorContains(t, <-ended, "the caller has left")
				assert.Equal(t, Canceled, CodeOf(<-ended), "the handler's next Send fails")
				_, err = in.Receive(t.Context())
				assert.Equal(t, Canceled, CodeOf(err))
				assertNoStreams(t, client)
			})
		})
	}
}

func TestStream_DeadlineReachesTheHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := newInventory().server(t)
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
			_, err := collect(in)
			ended <- err
			<-ctx.Done()
			assert.Equal(t, context.DeadlineExceeded, ctx.Err())
			return err
		}))
		client := pipe(t, srv)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s, err := syncing.Open(ctx, client)
		require.NoError(t, err)
		_, err = s.Receive(t.Context())
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		assert.Equal(t, DeadlineExceeded, CodeOf(<-ended))
		assert.Equal(t, DeadlineExceeded, CodeOf(s.Send(t.Context(), &change{})))
		assertNoStreams(t, client)
	})
}

func TestStream_LostConnectionEndsBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		srv := newInventory().server(t)
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
			if err := out.Send(ctx, &change{N: 7}); err != nil {
				return err
			}
			_, err := in.Receive(ctx)
			ended <- err
			return err
		}))
		client := pipe(t, srv)
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		synctest.Wait()
		client.fixed.conn.Close()
		item, err := s.Receive(t.Context())
		require.NoError(t, err, "what has arrived")
		assert.Equal(t, 7, item.N)
		_, err = s.Receive(t.Context())
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.False(t, NeverRan(err))
		assert.Equal(t, Unavailable, CodeOf(s.Send(t.Context(), &change{})))
		assert.Equal(t, Canceled, CodeOf(<-ended))
	})
}

// A handler that returns while its caller still sends neither waits nor leaks: what comes is
// dropped, and the sender learns of it.
func TestStream_HandlerThatReturnsEarlyFreesTheSender(t *testing.T) {
	for name, result := range map[string]error{"good": nil, "error": Errorf(Aborted, "enough")} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newInventory().server(t)
				require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *Receiver[change]) (*report, error) {
					if _, err := in.Receive(ctx); err != nil {
						return nil, err
					}
					return &report{Items: 1}, result
				}))
				client := pipe(t, srv)
				out, err := imports.Open(t.Context(), client)
				require.NoError(t, err)
				for err == nil {
					err = out.Send(t.Context(), &change{Data: string(make([]byte, 3000))})
				}
				if result == nil {
					assert.ErrorIs(t, err, ErrStreamEnded)
					assert.Equal(t, FailedPrecondition, CodeOf(err))
				} else {
					assert.Equal(t, Aborted, CodeOf(err))
				}
				r, err := out.CloseAndReceive(t.Context())
				if result == nil {
					require.NoError(t, err)
					assert.Equal(t, 1, r.Items)
				} else {
					assert.Equal(t, Aborted, CodeOf(err))
				}
				assertNoStreams(t, client)
			})
		})
	}
}

func TestStream_LargeItemGoesThroughASmallWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		const size = 3 << 20
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		go func() {
			for n := range 3 {
				s.Send(t.Context(), &change{N: n, Data: string(repeat('x', size))})
				s.Send(t.Context(), &change{N: -1})
			}
			s.CloseSend()
		}()
		for n := range 3 {
			item, err := s.Receive(t.Context())
			require.NoError(t, err)
			assert.Equal(t, n, item.N)
			assert.Len(t, item.Data, size)
			item, err = s.Receive(t.Context())
			require.NoError(t, err)
			assert.Equal(t, -1, item.N)
		}
		_, err = s.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		assertNoStreams(t, client)
	})
}

func repeat(b byte, n int) []byte {
	all := make([]byte, n)
	for i := range all {
		all[i] = b
	}
	return all
}

func TestStream_ItemThatIsTooLargeIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t, WithMaxMessage(10_000)))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		err = s.Send(t.Context(), &change{Data: string(repeat('x', 10_000))})
		assert.Equal(t, ResourceExhausted, CodeOf(err))
		require.NoError(t, s.Send(t.Context(), &change{N: 3}), "the stream goes on")
		item, err := s.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, item.N)
		s.Close()
	})
}

func TestStream_RefusalsNeverRan(t *testing.T) {
	refuse := WithAuthorize(func(ctx context.Context, method string) (Identity, error) {
		if MetadataFrom(ctx)["token"] == "" {
			return Identity{}, Errorf(Unauthenticated, "no token")
		}
		return Identity{}, nil
	})
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t, refuse))
		in, err := watch.Open(t.Context(), client, &watchRequest{Count: 1})
		require.NoError(t, err, "Open does not wait for the server")
		_, err = in.Receive(t.Context())
		assert.Equal(t, Unauthenticated, CodeOf(err), "a hook covers streams unchanged")
		assert.True(t, NeverRan(err))

		ctx := AddMetadata(t.Context(), Metadata{"token": "t"})
		for method, kind := range map[string]MethodKind{"Inventory.Watch": BidiStreaming, "Inventory.CheckStock": ServerStreaming, "No.Such": ServerStreaming} {
			s, err := client.OpenStream(ctx, kind, method, nil)
			require.NoError(t, err)
			err = s.Receive(t.Context(), new(change))
			assert.Equal(t, Unimplemented, CodeOf(err), method)
			assert.True(t, NeverRan(err))
		}
		_, err = Method[watchRequest, change](watch.Name()).Call(ctx, client, &watchRequest{})
		assert.Equal(t, Unimplemented, CodeOf(err))
		assert.ErrorContains(t, err, "Inventory.Watch is a server stream")
		assertNoStreams(t, client)
	})
}

func TestStream_ServerWithoutStreamsIsUnimplemented(t *testing.T) {
	for name, c := range map[string]struct {
		srv    []ServerOption
		client []ClientOption
	}{
		"not granted": {srv: []ServerOption{WithoutStreams()}},
		"not offered": {client: []ClientOption{WithoutStreams()}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int64
				observer := WithObserver(Observer{BytesWritten: func(n int) { sent.Add(int64(n)) }})
				client := pipe(t, newInventory().server(t, c.srv...), append(c.client, observer)...)
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				before := sent.Load()
				_, err = watch.Open(t.Context(), client, &watchRequest{})
				assert.Equal(t, Unimplemented, CodeOf(err))
				assert.True(t, NeverRan(err))
				synctest.Wait()
				assert.Equal(t, before, sent.Load(), "nothing of the stream is sent")
			})
		})
	}
}

func TestHandle_RefusesWhatIsNoStream(t *testing.T) {
	assert.Equal(t, InvalidArgument, CodeOf(watch.Handle(NewServer(), sendCount, NonBlocking())))
	assert.Equal(t, InvalidArgument, CodeOf(watch.Handle(NewServer(), nil)))
}

func TestStream_PanicAndGoexitAreInternal(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("secret") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newInventory().server(t, WithPanicHandler(func(context.Context, any, []byte) {}))
				require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
					out.Send(ctx, &change{N: 1})
					end()
					return nil
				}))
				client := pipe(t, srv)
				in, err := watch.Open(t.Context(), client, &watchRequest{})
				require.NoError(t, err)
				got, err := collect(&in.Receiver)
				assert.Equal(t, []int{1}, got)
				assert.Equal(t, Internal, CodeOf(err))
				assert.NotContains(t, err.Error(), "secret")
				assertNoStreams(t, client)
			})
		})
	}
}

func TestShutdown_TellsStreamsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
			<-DrainingFrom(ctx)
			assert.NoError(t, ctx.Err())
			if err := out.Send(ctx, &change{N: 9}); err != nil {
				return err
			}
			return Errorf(Unavailable, "the server is shutting down")
		}))
		client := pipe(t, srv)
		in, err := watch.Open(t.Context(), client, &watchRequest{})
		require.NoError(t, err)
		synctest.Wait()
		done := make(chan error, 1)
		go func() { done <- srv.Shutdown(t.Context()) }()
		got, err := collect(&in.Receiver)
		assert.Equal(t, []int{9}, got)
		assert.Equal(t, Unavailable, CodeOf(err))
		require.NoError(t, <-done)
	})
	assert.Nil(t, DrainingFrom(context.Background()))
}

func TestShutdown_CancelsStreamsWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := make(chan error, 1)
		srv := newInventory().server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, _ *Sender[change]) error {
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return ctx.Err()
		}))
		client := pipe(t, srv)
		in, err := watch.Open(t.Context(), client, &watchRequest{})
		require.NoError(t, err)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		assert.ErrorIs(t, <-cause, ErrServerClosed)
		_, err = in.Receive(t.Context())
		assert.Equal(t, Unavailable, CodeOf(err))
	})
}

// Places are two. Streams that end, also early and half-closed, free them in time: an honest
// client is never told that it has opened one too many.
func TestStream_FullTurnoverStaysWithinTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := WithMaxStreams(2)
		client := pipe(t, streamServer(t, two))
		done := make(chan error)
		const callers, each = 6, 30
		for i := range callers {
			go func() {
				var failed error
				for n := range each {
					s, err := syncing.Open(t.Context(), client)
					if err != nil {
						failed = err
						break
					}
					err = s.Send(t.Context(), &change{N: n})
					if err == nil && (i+n)%3 != 0 {
						_, err = s.Receive(t.Context())
					}
					if (i+n)%2 == 0 {
						s.CloseSend()
					}
					s.Close()
					failed = errors.Join(failed, err)
				}
				done <- failed
			}()
		}
		for range callers {
			assert.NoError(t, <-done)
		}
		assertNoStreams(t, client)
	})
}

func TestStream_TwoSendersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		received := make(chan error)
		go func() {
			_, err := s.Receive(t.Context())
			received <- err
		}()
		synctest.Wait()
		_, err = s.Receive(t.Context())
		assert.Equal(t, FailedPrecondition, CodeOf(err))
		s.Close()
		assert.Equal(t, Canceled, CodeOf(<-received))
		assert.Equal(t, InvalidArgument, CodeOf(new(Sender[change]).Send(t.Context(), &change{})))
		_, err = new(Receiver[change]).Receive(t.Context())
		assert.Equal(t, InvalidArgument, CodeOf(err))
		assert.NoError(t, new(DuplexStream[change, change]).Close())
	})
}

// What a stream delivers does not depend on who writes and who reads: on TCP senders write
// themselves, over TLS goroutines do.
func TestStream_OverNetworks(t *testing.T) {
	ca := newAuthority(t)
	server := &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}
	for name, c := range map[string]struct {
		srv    []ServerOption
		client []ClientOption
	}{
		"tcp": {},
		"tls": {[]ServerOption{WithTLS(server)}, []ClientOption{WithTLS(&tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"})}},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, listen(t, streamServer(t, c.srv...)), c.client...)
			ctx := timeout(t, time.Minute)
			const streams = 8
			done := make(chan error, 2*streams)
			for i := range streams {
				s, err := syncing.Open(ctx, client)
				require.NoError(t, err)
				size, items := []int{0, 100, 5_000, 120_000}[i%4], []int{60, 60, 20, 5}[i%4]
				go func() {
					var err error
					for n := 0; n < items && err == nil; n++ {
						err = s.Send(ctx, &change{N: n, Data: string(repeat('x', size))})
					}
					done <- errors.Join(err, s.CloseSend())
				}()
				go func() {
					got, err := collect(&s.Receiver)
					if err == nil && !slices.Equal(got, upTo(items)) {
						err = fmt.Errorf("got %v", got)
					}
					done <- err
				}()
			}
			for range 2 * streams {
				assert.NoError(t, <-done)
			}
			_, err := checkStock.Call(ctx, client, &stockRequest{Item: "item1"})
			assert.NoError(t, err)
		})
	}
}

// Interleaved calls and streams: a lone caller reads its own reply, and the streams' frames
// on the way.
func TestStream_CallsGoOnBesideStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		for n := range 100 {
			require.NoError(t, s.Send(t.Context(), &change{N: n}))
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
			item, err := s.Receive(t.Context())
			require.NoError(t, err)
			require.Equal(t, n, item.N)
		}
		require.NoError(t, s.CloseSend())
		_, err = s.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		assertNoStreams(t, client)
	})
}

// A refused open is forgotten, however far away its deadline is.
func TestStream_RefusedOpensLeaveNothing(t *testing.T) {
	const n = 2000
	raw := rawStreams(t, streamServer(t), "16384")
	before := heapInUse()
	for id := range uint64(n) {
		head := wire.OpenHead{Shape: wire.ServerStream, RequestHead: wire.RequestHead{Method: "No.Such", Timeout: 40 * 24 * time.Hour}}
		raw.write(head.Append(nil, 0, id+1, 0))
		require.Equal(t, wire.KindEnd, raw.read().Kind)
	}
	assert.Less(t, int(heapInUse())-int(before), n*300)
}

// A stream has the place for a large item, and its handler looks at nothing. When it is
// cancelled, the place is the next one's.
func TestStream_TheLargePlaceOfACancelledOneIsLentOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithKeepalive(0))
		deaf := make(chan struct{})
		first := true
		require.NoError(t, syncing.Handle(srv, func(_ context.Context, in *Receiver[change], _ *Sender[change]) error {
			if first {
				first = false
				<-deaf
				return nil
			}
			_, err := collect(in)
			return err
		}))
		client := pipe(t, srv, WithKeepalive(0))
		ctx, leave := context.WithCancel(t.Context())
		holder, err := syncing.Open(ctx, client)
		require.NoError(t, err)
		synctest.Wait()
		next, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		large := &change{Data: strings.Repeat("x", 3<<20)}
		require.NoError(t, holder.Send(ctx, large))
		sent := make(chan error, 1)
		go func() { sent <- next.Send(t.Context(), large) }()
		synctest.Wait()
		require.Empty(t, sent, "it waits for the place")
		leave()
		synctest.Wait()
		require.Len(t, sent, 1)
		assert.NoError(t, <-sent)
		next.Close()
		close(deaf)
	})
}

// A hook of an observer that exits, or takes its time, keeps nothing else from its end.
func TestStream_AnObserverThatExitsHangsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
			<-ctx.Done()
			return ctx.Err()
		})
		defer srv.Close()
		client := pipe(t, srv, WithMaxAttempts(1), WithKeepalive(0), WithObserver(Observer{AttemptDone: func(context.Context, Attempt) { runtime.Goexit() }}))
		var streams []*DuplexStream[change, change]
		for range 3 {
			s, err := syncing.Open(t.Context(), client)
			require.NoError(t, err)
			streams = append(streams, s)
		}
		synctest.Wait()
		client.conn.Load().conn.Close()
		for _, s := range streams {
			_, err := s.Receive(timeout(t, time.Minute))
			assert.ErrorIs(t, err, Unavailable)
		}
	})
}

// A connection that has reached its age goes on only as long as its streams, which learn of it.
func TestStream_HandlersLearnOfTheConnectionsAge(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
			<-DrainingFrom(ctx)
			return Errorf(Unavailable, "open it again")
		}, WithMaxConnAge(time.Minute))
		defer srv.Close()
		client := pipe(t, srv, WithKeepalive(0))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		_, err = s.Receive(timeout(t, time.Hour))
		assert.ErrorContains(t, err, "open it again")
	})
}

// A request that is too large fails as that of a call does.
func TestStream_TooLargeARequest(t *testing.T) {
	srv := streamServer(t, WithMaxMessage(4096))
	client := pipe(t, srv)
	_, err := OpenStream(t.Context(), client, ServerStreaming, watch.Name(), &change{Data: strings.Repeat("x", 5000)})
	assert.ErrorIs(t, err, ResourceExhausted)
	assert.True(t, NeverRan(err))
	assert.ErrorContains(t, err, "request of ")
}

// After a mistake of the client's, no stream is said to have been cancelled by its caller.
func TestStream_AGoAwayIsNoCancel(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
			<-ctx.Done()
			return ctx.Err()
		})
		defer srv.Close()
		raw := rawStreams(t, srv, "16384")
		raw.write(append(bidi(1), bidi(2)...))
		synctest.Wait()
		raw.write(wire.AppendBytes(nil, wire.KindCredit, 1, 0))
		require.Equal(t, wire.KindGoAway, raw.read().Kind)
		_, err := raw.conn.Read(make([]byte, 1))
		assert.Equal(t, io.EOF, err, "nothing but the end")
	})
}

func TestStream_CloseAndReceiveMayBeCalledOnce(t *testing.T) {
	srv := streamServer(t)
	client := pipe(t, srv)
	s, err := imports.Open(t.Context(), client)
	require.NoError(t, err)
	_, err = s.CloseAndReceive(t.Context())
	require.NoError(t, err)
	_, err = s.CloseAndReceive(t.Context())
	assert.ErrorIs(t, err, FailedPrecondition)
}

// A nil request or item is a zero value, whatever the codec makes of nil.
func TestStream_NilIsAZeroValue(t *testing.T) {
	for name, codec := range map[string]Codec{"json": JSON, "gob": Gob} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newInventory().server(t, WithCodecs(JSON, Gob))
				require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
					assert.Equal(t, watchRequest{}, *req)
					return out.Send(ctx, nil)
				}))
				require.NoError(t, imports.Handle(srv, addUp))
				client := pipe(t, srv, WithCodec(codec))
				in, err := watch.Open(t.Context(), client, nil)
				require.NoError(t, err)
				got, err := collect(&in.Receiver)
				require.NoError(t, err)
				assert.Equal(t, []int{0}, got)
				out, err := imports.Open(t.Context(), client)
				require.NoError(t, err)
				require.NoError(t, out.Send(t.Context(), nil))
				r, err := out.CloseAndReceive(t.Context())
				require.NoError(t, err)
				assert.Equal(t, report{Items: 1}, *r)
			})
		})
	}
}

// The commonest mistake of a handler: it returns what ended its loop.
func TestStream_EOFReturnedByAHandlerIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *Receiver[change]) (*report, error) {
			_, err := in.Receive(ctx)
			return nil, err
		}))
		s, err := imports.Open(t.Context(), pipe(t, srv))
		require.NoError(t, err)
		_, err = s.CloseAndReceive(t.Context())
		assert.EqualError(t, err, "unknown: EOF was returned as an error: return nil, or a reply, after the last item")
		assert.NotErrorIs(t, err, io.EOF)
	})
}

// The error says which side has no streams.
func TestStream_UnimplementedNamesTheSideWithoutStreams(t *testing.T) {
	for text, c := range map[string]struct {
		server []ServerOption
		client []ClientOption
	}{
		"the server grants no streams":                         {server: []ServerOption{WithoutStreams()}},
		"this client offers no streams: it has WithoutStreams": {client: []ClientOption{WithoutStreams()}},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := watch.Open(t.Context(), pipe(t, streamServer(t, c.server...), c.client...), &watchRequest{})
			assert.Equal(t, Unimplemented, CodeOf(err))
			assert.True(t, NeverRan(err))
			assert.ErrorContains(t, err, "Inventory.Watch: "+text)
		})
	}
}

// What a handler has left behind is told that it has returned.
func TestStream_AfterTheHandlerHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		var kept *Sender[change]
		var ctx context.Context
		require.NoError(t, watch.Handle(srv, func(c context.Context, _ *watchRequest, out *Sender[change]) error {
			kept, ctx = out, c
			return nil
		}))
		in, err := watch.Open(t.Context(), pipe(t, srv), nil)
		require.NoError(t, err)
		_, err = collect(&in.Receiver)
		require.NoError(t, err)
		synctest.Wait()
		err = kept.Send(ctx, &change{})
		assert.ErrorIs(t, err, context.Canceled)
		assert.ErrorContains(t, err, "the handler of the stream has returned")
		assert.ErrorContains(t, kept.Send(t.Context(), &change{}), "the handler of the stream has returned")
		assert.ErrorContains(t, SetHeader(ctx, Metadata{"a": "1"}), "with the first item, with the end, or by SendHeader")
		assert.NoError(t, SetTrailer(ctx, Metadata{"a": "1"}))
	})
}

func TestStream_OnEndOfNilIsIgnored(t *testing.T) {
	printed := new(bytes.Buffer)
	log.SetOutput(printed)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		for _, kind := range []MethodKind{ServerStreaming, BidiStreaming} {
			name := map[MethodKind]string{ServerStreaming: watch.Name(), BidiStreaming: syncing.Name()}[kind]
			s, err := client.OpenStream(t.Context(), kind, name, &watchRequest{})
			require.NoError(t, err)
			s.OnEnd(nil)
			s.Close()
			s.OnEnd(nil)
			synctest.Wait()
			assert.Empty(t, printed.String())
		}
	})
}

// A nil context is refused in words.
func TestNilContext_IsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := streamServer(t)
		client := pipe(t, srv)
		pool := NewPool(StaticResolver{"a"}, WithDialer(func(context.Context, string) (net.Conn, error) { return nil, errors.New("none") }))
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		var none context.Context
		out, err := imports.Open(t.Context(), client)
		require.NoError(t, err)
		unary := Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{"Item":"bolt"}`)}
		stream := Invocation{Method: watch.Name(), Codec: JSON, Params: []byte(`{"Count":1}`)}
		send := func(context.Context, []byte) error { return nil }
		a, err := srv.Authorize(t.Context(), unary)
		require.NoError(t, err)
		b, err := srv.Authorize(t.Context(), stream)
		require.NoError(t, err)
		in, err := watch.Open(t.Context(), client, nil)
		require.NoError(t, err)
		for name, do := range map[string]func() error{
			"Open":    func() error { _, err := syncing.Open(none, client); return err },
			"watch":   func() error { _, err := watch.Open(none, client, nil); return err },
			"Send":    func() error { return s.Send(none, nil) },
			"Receive": func() error { _, err := s.Receive(none); return err },
			"Header":  func() error { _, err := in.Header(none); return err },
			"Call":    func() error { return client.Call(none, "Inventory.CheckStock", nil, nil) },
			"Go":      func() error { return client.Go(none, "Inventory.CheckStock", nil, nil).Wait() },
			"Ping":    func() error { return client.Ping(none) },

			"CloseAndReceive": func() error { _, err := out.CloseAndReceive(none); return err },
			"Shutdown":        func() error { return srv.Shutdown(none) },
			"Invoke":          func() error { _, err := srv.Invoke(none, unary); return err },
			"Authorize":       func() error { _, err := srv.Authorize(none, unary); return err },
			"InvokeStream":    func() error { return srv.InvokeStream(none, stream, send) },

			"Authorized.Invoke":       func() error { _, err := a.Invoke(none, unary.Params); return err },
			"Authorized.InvokeStream": func() error { return b.InvokeStream(none, stream.Params, send) },

			"Pool.Call":       func() error { return pool.Call(none, "Inventory.CheckStock", nil, nil) },
			"Pool.Go":         func() error { return pool.Go(none, "Inventory.CheckStock", nil, nil).Wait() },
			"Pool.OpenStream": func() error { _, err := pool.OpenStream(none, BidiStreaming, syncing.Name(), nil); return err },
		} {
			err := do()
			assert.Equal(t, InvalidArgument, CodeOf(err), name)
			assert.ErrorContains(t, err, "the context is nil", name)
		}
		assert.Equal(t, Serving, srv.State())
		_, err = out.CloseAndReceive(t.Context())
		assert.NoError(t, err, "nothing has ended")
		_, err = a.Invoke(t.Context(), unary.Params)
		assert.NoError(t, err)
		assert.NoError(t, b.InvokeStream(t.Context(), stream.Params, send))
		a.Release()
		s.Close()
		in.Close()
		pool.Close()
	})
}
