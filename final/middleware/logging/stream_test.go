package logging_test

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

type item struct{ Text string }

var (
	watch   = rpc.ServerStream[request, item]("Test.Watch")
	syncing = rpc.BidiStream[item, item]("Test.Sync")
)

// streamBubble is bubble with a server of streams. Test.Watch sends three items and ends as
// its request says; Test.Sync is an echo.
func streamBubble(t *testing.T, server rpc.ServerOption, client rpc.ClientOption, story func(t *testing.T, c *rpc.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(append(some(server), rpc.WithPanicHandler(func(context.Context, any, []byte) {}))...)
		defer srv.Close()
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, req *request, out *rpc.Sender[item]) error {
			for range 3 {
				<-time.After(req.Wait)
				if err := out.Send(ctx, &item{"12345"}); err != nil {
					return err
				}
			}
			switch req.Do {
			case "missing":
				return rpc.Errorf(rpc.NotFound, "no such thing")
			case "plain":
				return errors.New("disk on fire")
			case "panic":
				panic("the shelf fell\ndown")
			case "goexit":
				runtime.Goexit()
			case "wait":
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}))
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[item], out *rpc.Sender[item]) error {
			for i, err := range in.All() {
				if err != nil {
					return err
				}
				if err := out.Send(ctx, i); err != nil {
					return err
				}
			}
			return nil
		}))
		c := rpctest.NewClient(t, srv, some(client)...)
		story(t, c)
	})
}

// receiveAll opens Test.Watch and receives to its end.
func receiveAll(t *testing.T, c *rpc.Client, req *request) error {
	t.Helper()
	in, err := watch.Open(t.Context(), c, req)
	if err != nil {
		return err
	}
	for _, err = range in.All() {
	}
	synctest.Wait()
	return err
}

func with(line map[string]any, more map[string]any) map[string]any {
	all := map[string]any{}
	for _, m := range []map[string]any{line, more} {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

const itemBytes = float64(len(`{"Text":"12345"}`))

func TestStream_OneLineOnEachSideWhenItHasEnded(t *testing.T) {
	var served, called lines
	streamBubble(t, served.logger().ServerOptions(), called.logger().ClientOptions(), func(t *testing.T, c *rpc.Client) {
		for _, what := range []string{"", "missing", "plain", "goexit"} {
			receiveAll(t, c, &request{Do: what, Wait: time.Second})
		}
		s, err := syncing.Open(t.Context(), c)
		require.NoError(t, err)
		for range 2 {
			require.NoError(t, s.Send(t.Context(), &item{"12345"}))
		}
		assert.Len(t, served.all(t), 4, "a line is written at the end")
		require.NoError(t, s.CloseSend())
		for _, err := range s.All() {
			require.NoError(t, err)
		}
		synctest.Wait()

		out := map[string]any{"msg": "stream served", "method": "Test.Watch", "duration": 3e9, "peer": "client",
			"sent": 3.0, "bytes_sent": 3 * itemBytes, "received": 0.0, "bytes_received": 0.0}
		both := map[string]any{"method": "Test.Sync", "duration": 0.0, "sent": 2.0, "bytes_sent": 2 * itemBytes, "received": 2.0, "bytes_received": 2 * itemBytes}
		assert.Equal(t, []map[string]any{
			with(out, map[string]any{"level": "INFO", "code": "ok"}),
			with(out, map[string]any{"level": "INFO", "code": "not_found", "error": "no such thing"}),
			with(out, map[string]any{"level": "ERROR", "code": "unknown", "error": "disk on fire"}),
			with(out, map[string]any{"level": "ERROR", "code": "internal", "error": "the goroutine was ended by runtime.Goexit"}),
			with(out, with(both, map[string]any{"level": "INFO", "code": "ok"})),
		}, served.all(t))

		in := map[string]any{"msg": "stream opened", "method": "Test.Watch", "duration": 3e9,
			"sent": 0.0, "bytes_sent": 0.0, "received": 3.0, "bytes_received": 3 * itemBytes}
		all := called.all(t)
		require.Len(t, all, 5)
		assert.Equal(t, with(in, map[string]any{"level": "INFO", "code": "ok"}), all[0])
		assert.Equal(t, with(in, map[string]any{"level": "INFO", "code": "not_found", "error": "no such thing"}), all[1])
		assert.Equal(t, "unknown", all[2]["code"])
		assert.Equal(t, "internal", all[3]["code"])
		assert.Equal(t, with(in, with(both, map[string]any{"level": "INFO", "code": "ok"})), all[4])
	})
}

func TestStream_PanicIsLoggedAndGoesOnToThePanicHandler(t *testing.T) {
	var log lines
	var value any
	opts := rpc.WithServerOptions(log.logger().ServerOptions(), rpc.WithPanicHandler(func(_ context.Context, v any, _ []byte) { value = v }))
	streamBubble(t, opts, nil, func(t *testing.T, c *rpc.Client) {
		assert.ErrorIs(t, receiveAll(t, c, &request{Do: "panic"}), rpc.Internal)
		all := log.all(t)
		require.Len(t, all, 1)
		assert.Equal(t, "panic: the shelf fell down", all[0]["error"])
		assert.Contains(t, all[0]["stack"], "logging_test")
		assert.Equal(t, 3.0, all[0]["sent"])
		assert.Equal(t, "the shelf fell\ndown", value)
	})
}

// A caller that leaves is logged on both sides; it has left once.
func TestStream_CallerThatLeavesIsLogged(t *testing.T) {
	var served, called lines
	streamBubble(t, served.logger().ServerOptions(), called.logger().ClientOptions(), func(t *testing.T, c *rpc.Client) {
		in, err := watch.Open(t.Context(), c, &request{Do: "wait"})
		require.NoError(t, err)
		for range in.All() {
			break
		}
		in.Close()
		synctest.Wait()
		for _, log := range []*lines{&served, &called} {
			all := log.all(t)
			require.Len(t, all, 1)
			assert.Equal(t, "canceled", all[0]["code"])
		}
	})
}

func TestStream_RefusedOnesAreLogged(t *testing.T) {
	var served, called lines
	refuse := rpc.WithServerOptions(served.logger().ServerOptions(), rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) {
		return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no token")
	}))
	streamBubble(t, refuse, called.logger().ClientOptions(), func(t *testing.T, c *rpc.Client) {
		receiveAll(t, c, &request{})
		assert.Equal(t, "call refused", served.all(t)[0]["msg"])
		assert.Equal(t, "unauthenticated", called.all(t)[0]["code"])
		c.Close()
		receiveAll(t, c, &request{})
		all := called.all(t)
		require.Len(t, all, 2)
		assert.Equal(t, map[string]any{"level": "INFO", "msg": "stream opened", "method": "Test.Watch", "code": "canceled", "duration": 0.0, "error": "client closed"}, all[1])
	})
}

func TestStream_PanicOfAnInterceptorIsLoggedAndGoesOn(t *testing.T) {
	var log lines
	opts := rpc.WithClientOptions(log.logger().ClientOptions(), rpc.WithClientInterceptors(func(next rpc.Caller) rpc.Caller {
		return rpc.CallerFuncs{OpenFunc: func(context.Context, rpc.MethodKind, string, any) (rpc.OpenedStream, error) { panic("mine") }}
	}))
	streamBubble(t, nil, opts, func(t *testing.T, c *rpc.Client) {
		assert.PanicsWithValue(t, "mine", func() { receiveAll(t, c, &request{}) })
		assert.Equal(t, "panic: mine", log.all(t)[0]["error"])
	})
}

// The request of a server stream is shown as params are, and items never.
func TestStream_ItemsAreNotLogged(t *testing.T) {
	var log lines
	l := log.logger(logging.WithPayloads(1000))
	streamBubble(t, l.ServerOptions(), l.ClientOptions(), func(t *testing.T, c *rpc.Client) {
		receiveAll(t, c, &request{Do: "shown"})
		assert.Contains(t, log.text(), "shown")
		assert.NotContains(t, log.text(), "12345")
	})
}
