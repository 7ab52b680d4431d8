package rpc

import (
	"context"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// refusingPool is servers a, b ... that refuse streams as often as said there, and a pool of them.
func refusingPool(t *testing.T, why *Error, times []int, opts ...ClientOption) (pool *Pool, ran *atomic.Int64, close func()) {
	n := newNetwork()
	var addrs StaticResolver
	var all []*Server
	ran = new(atomic.Int64)
	for i, left := range times {
		var asked atomic.Int64
		srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
			if int(asked.Add(1)) <= left {
				return Identity{}, why
			}
			return Identity{}, nil
		}))
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			ran.Add(1)
			if err := SetHeader(ctx, Metadata{"served": "yes"}); err != nil {
				return err
			}
			return sendCount(ctx, req, out)
		}))
		require.NoError(t, syncing.Handle(srv, echo))
		require.NoError(t, imports.Handle(srv, addUp))
		addr := string(rune('a' + i))
		n.set(addr, srv)
		addrs, all = append(addrs, addr), append(all, srv)
	}
	pool = NewPool(addrs, WithClientOptions(append(opts, WithDialer(n.dial))...), WithBalancing(RoundRobin))
	return pool, ran, func() {
		pool.Close()
		for _, srv := range all {
			srv.Close()
		}
	}
}

// A server stream that never ran is opened on another server, with the request as it was. Its
// caller sees one stream.
func TestStream_ReopensWhatNeverRan(t *testing.T) {
	busy := Errorf(Unavailable, "busy")
	for name, c := range map[string]struct {
		why   *Error
		times []int
	}{
		"another server":     {busy, []int{9, 0}},
		"the last of three":  {busy, []int{9, 9, 0}},
		"asked to wait":      {Errorf(ResourceExhausted, "full").WithDetail(RetryAfterDetail, "100"), []int{1}},
		"has room elsewhere": {Errorf(ResourceExhausted, "full"), []int{9, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var seen attempts
				pool, ran, end := refusingPool(t, c.why, c.times, WithObserver(seen.observer()))
				for range c.times { // wherever it begins
					req := &watchRequest{Count: 3}
					s, err := watch.Open(t.Context(), pool, req)
					require.NoError(t, err)
					req.Count = 7 // it is the caller's again
					ended := make(chan error, 2)
					s.opened.OnEnd(func(err error) { ended <- err })
					own := s.opened.Context()
					md, err := s.Header(t.Context())
					require.NoError(t, err)
					assert.Equal(t, "yes", md["served"])
					got, err := collect(&s.Receiver)
					assert.NoError(t, err)
					assert.Equal(t, upTo(3), got)
					synctest.Wait()
					assert.Error(t, own.Err())
					require.Len(t, ended, 1)
					assert.NoError(t, <-ended)
					told := seen.take()
					require.NotEmpty(t, told)
					for i, a := range told {
						assert.Equal(t, i+1, a.Number)
						assert.Equal(t, i < len(told)-1, a.Err != nil)
					}
				}
				assert.EqualValues(t, len(c.times), ran.Load())
				end()
			})
		})
	}
}

// It is opened no more often than a call is made, within the same budget, and its error is
// that of the last time.
func TestStream_IsReopenedWithinBounds(t *testing.T) {
	for name, c := range map[string]struct {
		opts     []ClientOption
		attempts int
		text     string
	}{
		"attempts":     {[]ClientOption{WithMaxAttempts(2)}, 2, "busy"},
		"retry budget": {[]ClientOption{WithRetryBudget(10, 1)}, 2, "WithRetryBudget"},
		"none":         {[]ClientOption{WithMaxAttempts(1)}, 1, "busy"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var seen attempts
				pool, ran, end := refusingPool(t, Errorf(Unavailable, "busy"), []int{9, 9, 9, 9}, append(c.opts, WithObserver(seen.observer()))...)
				s, err := watch.Open(t.Context(), pool, &watchRequest{Count: 1})
				require.NoError(t, err)
				ended := make(chan error, 2)
				s.opened.OnEnd(func(err error) { ended <- err })
				for range 2 {
					_, err = s.Receive(t.Context())
					assert.Equal(t, Unavailable, CodeOf(err))
					assert.ErrorContains(t, err, c.text)
					assert.True(t, NeverRan(err))
				}
				_, err = s.Header(t.Context())
				assert.ErrorContains(t, err, c.text)
				synctest.Wait()
				require.Len(t, ended, 1)
				assert.ErrorContains(t, <-ended, c.text)
				s.opened.OnEnd(func(err error) { ended <- err })
				assert.ErrorContains(t, <-ended, c.text)
				assert.Len(t, seen.take(), c.attempts)
				assert.Zero(t, ran.Load())
				end()
			})
		})
	}
}

// What has run, or may have, is not opened again, nor a stream on which the caller sends.
func TestStream_IsNotReopenedOnceSomethingWentOutOrCameIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, ran, end := refusingPool(t, Errorf(Unavailable, "busy"), []int{9, 9})
		s, err := syncing.Open(t.Context(), pool)
		require.NoError(t, err)
		_, err = s.Receive(t.Context())
		assert.ErrorContains(t, err, "busy")
		assert.True(t, NeverRan(err))
		i, err := imports.Open(t.Context(), pool)
		require.NoError(t, err)
		_, err = i.CloseAndReceive(t.Context())
		assert.ErrorContains(t, err, "busy")
		assert.Zero(t, ran.Load())
		end()

		for _, items := range []int{0, 1} {
			var runs atomic.Int64
			srv := newInventory().server(t)
			require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
				runs.Add(1)
				if err := sendCount(ctx, req, out); err != nil {
					return err
				}
				return Errorf(Unavailable, "going away")
			}))
			client := pipe(t, srv)
			s, err := watch.Open(t.Context(), client, &watchRequest{Count: items})
			require.NoError(t, err)
			got, err := collect(&s.Receiver)
			assert.Len(t, got, items)
			assert.ErrorContains(t, err, "going away")
			assert.False(t, NeverRan(err))
			assert.EqualValues(t, 1, runs.Load())
			client.Close()
			srv.Close()
		}
	})
}

// A stream whose open has crossed the go-away of its server is opened over the next
// connection; one whose connection is lost after the open was read is not.
func TestStream_ReopensAfterAGoAway(t *testing.T) {
	for _, lost := range []bool{false, true} {
		bubble(t, func(t *testing.T) {
			srv := streamServer(t)
			var dials atomic.Int64
			client, err := Dial(t.Context(), "a", WithDialer(func(context.Context, string) (net.Conn, error) {
				near, far := net.Pipe()
				if dials.Add(1) > 1 {
					go srv.ServeConn(far)
					return near, nil
				}
				go func() {
					wire.ReadHello(far, wire.MaxHello)
					far.Write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20, Text: "rpc.streams=10,16384"}).Append(nil))
					raw := rawOn(t, far)
					raw.read()
					if !lost {
						far.Write(wire.AppendGoAway(nil, 0, &wire.Reason{Code: wire.Unavailable, Text: "bye"}))
						io.Copy(io.Discard, far)
					}
					far.Close()
				}()
				return near, nil
			}))
			require.NoError(t, err)
			s, err := watch.Open(t.Context(), client, &watchRequest{Count: 3})
			require.NoError(t, err)
			got, err := collect(&s.Receiver)
			if lost {
				assert.Equal(t, Unavailable, CodeOf(err))
				assert.False(t, NeverRan(err))
			} else {
				assert.NoError(t, err)
				assert.Equal(t, upTo(3), got)
			}
			client.Close()
			srv.Close()
		})
	}
}

// While a stream is about to be opened again, its caller may leave it in every way.
func TestStream_IsLeftWhileItIsReopened(t *testing.T) {
	full := Errorf(ResourceExhausted, "full").WithDetail(RetryAfterDetail, "4000")
	for name, c := range map[string]struct {
		leave func(s *ReceiveStream[change], cancel func(), pool *Pool)
		text  string
	}{
		"Close":       {func(s *ReceiveStream[change], _ func(), _ *Pool) { s.Close() }, "closed"},
		"its context": {func(_ *ReceiveStream[change], cancel func(), _ *Pool) { cancel() }, "canceled"},
		"the pool":    {func(_ *ReceiveStream[change], _ func(), pool *Pool) { pool.Close() }, "closed"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				pool, ran, end := refusingPool(t, full, []int{9})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s, err := watch.Open(ctx, pool, &watchRequest{Count: 1})
				require.NoError(t, err)
				ended := make(chan error, 2)
				s.opened.OnEnd(func(err error) { ended <- err })
				_, err = s.Receive(timeout(t, time.Second))
				assert.Equal(t, DeadlineExceeded, CodeOf(err), "the Receive alone")
				c.leave(s, cancel, pool)
				begun := time.Now()
				_, err = s.Receive(t.Context())
				assert.Equal(t, Canceled, CodeOf(err))
				assert.ErrorContains(t, err, c.text)
				assert.Error(t, <-ended)
				assert.Zero(t, time.Since(begun))
				assert.Zero(t, ran.Load())
				end()
			})
		})
	}
}

// A large request is not kept, so it is sent once.
func TestStream_LargeRequestIsNotKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		pool, ran, end := refusingPool(t, Errorf(Unavailable, "busy"), []int{1})
		large := ServerStream[change, change](watch.Name())
		s, err := large.Open(t.Context(), pool, &change{Data: strings.Repeat("x", mostKept)})
		require.NoError(t, err)
		_, err = s.Receive(t.Context())
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.Zero(t, ran.Load())
		assert.Nil(t, s.opened.(*reopening).params)
		end()
	})
}

// A stream of which an item has arrived has run, whatever a server says then: it is not
// opened again, and nothing of it is lost.
func TestStream_ThatHasRunIsNotReopenedWhateverTheServerSays(t *testing.T) {
	end := appendEnd(nil, 1, Errorf(Unavailable, "busy").WithDetail(RetryAfterDetail, "10"), nil, 1<<20)
	end[5] |= wire.FlagNeverRan
	for name, said := range map[string][]byte{
		"an end": end, "a go-away": wire.AppendGoAway(nil, 0, &wire.Reason{Code: wire.Code(Unavailable), Text: "restarting"}),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20, Text: "rpc.streams=10,16384"})
				s, err := watch.Open(t.Context(), client, &watchRequest{Count: 3})
				require.NoError(t, err)
				raw.read()
				raw.write(frameOf(wire.KindData, 0, 1, `{"Data":"first"}`))
				raw.write(said)
				<-time.After(time.Second) // in which it would be opened again
				item, err := s.Receive(t.Context())
				require.NoError(t, err)
				assert.Equal(t, "first", item.Data)
				_, err = s.Receive(t.Context())
				assert.Equal(t, Unavailable, CodeOf(err))
				assert.False(t, NeverRan(err))
				raw.conn.Close()
			})
		})
	}
}

// An observer is told of a stream with the context of its caller, which goes on.
func TestObserver_IsToldOfAStreamWithTheContextOfItsCaller(t *testing.T) {
	bubble(t, func(t *testing.T) {
		told := make(chan error, 20)
		client := pipe(t, streamServer(t), WithObserver(Observer{AttemptDone: func(ctx context.Context, _ Attempt) { told <- ctx.Err() }}))
		for range cap(told) {
			s, err := watch.Open(t.Context(), client, &watchRequest{Count: 0})
			require.NoError(t, err)
			_, err = collect(&s.Receiver)
			require.NoError(t, err)
			assert.NoError(t, <-told)
		}
	})
}

// A stream that has delivered items is a success for the retry budget, too, if its caller
// closes it: one open in five is refused here, and each is opened again.
func TestRetryBudget_StreamsThatAreClosedHaveSucceeded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		var asked atomic.Int64
		for _, addr := range []string{"a", "b"} {
			srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
				if asked.Add(1)%5 == 0 {
					return Identity{}, Errorf(Unavailable, "busy")
				}
				return Identity{}, nil
			}))
			defer srv.Close()
			require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
				if err := sendCount(ctx, req, out); err != nil {
					return err
				}
				<-ctx.Done()
				return ctx.Err()
			}))
			n.set(addr, srv)
		}
		pool := newPool(t, StaticResolver{"a", "b"}, WithDialer(n.dial), WithRetryBudget(50, 2))
		for i := range 50 {
			s, err := watch.Open(t.Context(), pool, &watchRequest{Count: 1})
			require.NoError(t, err)
			_, err = s.Receive(t.Context())
			require.NoError(t, err, "stream %d", i)
			s.Close()
			<-time.After(time.Second)
		}
	})
}
