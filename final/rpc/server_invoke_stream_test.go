package rpc

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// watchInvocation is a stream of n items.
func watchInvocation(params string) Invocation {
	return Invocation{Method: watch.Name(), Codec: JSON, Params: []byte(params), Peer: &Peer{}}
}

func TestInvokeStream_HandsOutItemsOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		sent := 0
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			require.NoError(t, SetHeader(ctx, Metadata{"kind": "snapshot"}))
			for n := range req.Count {
				if err := out.Send(ctx, &change{N: n}); err != nil {
					return err
				}
				sent++
			}
			return Errorf(NotFound, "no more")
		}))
		var header Metadata
		in := watchInvocation(`{"Count":3}`)
		in.Header = &header
		var got []string
		taken := make(chan string)
		go func() {
			for item := range taken {
				got = append(got, item)
				synctest.Wait()
				assert.Equal(t, len(got)-1, sent, "its Send waits")
				taken <- ""
			}
		}()
		err := srv.InvokeStream(t.Context(), in, func(_ context.Context, item []byte) error {
			assert.Equal(t, Metadata{"kind": "snapshot"}, header, "before the first item")
			taken <- string(item)
			<-taken
			return nil
		})
		close(taken)
		assert.Equal(t, []string{`{"N":0,"Data":""}`, `{"N":1,"Data":""}`, `{"N":2,"Data":""}`}, got)
		assert.Equal(t, NotFound, CodeOf(err), "after all items")
		assert.Equal(t, 3, sent)
	})
}

func TestInvokeStream_HeaderAndTrailer(t *testing.T) {
	srv := newInventory().server(t)
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
		assert.NoError(t, SetHeader(ctx, Metadata{"kind": "snapshot"}))
		assert.NoError(t, SetTrailer(ctx, Metadata{"seen": "none"}))
		if req.Size > 0 {
			assert.NoError(t, SendHeader(ctx))
			assert.NoError(t, SendHeader(ctx), "once is enough")
			assert.Equal(t, FailedPrecondition, CodeOf(SetHeader(ctx, Metadata{"late": "1"})))
		}
		if err := sendCount(ctx, req, out); err != nil {
			return err
		}
		assert.NoError(t, SetTrailer(ctx, Metadata{"seen": "all"}))
		return Errorf(NotFound, "no more")
	}))
	for params, want := range map[string][]string{
		`{}`:                   nil,
		`{"Count":1}`:          {`{"N":0,"Data":""}`},
		`{"Count":1,"Size":1}`: {"<header>", `{"N":0,"Data":"\u0000"}`},
		`{"Size":1}`:           {"<header>"},
	} {
		var header, trailer Metadata
		in := watchInvocation(params)
		in.Header, in.Trailer = &header, &trailer
		var got []string
		err := srv.InvokeStream(t.Context(), in, func(_ context.Context, item []byte) error {
			assert.Equal(t, Metadata{"kind": "snapshot"}, header)
			if item == nil {
				item = []byte("<header>")
			}
			got = append(got, string(item))
			return nil
		})
		assert.Equal(t, NotFound, CodeOf(err))
		assert.Equal(t, want, got, params)
		assert.Equal(t, Metadata{"kind": "snapshot"}, header)
		assert.Equal(t, Metadata{"seen": "all"}, trailer)
	}
}

func TestInvokeStream_TheReaderLeaves(t *testing.T) {
	for name, leave := range map[string]struct {
		timeout time.Duration
		send    error
		code    Code
	}{
		"its context ends":    {code: Canceled},
		"its time is up":      {timeout: time.Second, code: DeadlineExceeded},
		"send fails":          {send: errors.New("broken pipe"), code: Canceled},
		"a failed send's end": {send: Errorf(NotFound, "not the handler's"), code: Canceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := newInventory().server(t)
				var first, second, cause error
				require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
					first = out.Send(context.Background(), &change{})
					assert.Error(t, ctx.Err(), "it ends before Send fails")
					second = out.Send(context.Background(), &change{})
					cause = context.Cause(ctx)
					return nil
				}))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if leave.timeout > 0 {
					ctx, cancel = context.WithTimeout(ctx, leave.timeout)
					defer cancel()
				}
				calls := 0
				err := srv.InvokeStream(ctx, watchInvocation(`{}`), func(ctx context.Context, _ []byte) error {
					if calls++; leave.send != nil {
						return leave.send
					}
					if leave.timeout == 0 {
						cancel()
					}
					<-ctx.Done()
					return ctx.Err()
				})
				assert.Equal(t, leave.code, CodeOf(err))
				assert.Equal(t, leave.code, CodeOf(first))
				assert.Equal(t, leave.code, CodeOf(second))
				assert.Equal(t, leave.code, CodeOf(cause))
				assert.False(t, NeverRan(err))
				assert.Equal(t, 1, calls)
			})
		})
	}
}

func TestInvokeStream_PassesMiddleware(t *testing.T) {
	var seen StreamStats
	srv := streamServer(t, WithServerMiddleware(PassCalls(func(info MethodInfo, next StreamHandler) StreamHandler {
		return func(ctx context.Context, params any, s Stream) error {
			defer func() { seen = s.Stats() }()
			if params.(*watchRequest).Count > 3 {
				return Errorf(OutOfRange, "too many")
			}
			return next(ctx, params, s)
		}
	})))
	take := func(context.Context, []byte) error { return nil }
	assert.Equal(t, OutOfRange, CodeOf(srv.InvokeStream(t.Context(), watchInvocation(`{"Count":4}`), take)))
	assert.Zero(t, seen)
	assert.NoError(t, srv.InvokeStream(t.Context(), watchInvocation(`{"Count":2}`), take))
	assert.Equal(t, StreamStats{Sent: 2, BytesSent: 2 * int64(len(`{"N":0,"Data":""}`))}, seen)
}

func TestInvokeStream_ASendMayWaitLessThanTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			assert.Equal(t, DeadlineExceeded, CodeOf(out.Send(short, &change{N: 1})))
			return out.Send(ctx, &change{N: 2})
		}))
		var got []string
		err := srv.InvokeStream(t.Context(), watchInvocation(`{}`), func(ctx context.Context, item []byte) error {
			if _, bounded := ctx.Deadline(); bounded {
				<-ctx.Done()
				return ctx.Err()
			}
			got = append(got, string(item))
			return nil
		})
		assert.NoError(t, err)
		assert.Equal(t, []string{`{"N":2,"Data":""}`}, got)
	})
}

func TestInvokeStream_RefusesWhatItCannotRun(t *testing.T) {
	srv := streamServer(t, WithAuthorize(func(_ context.Context, name string) (Identity, error) {
		if name == watch.Name() {
			return Identity{}, Errorf(PermissionDenied, "not for you")
		}
		return Identity{}, nil
	}))
	take := func(context.Context, []byte) error { return nil }
	for name, code := range map[string]Code{
		watch.Name():      PermissionDenied,
		imports.Name():    Unimplemented,
		syncing.Name():    Unimplemented,
		checkStock.Name(): Unimplemented,
		"Inventory.Nope":  Unimplemented,
	} {
		err := srv.InvokeStream(t.Context(), Invocation{Method: name, Codec: JSON, Params: []byte(`{}`)}, take)
		assert.Equal(t, code, CodeOf(err), name)
		assert.True(t, NeverRan(err), name)
	}
	assert.ErrorContains(t, srv.InvokeStream(t.Context(), Invocation{Method: imports.Name(), Codec: JSON}, take), "Orders.Import is a client stream, not a server stream")
	for where, err := range map[string]error{
		"codec": srv.InvokeStream(t.Context(), Invocation{Method: watch.Name()}, take),
		"send":  srv.InvokeStream(t.Context(), Invocation{Method: watch.Name(), Codec: JSON}, nil),
	} {
		assert.Equal(t, InvalidArgument, CodeOf(err), where)
		assert.ErrorContains(t, err, "InvokeStream: ", where)
		assert.ErrorContains(t, err, where)
	}
	_, err := srv.Invoke(t.Context(), watchInvocation(`{}`))
	assert.ErrorContains(t, err, "Inventory.Watch is a server stream")
	bad := watchInvocation(`[`)
	srv = streamServer(t)
	assert.Equal(t, InvalidArgument, CodeOf(srv.InvokeStream(t.Context(), bad, take)))
}

func TestInvokeStream_TakesAHandlersPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := streamServer(t, WithMaxHandlers(1), WithHandlerTimeout(time.Second))
		done := make(chan error)
		release := make(chan struct{})
		go func() {
			done <- srv.InvokeStream(t.Context(), watchInvocation(`{"Count":1}`), func(context.Context, []byte) error { <-release; return nil })
		}()
		<-time.After(time.Minute) // WithHandlerTimeout is not for streams
		err := srv.InvokeStream(t.Context(), watchInvocation(`{"Count":1}`), func(context.Context, []byte) error { return nil })
		assert.Equal(t, ResourceExhausted, CodeOf(err))
		assert.True(t, NeverRan(err))
		close(release)
		assert.NoError(t, <-done)
		assert.NoError(t, srv.InvokeStream(t.Context(), watchInvocation(`{"Count":1}`), func(context.Context, []byte) error { return nil }))
	})
}

// A stream is authorized before there are params, and runs when they are there.
func TestInvokeStream_IsTheSecondHalfOfAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		srv := newInventory().server(t, WithMaxHandlers(1), WithHandlerTimeout(time.Second), WithAuthorize(func(ctx context.Context, name string) (Identity, error) {
			asked++
			assert.NoError(t, SetHeader(ctx, Metadata{"hook": "1"}))
			if name == "Test.Secret" {
				return Identity{}, Errorf(PermissionDenied, "a stranger")
			}
			<-time.After(2 * time.Second)
			return Identity{Name: "ann"}, ctx.Err()
		}))
		handler := func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			assert.Equal(t, "ann", IdentityFrom(ctx).Name)
			assert.NoError(t, SetTrailer(ctx, Metadata{"seen": "all"}))
			return sendCount(ctx, req, out)
		}
		require.NoError(t, watch.Handle(srv, handler))
		require.NoError(t, ServerStream[watchRequest, change]("Test.Secret").Handle(srv, handler))
		require.NoError(t, imports.Handle(srv, func(context.Context, *Receiver[change]) (*report, error) { return nil, nil }))
		var header, trailer Metadata
		in := Invocation{Method: "Test.Secret", Codec: JSON, Header: &header, Trailer: &trailer}
		_, err := srv.Authorize(t.Context(), in)
		assert.Equal(t, PermissionDenied, CodeOf(err))
		assert.True(t, NeverRan(err))
		assert.Equal(t, Metadata{"hook": "1"}, header)
		_, err = srv.Authorize(t.Context(), Invocation{Method: imports.Name(), Codec: JSON})
		assert.ErrorContains(t, err, "Orders.Import is a client stream, not a server stream")
		assert.Equal(t, 1, asked)

		in.Method, header = watch.Name(), nil
		a, err := srv.Authorize(t.Context(), in)
		require.NoError(t, err, "WithHandlerTimeout is not for streams")
		defer a.Release()
		_, err = a.Invoke(t.Context(), nil)
		assert.Equal(t, Unimplemented, CodeOf(err))
		assert.True(t, NeverRan(err))
		assert.Equal(t, InvalidArgument, CodeOf(a.InvokeStream(t.Context(), nil, nil)))
		header = nil
		var got []string
		take := func(_ context.Context, item []byte) error {
			assert.Equal(t, Metadata{"hook": "1"}, header)
			got = append(got, string(item))
			<-time.After(time.Minute)
			return nil
		}
		assert.NoError(t, a.InvokeStream(t.Context(), []byte(`{"Count":1}`), take))
		assert.Equal(t, []string{`{"N":0,"Data":""}`}, got)
		assert.Equal(t, Metadata{"hook": "1"}, header)
		assert.Equal(t, Metadata{"seen": "all"}, trailer)
		assert.Equal(t, 2, asked, "once for each")
		err = a.InvokeStream(t.Context(), []byte(`{"Count":1}`), take)
		assert.Equal(t, InvalidArgument, CodeOf(err), "once")
		assert.Equal(t, InvalidArgument, CodeOf(new(Authorized).InvokeStream(t.Context(), nil, take)))

		a, err = srv.Authorize(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON})
		assert.Nil(t, a)
		assert.Equal(t, DeadlineExceeded, CodeOf(err), "and for calls it is")
		a, err = srv.Authorize(t.Context(), in)
		require.NoError(t, err)
		require.NoError(t, srv.Shutdown(t.Context()))
		err = a.InvokeStream(t.Context(), []byte(`{}`), take)
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.True(t, NeverRan(err))
	})
}

func TestInvokeStream_ShutdownDrainsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			select {
			case <-DrainingFrom(ctx):
				return out.Send(ctx, &change{N: 7})
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
		done := make(chan error, 1)
		var got string
		go func() {
			done <- srv.InvokeStream(context.Background(), watchInvocation(`{}`), func(_ context.Context, item []byte) error {
				got = string(item)
				return nil
			})
		}()
		synctest.Wait()
		assert.NoError(t, srv.Shutdown(t.Context()))
		assert.NoError(t, <-done)
		assert.Equal(t, `{"N":7,"Data":""}`, got)
		err := srv.InvokeStream(t.Context(), watchInvocation(`{}`), func(context.Context, []byte) error { return nil })
		assert.Equal(t, Unavailable, CodeOf(err))
	})
}

func TestInvokeStream_CloseEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := streamServer(t)
		done := make(chan error, 1)
		go func() {
			done <- srv.InvokeStream(context.Background(), watchInvocation(`{"Count":1}`), func(ctx context.Context, _ []byte) error {
				<-ctx.Done()
				return ctx.Err()
			})
		}()
		synctest.Wait()
		srv.Close()
		assert.Equal(t, Canceled, CodeOf(<-done))
	})
}

func TestInvokeStream_NothingIsSentAfterItHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t, WithPanicHandler(func(context.Context, any, []byte) {}))
		late := make(chan error, 1)
		returned := make(chan struct{})
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *watchRequest, out *Sender[change]) error {
			go func() {
				<-returned
				late <- out.Send(context.Background(), &change{})
			}()
			switch req.Count {
			case 1:
				panic("secret")
			case 2:
				runtime.Goexit()
			}
			return nil
		}))
		for _, params := range []string{`{}`, `{"Count":1}`, `{"Count":2}`} {
			go func() {
				defer func() { returned <- struct{}{} }()
				err := srv.InvokeStream(t.Context(), watchInvocation(params), func(context.Context, []byte) error {
					assert.Fail(t, "sent")
					return nil
				})
				assert.Equal(t, params == `{"Count":1}`, CodeOf(err) == Internal)
			}()
			assert.ErrorContains(t, <-late, "the handler of the stream has returned")
		}
	})
}
