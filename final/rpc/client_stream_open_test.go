package rpc

import (
	"context"
	"errors"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// streamNetwork is servers a, b ..., whose handlers of streams wait for the end, and a pool of them.
func streamNetwork(t *testing.T, servers ...[]ServerOption) (*network, []*Server, StaticResolver) {
	n := newNetwork()
	var all []*Server
	var addrs StaticResolver
	for i, opts := range servers {
		srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
			_, err := collect(in)
			return err
		}, opts...)
		addr := string(rune('a' + i))
		n.set(addr, srv)
		all, addrs = append(all, srv), append(addrs, addr)
	}
	return n, all, addrs
}

type resolves func(ctx context.Context, update func([]string)) error

func (r resolves) Resolve(ctx context.Context, update func([]string)) error { return r(ctx, update) }

// without grants no streams.
func without(t *testing.T) []ServerOption {
	return []ServerOption{WithoutStreams()}
}

// openAt returns how many streams are open on a server.
func openAt(srv *Server) (n int) {
	synctest.Wait()
	for _, c := range connsOf(srv) {
		c.mu.Lock()
		n += c.streams.open()
		c.mu.Unlock()
	}
	return n
}

func TestPool_StreamPassesServersThatGrantNone(t *testing.T) {
	for _, how := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		t.Run(how.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n, all, addrs := streamNetwork(t, without(t), nil, without(t))
				pool := NewPool(addrs, WithDialer(n.dial), WithBalancing(how))
				warm(t, pool)
				for range 10 {
					s, err := syncing.Open(t.Context(), pool)
					require.NoError(t, err)
					defer s.Close()
				}
				assert.Equal(t, 10, openAt(all[1]))
				pool.Close()
				for _, srv := range all {
					srv.Close()
				}
			})
		})
	}
}

func TestPool_StreamIsUnimplementedIfNoServerGrantsAny(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, all, addrs := streamNetwork(t, without(t), without(t))
		pool := NewPool(addrs, WithDialer(n.dial))
		warm(t, pool)
		for range 3 {
			begun := time.Now()
			_, err := syncing.Open(t.Context(), pool)
			assert.Equal(t, Unimplemented, CodeOf(err))
			assert.True(t, NeverRan(err))
			assert.Zero(t, time.Since(begun))
		}
		pool.Close()
		for _, srv := range all {
			srv.Close()
		}
	})
}

// An open goes to a server that grants no streams only if there is no other: nothing is tried
// in vain, and observers are told of no failure. It waits for a slot in the same way.
func TestPool_ServersThatGrantNoStreamsAreNotTried(t *testing.T) {
	for _, how := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		t.Run(how.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n, all, addrs := streamNetwork(t, without(t), []ServerOption{WithMaxStreams(3)}, without(t))
				told := make(chan Attempt, 20)
				pool := NewPool(addrs, WithDialer(n.dial), WithBalancing(how), WithObserver(Observer{AttemptDone: func(_ context.Context, a Attempt) {
					if a.Kind != Unary {
						told <- a
					}
				}}))
				warm(t, pool)
				var open []*DuplexStream[change, change]
				for range 3 {
					s, err := syncing.Open(t.Context(), pool)
					require.NoError(t, err)
					open = append(open, s)
				}
				opened := make(chan error, 1)
				go func() {
					s, err := syncing.Open(timeout(t, time.Minute), pool)
					assert.NotNil(t, s)
					opened <- err
				}()
				synctest.Wait()
				assert.Equal(t, 1, Waiting(pool))
				assert.Empty(t, told)
				open[0].Close()
				assert.NoError(t, <-opened)
				synctest.Wait()
				require.Len(t, told, 1)
				assert.Equal(t, "b", (<-told).Addr)
				pool.Close()
				for _, srv := range all {
					srv.Close()
				}
			})
		})
	}
}

// A server whose stream slots are all taken is passed, and once all are, an open waits for the
// first place that becomes free, on any of them.
func TestPool_StreamTakesAPlaceWhereThereIsOne(t *testing.T) {
	for _, how := range []Balancing{LeastInFlight, TwoChoices, RoundRobin} {
		t.Run(how.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				n, all, addrs := streamNetwork(t, []ServerOption{WithMaxStreams(2)}, []ServerOption{WithMaxStreams(3)}, without(t))
				pool := NewPool(addrs, WithDialer(n.dial), WithBalancing(how))
				warm(t, pool)
				var open []*DuplexStream[change, change]
				for range 5 {
					s, err := syncing.Open(t.Context(), pool)
					require.NoError(t, err)
					open = append(open, s)
				}
				assert.Equal(t, 2, openAt(all[0]))
				assert.Equal(t, 3, openAt(all[1]))
				_, err := syncing.Open(timeout(t, time.Second), pool)
				assert.Equal(t, DeadlineExceeded, CodeOf(err))
				assert.True(t, NeverRan(err))
				for _, s := range open {
					waits := make(chan error)
					go func() {
						next, err := syncing.Open(t.Context(), pool)
						if err == nil {
							defer next.Close()
						}
						waits <- err
					}()
					synctest.Wait()
					require.NoError(t, s.CloseSend())
					require.NoError(t, <-waits)
				}
				assert.Zero(t, openAt(all[0])+openAt(all[1]))
				pool.Close()
				for _, srv := range all {
					srv.Close()
				}
			})
		})
	}
}

// An open that waits for a slot goes to a server that is new, or that is back.
func TestPool_StreamThatWaitsForAPlaceTakesANewServer(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n, all, _ := streamNetwork(t, []ServerOption{WithMaxStreams(1)}, nil)
		var update func([]string)
		pool := NewPool(resolves(func(ctx context.Context, u func([]string)) error {
			update = u
			u([]string{"a"})
			<-ctx.Done()
			return ctx.Err()
		}), WithDialer(n.dial))
		warm(t, pool)
		_, err := syncing.Open(t.Context(), pool)
		require.NoError(t, err)
		opened := make(chan error)
		go func() {
			_, err := syncing.Open(t.Context(), pool)
			opened <- err
		}()
		synctest.Wait()
		update([]string{"a", "b"})
		require.NoError(t, <-opened)
		assert.Equal(t, 1, openAt(all[1]))
		pool.Close()
		for _, srv := range all {
			srv.Close()
		}
	})
}

func TestObserver_IsToldOfStreams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var seen attempts
		client := pipe(t, streamServer(t), WithObserver(seen.observer()))
		one := func() Attempt {
			synctest.Wait()
			told := seen.take()
			require.Len(t, told, 1)
			assert.Equal(t, 1, told[0].Number)
			assert.False(t, told[0].Ended.Before(told[0].Begun))
			return told[0]
		}
		in, err := watch.Open(t.Context(), client, &watchRequest{Count: 3})
		require.NoError(t, err)
		_, err = collect(&in.Receiver)
		require.NoError(t, err)
		a := one()
		assert.NoError(t, a.Err)
		assert.Equal(t, watch.Name(), a.Method)
		assert.Equal(t, ServerStreaming, a.Kind)

		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		synctest.Wait()
		assert.Empty(t, seen.take(), "it has not ended")
		s.Close()
		s.Close()
		a = one()
		assert.Equal(t, BidiStreaming, a.Kind)
		assert.Equal(t, Canceled, CodeOf(a.Err))

		_, err = BidiStream[change, change]("No.Such").Open(t.Context(), client)
		require.NoError(t, err)
		assert.Equal(t, Unimplemented, CodeOf(one().Err))

		_, err = syncing.Open(AddMetadata(t.Context(), Metadata{"": ""}), client)
		assert.Error(t, err)
		assert.Equal(t, CodeOf(err), CodeOf(one().Err), "it was not sent")

		s, err = syncing.Open(t.Context(), client)
		require.NoError(t, err)
		client.Close()
		assert.Equal(t, Canceled, CodeOf(one().Err))
		_, err = s.Receive(t.Context())
		assert.NotEqual(t, io.EOF, err)
	})
}

// Streams take no slots of calls: a connection whose slots are all taken still opens them, and
// one whose stream slots are taken still makes calls.
func TestStream_OpensBesideAllSlots(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hang := make(chan struct{})
		srv := bidiServer(t, receiveAll, WithMaxInFlight(1), WithMaxStreams(1))
		slow := Method[change, change]("Test.Slow")
		require.NoError(t, slow.Handle(srv, func(context.Context, *change) (*change, error) { <-hang; return &change{}, nil }))
		client := pipe(t, srv)
		called := make(chan error, 2)
		call := func() { _, err := slow.Call(t.Context(), client, &change{}); called <- err }
		go call()
		synctest.Wait()
		begun := time.Now()
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		assert.Zero(t, time.Since(begun))
		_, err = syncing.Open(timeout(t, time.Second), client)
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		assert.ErrorContains(t, err, "as many streams open as they may, at most 1 each (WithMaxStreams, WithConnStreamMemory)")
		close(hang)
		require.NoError(t, <-called)
		call()
		require.NoError(t, <-called)
		s.Close()
		client.Close()
		srv.Close()
	})
}

// countedRequest counts how often it is encoded.
type countedRequest struct{ times *atomic.Int64 }

func (c *countedRequest) MarshalJSON() ([]byte, error) {
	c.times.Add(1)
	return []byte("{}"), nil
}

// Opens wait for a place in a queue: as many as calls may wait, in their order, and each is
// encoded once. WithMaxWaiting bounds both together.
func TestStream_OpensWaitInAQueue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const most = 100
		srv := newInventory().server(t, WithMaxStreams(1), WithMaxInFlight(1))
		next, hang := make(chan struct{}), make(chan struct{})
		require.NoError(t, watch.Handle(srv, func(context.Context, *watchRequest, *Sender[change]) error { <-next; return nil }))
		slow := Method[change, change]("Test.Slow")
		require.NoError(t, slow.Handle(srv, func(context.Context, *change) (*change, error) { <-hang; return &change{}, nil }))
		client := pipe(t, srv, WithMaxWaiting(most))
		var times atomic.Int64
		counted := ServerStream[countedRequest, change](watch.Name())
		first, err := counted.Open(t.Context(), client, &countedRequest{&times})
		require.NoError(t, err)
		order := make(chan int, most)
		for i := range most - 1 {
			go func() {
				s, err := counted.Open(t.Context(), client, &countedRequest{&times})
				if assert.NoError(t, err) {
					order <- i
					collect(&s.Receiver)
				}
			}()
			synctest.Wait()
		}
		for range 2 {
			go slow.Call(t.Context(), client, &change{}) // the second one waits
			synctest.Wait()
		}
		_, err = counted.Open(t.Context(), client, &countedRequest{&times})
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.ErrorContains(t, err, "WithMaxWaiting")
		assert.True(t, NeverRan(err))
		for i := range most - 1 {
			next <- struct{}{} // the handler of the stream before it returns
			require.Equal(t, i, <-order)
		}
		close(next)
		collect(&first.Receiver)
		synctest.Wait()
		assert.EqualValues(t, most, times.Load())
		close(hang)
		synctest.Wait()
		assertNoStreams(t, client)
		client.Close()
		srv.Close()
	})
}

// An open that waits takes the first place on any server, whatever the slots of calls are
// like there.
func TestPool_OpenThatWaitsTakesAPlaceOnAnyServer(t *testing.T) {
	for first := range 2 {
		bubble(t, func(t *testing.T) {
			n, all, addrs := streamNetwork(t, []ServerOption{WithMaxStreams(1)}, []ServerOption{WithMaxStreams(1), WithMaxInFlight(1)})
			hang := make(chan struct{})
			slow := Method[change, change]("Test.Slow")
			for _, srv := range all {
				require.NoError(t, slow.Handle(srv, func(context.Context, *change) (*change, error) { <-hang; return &change{}, nil }))
			}
			pool := NewPool(addrs, WithDialer(n.dial), WithBalancing(RoundRobin))
			warm(t, pool)
			for range 2 {
				go slow.Call(t.Context(), pool, &change{})
			}
			synctest.Wait()
			var open [2]*DuplexStream[change, change]
			for range open {
				s, err := syncing.Open(timeout(t, time.Minute), pool)
				require.NoError(t, err)
				open[int(s.opened.(*clientStream).conn.owner.addr[0]-'a')] = s
			}
			opened := make(chan error)
			go func() {
				s, err := syncing.Open(timeout(t, time.Minute), pool)
				assert.NotNil(t, s)
				opened <- err
			}()
			synctest.Wait()
			require.NoError(t, open[first].CloseSend())
			assert.NoError(t, <-opened)
			close(hang)
			pool.Close()
			for _, srv := range all {
				srv.Close()
			}
		})
	}
}

// An open that gives up, or that a user's code ends, leaves its place to the next one.
func TestStream_OpensThatFailKeepNoPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t, WithMaxStreams(1))
		client := pipe(t, srv, WithMaxWait(time.Second))
		failing := ServerStream[changingItem, change](watch.Name())
		for _, fail := range []func() (string, error){
			func() (string, error) { return "", errors.New("cannot be encoded") },
			func() (string, error) { runtime.Goexit(); return "", nil },
		} {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, err := failing.Open(t.Context(), client, &changingItem{times: 1, then: fail})
				assert.Error(t, err)
			}()
			<-done
			assertNoStreams(t, client)
		}
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		begun := time.Now()
		_, err = syncing.Open(t.Context(), client)
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.ErrorContains(t, err, "WithMaxWait")
		assert.Equal(t, time.Second, time.Since(begun))
		s.Close()
		synctest.Wait()
		s, err = syncing.Open(t.Context(), client)
		assert.NoError(t, err)
		s.Close()
		client.Close()
		srv.Close()
	})
}

// An open that fails after it has got a place lets the one that waits have it.
func TestStream_AnOpenThatFailsLetsTheNextGoOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t, WithMaxStreams(1))
		client := pipe(t, srv, WithKeepalive(0))
		encoding, fail := make(chan struct{}), make(chan struct{})
		failing := ServerStream[changingItem, change](watch.Name())
		failed := make(chan error)
		go func() {
			_, err := failing.Open(t.Context(), client, &changingItem{times: 1, then: func() (string, error) {
				close(encoding)
				<-fail
				return "", errors.New("cannot be encoded")
			}})
			failed <- err
		}()
		<-encoding
		opened := make(chan error)
		go func() {
			s, err := syncing.Open(t.Context(), client)
			if err == nil {
				s.Close()
			}
			opened <- err
		}()
		synctest.Wait()
		close(fail)
		assert.Error(t, <-failed)
		assert.NoError(t, <-opened)
		client.Close()
		srv.Close()
	})
}
