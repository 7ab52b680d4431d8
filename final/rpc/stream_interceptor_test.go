package rpc

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notes is what interceptors note, in its order.
type notes struct {
	mu   sync.Mutex
	list []string
}

func (s *notes) add(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, fmt.Sprintf(format, args...))
}

func (s *notes) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// plusOne is a stream that adds one to each item of its half.
type plusOne struct{ Stream }

func (s plusOne) Send(ctx context.Context, item any) error {
	addOne(item)
	return s.Stream.Send(ctx, item)
}

func (s plusOne) Receive(ctx context.Context, item any) error {
	err := s.Stream.Receive(ctx, item)
	addOne(item)
	return err
}

func addOne(item any) {
	switch item := item.(type) {
	case *change:
		item.N++
	case *report:
		item.Items += 100
	}
}

// openedPlusOne is plusOne for a caller.
type openedPlusOne struct {
	OpenedStream
	wrapped plusOne
}

func (s openedPlusOne) Send(ctx context.Context, item any) error { return s.wrapped.Send(ctx, item) }
func (s openedPlusOne) Receive(ctx context.Context, item any) error {
	return s.wrapped.Receive(ctx, item)
}

// noteStreams is middleware that notes when streams begin and end, and changes their items.
func noteStreams(s *notes, name string) ServerMiddleware {
	return PassCalls(func(info MethodInfo, next StreamHandler) StreamHandler {
		s.add("%s wraps %s, a %s of %s and %s", name, info.Name, info.Kind, info.Params, info.Reply)
		return func(ctx context.Context, params any, stream Stream) error {
			s.add("%s begins with %v", name, params)
			err := next(ctx, params, plusOne{stream})
			s.add("%s ends with %v", name, err)
			return err
		}
	})
}

// noteOpens is noteStreams for a client.
func noteOpens(s *notes, name string) ClientInterceptor {
	return func(next Caller) Caller {
		return CallerFuncs{next.Call, func(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
			s.add("%s opens %s, a %s, with %v", name, method, kind, params)
			opened, err := OpenStream(ctx, next, kind, method, params)
			if err != nil {
				return nil, err
			}
			return openedPlusOne{opened, plusOne{opened}}, nil
		}}
	}
}

func TestStream_InterceptorsWrapBothSides(t *testing.T) {
	for _, pooled := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			var served, called notes
			srv := streamServer(t, WithServerMiddleware(noteStreams(&served, "outer"), noteStreams(&served, "inner")))
			chain := WithClientInterceptors(noteOpens(&called, "outer"), noteOpens(&called, "inner"))
			var caller Caller = pipe(t, srv, chain)
			if pooled {
				pool := NewPool(StaticResolver{"a"}, chain, WithDialer(func(context.Context, string) (net.Conn, error) {
					near, far := net.Pipe()
					go srv.ServeConn(far)
					return near, nil
				}))
				defer pool.Close()
				caller = pool
			}
			assert.Equal(t, "outer wraps Inventory.Watch, a server stream of rpc.watchRequest and rpc.change", served.all()[1])
			served.list = nil

			in, err := watch.Open(t.Context(), caller, &watchRequest{Count: 2})
			require.NoError(t, err)
			got, err := collect(&in.Receiver)
			require.NoError(t, err)
			assert.Equal(t, []int{4, 5}, got, "each interceptor has added one")
			out, err := imports.Open(t.Context(), caller)
			require.NoError(t, err)
			require.NoError(t, out.Send(t.Context(), &change{N: 10}))
			r, err := out.CloseAndReceive(t.Context())
			require.NoError(t, err)
			assert.Equal(t, report{401, 14}, *r, "a reply is an item, too")

			assert.Equal(t, []string{
				"outer opens Inventory.Watch, a server stream, with &{2 0}", "inner opens Inventory.Watch, a server stream, with &{2 0}",
				"outer opens Orders.Import, a client stream, with <nil>", "inner opens Orders.Import, a client stream, with <nil>",
			}, called.all())
			assert.Equal(t, []string{
				"outer begins with &{2 0}", "inner begins with &{2 0}", "inner ends with <nil>", "outer ends with <nil>",
				"outer begins with <nil>", "inner begins with <nil>", "inner ends with <nil>", "outer ends with <nil>",
			}, served.all())
		})
	}
}

func passesCalls(_ MethodInfo, next Handler) Handler { return next }

func TestRegister_RefusesAStreamBehindAUnaryInterceptor(t *testing.T) {
	passes := PassStreams(passesCalls)
	for want, opts := range map[string][]ServerOption{
		"interceptor 1 of 1 (rpc.passesCalls)": {WithServerInterceptors(passesCalls)},
		"interceptor 2 of 3 (rpc.passesCalls)": {WithServerMiddleware(passes, ServerMiddleware{Unary: passesCalls}), WithServerInterceptors(passesCalls)},
		"interceptor 3 of 3 (rpc.passesCalls)": {WithServerMiddleware(passes, passes), WithServerInterceptors(passesCalls)},
	} {
		srv := NewServer(opts...)
		err := watch.Handle(srv, sendCount)
		assert.EqualError(t, err, "rpc: register Inventory.Watch: WithServerInterceptors: "+want+" is for calls only: "+
			"a server stream would pass it unseen. Give it a Stream (WithServerMiddleware), or let streams pass (PassStreams)")
		assert.Equal(t, InvalidArgument, CodeOf(err))
		assert.ErrorIs(t, err, ErrUnaryOnly)
		assert.Empty(t, srv.Methods())
		assert.NoError(t, srv.RegisterFunc("A.B", func(int) error { return nil }))
	}
	assert.NoError(t, watch.Handle(NewServer(WithServerMiddleware(passes)), sendCount))
}

func TestRegister_RefusesACallBehindAStreamInterceptor(t *testing.T) {
	srv := NewServer(WithServerMiddleware(ServerMiddleware{Stream: noteStreams(new(notes), "only").Stream}))
	err := srv.RegisterFunc("A.B", func(int) error { return nil })
	assert.ErrorContains(t, err, "rpc: register A.B: WithServerMiddleware: interceptor 1 of 1 (rpc.")
	assert.ErrorContains(t, err, "is for streams only: calls would pass it unseen. Give it a Unary, or let calls pass (PassCalls)")
	assert.NotErrorIs(t, err, ErrUnaryOnly)
	assert.NoError(t, watch.Handle(srv, sendCount))
}

func TestServerMiddleware_OfNothingIsRefused(t *testing.T) {
	assert.Contains(t, panicText(func() { NewServer(WithServerMiddleware(ServerMiddleware{})) }), "WithServerMiddleware: the middleware has no interceptor")
	srv := NewServer(WithServerMiddleware(PassCalls(func(MethodInfo, StreamHandler) StreamHandler { return nil })))
	assert.ErrorContains(t, watch.Handle(srv, sendCount), "WithServerMiddleware: interceptor 1 of 1 returned nil")
	assert.Contains(t, panicText(func() { NewClient(new(net.TCPConn), WithClientInterceptors(PassStreamsClient(nil))) }), "WithClientInterceptors")
}

func onlyCalls(next Caller) Caller { return CallerFunc(next.Call) }

func TestOpen_NamesTheInterceptorThatCannot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := streamServer(t)
		passes := noteOpens(new(notes), "passes")
		client := pipe(t, srv, WithClientInterceptors(passes, onlyCalls, onlyCalls))
		_, err := watch.Open(t.Context(), client, &watchRequest{})
		assert.Equal(t, Unimplemented, CodeOf(err))
		assert.True(t, NeverRan(err))
		assert.ErrorContains(t, err, "open Inventory.Watch: rpc.onlyCalls (interceptor 2 of 3) returned a rpc.CallerFunc, which cannot open streams: see StreamCaller and PassStreamsClient")
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err, "calls can")

		pool := newPool(t, StaticResolver{"a"}, WithClientInterceptors(onlyCalls))
		_, err = syncing.Open(t.Context(), pool)
		assert.ErrorContains(t, err, "open Inventory.Sync: rpc.onlyCalls (interceptor 1 of 1) returned a rpc.CallerFunc")

		tries := func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, _, _ any) error {
				_, err := OpenStream(ctx, next, ServerStreaming, method, nil)
				return err
			})
		}
		err = pipe(t, srv, WithClientInterceptors(tries, onlyCalls)).Call(t.Context(), watch.Name(), nil, nil)
		assert.ErrorContains(t, err, "open Inventory.Watch: a rpc.CallerFunc cannot open streams")

		client = pipe(t, srv, WithClientInterceptors(passes, PassStreamsClient(onlyCalls)))
		in, err := watch.Open(t.Context(), client, &watchRequest{Count: 1})
		require.NoError(t, err)
		got, err := collect(&in.Receiver)
		require.NoError(t, err)
		assert.Equal(t, []int{1}, got)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}

// A wrapper that is called directly is named by its type.
func TestOpen_NamesTheWrapperThatCannot(t *testing.T) {
	for text, c := range map[string]Caller{
		"rpc.CallerFunc cannot open streams":            CallerFunc(nil),
		"rpc.CallerFuncs has no OpenFunc":               CallerFuncs{},
		"returned neither a stream nor an error":        CallerFuncs{OpenFunc: func(context.Context, MethodKind, string, any) (OpenedStream, error) { return nil, nil }},
		"a Client is made by Dial or NewClient":         new(Client),
		"rpc.CallerFuncs returned neither a stream nor": CallerFuncs{OpenFunc: func(context.Context, MethodKind, string, any) (OpenedStream, error) { return (*clientStream)(nil), nil }},
	} {
		_, err := watch.Open(t.Context(), c, &watchRequest{})
		assert.ErrorContains(t, err, text)
	}
	err := CallerFuncs{}.Call(t.Context(), "A.B", nil, nil)
	assert.Equal(t, Unimplemented, CodeOf(err))
	assert.True(t, NeverRan(err))
}

func TestStream_InterceptorThatPanicsIsInternal(t *testing.T) {
	for name, end := range map[string]func(){"panic": func() { panic("secret") }, "Goexit": runtime.Goexit, "no error": func() {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				bad := PassCalls(func(_ MethodInfo, next StreamHandler) StreamHandler {
					return func(ctx context.Context, params any, s Stream) error {
						end()
						return (*Error)(nil)
					}
				})
				panics := make(chan any, 2)
				srv := streamServer(t, WithServerMiddleware(bad), WithPanicHandler(func(_ context.Context, value any, _ []byte) { panics <- value }))
				client := pipe(t, srv)
				in, err := watch.Open(t.Context(), client, &watchRequest{Count: 1})
				require.NoError(t, err)
				_, err = collect(&in.Receiver)
				assert.Equal(t, Internal, CodeOf(err))
				assert.NotContains(t, err.Error(), "secret")
				if name == "panic" {
					assert.Equal(t, "secret", <-panics)
				}
				assertNoStreams(t, client)
			})
		})
	}
}

func TestStream_PanicOfAClientsInterceptorGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t), WithClientInterceptors(func(next Caller) Caller {
			return CallerFuncs{next.Call, func(context.Context, MethodKind, string, any) (OpenedStream, error) { panic("mine") }}
		}))
		assert.PanicsWithValue(t, "mine", func() { watch.Open(t.Context(), client, &watchRequest{}) })
	})
}

// keepStats is middleware that keeps the figures of the last stream.
func keepStats(to *StreamStats) ServerMiddleware {
	return PassCalls(func(_ MethodInfo, next StreamHandler) StreamHandler {
		return func(ctx context.Context, params any, s Stream) error {
			defer func() { *to = s.Stats() }()
			return next(ctx, params, s)
		}
	})
}

func TestStream_StatsCountItemsAndTheirBytes(t *testing.T) {
	const empty = int64(len(`{"N":1,"Data":""}`))
	for name, c := range map[string]struct {
		text   string
		opts   []Option
		travel int64 // at most so many bytes for each text
	}{
		"small":      {"some text", nil, 9},
		"none":       {"", nil, 0},
		"large":      {strings.Repeat("x", 300_000), nil, 300_000},
		"compressed": {strings.Repeat("x", 300_000), []Option{WithCompression(0)}, 3000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var served StreamStats
				server, caller := []ServerOption{WithServerMiddleware(keepStats(&served))}, []ClientOption{}
				for _, o := range c.opts {
					server, caller = append(server, o), append(caller, o)
				}
				client := pipe(t, streamServer(t, server...), caller...)
				s, err := client.OpenStream(t.Context(), BidiStreaming, syncing.Name(), nil)
				require.NoError(t, err)
				assert.Zero(t, s.Stats())
				const items = 3
				for range items {
					require.NoError(t, s.Send(t.Context(), &change{N: 1, Data: c.text}))
				}
				require.NoError(t, s.CloseSend())
				var item change
				for range items {
					require.NoError(t, s.Receive(t.Context(), &item))
				}
				require.Equal(t, io.EOF, s.Receive(t.Context(), &item))
				synctest.Wait()
				got := s.Stats()
				assert.Equal(t, [2]int64{items, items}, [2]int64{got.Sent, got.Received})
				if c.opts == nil {
					assert.Equal(t, items*(empty+c.travel), got.BytesSent)
				}
				assert.LessOrEqual(t, got.BytesSent, items*(empty+c.travel))
				assert.Positive(t, got.BytesSent)
				assert.Equal(t, got.BytesSent, got.BytesReceived, "an echo")
				assert.Equal(t, got, served)
			})
		})
	}
}

func TestStream_OnEndSaysHowItHasEnded(t *testing.T) {
	for name, c := range map[string]struct {
		handler func(ctx context.Context) error
		leave   func(s OpenedStream, cancel context.CancelFunc, client *Client)
		want    Code
	}{
		"well":       {func(context.Context) error { return nil }, nil, OK},
		"an error":   {func(context.Context) error { return Errorf(NotFound, "no") }, nil, NotFound},
		"Close":      {nil, func(s OpenedStream, _ context.CancelFunc, _ *Client) { s.Close(); s.Close() }, Canceled},
		"context":    {nil, func(_ OpenedStream, cancel context.CancelFunc, _ *Client) { cancel() }, Canceled},
		"deadline":   {nil, func(OpenedStream, context.CancelFunc, *Client) { <-time.After(time.Hour) }, DeadlineExceeded},
		"connection": {nil, func(_ OpenedStream, _ context.CancelFunc, c *Client) { c.conn.Load().conn.Close() }, Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := streamServer(t)
				handler := c.handler
				if handler == nil {
					handler = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
				}
				silent := ServerStream[watchRequest, change]("Test.Silent")
				require.NoError(t, silent.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error { return handler(ctx) }))
				client := pipe(t, srv)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s, err := client.OpenStream(ctx, ServerStreaming, silent.Name(), &watchRequest{})
				require.NoError(t, err)
				ended := make(chan error, 9)
				s.OnEnd(func(err error) { ended <- err })
				synctest.Wait()
				if c.leave != nil {
					assert.Empty(t, ended)
					c.leave(s, cancel, client)
				}
				synctest.Wait()
				s.OnEnd(func(err error) { ended <- err })
				s.Close()
				synctest.Wait()
				require.Len(t, ended, 2, "once each, also if it is asked for afterwards")
				assert.Equal(t, c.want, CodeOf(<-ended))
				assert.Equal(t, c.want, CodeOf(<-ended))
			})
		})
	}
}

func TestStream_PanicOfOnEndEndsNothing(t *testing.T) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t))
		s, err := client.OpenStream(t.Context(), ServerStreaming, watch.Name(), &watchRequest{})
		require.NoError(t, err)
		told := make(chan error, 1)
		s.OnEnd(func(error) { panic("mine") })
		s.OnEnd(func(err error) { told <- err })
		assert.NoError(t, <-told)
	})
}
