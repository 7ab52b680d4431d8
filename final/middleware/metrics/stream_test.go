package metrics_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

var (
	watch   = rpc.ServerStream[string, string]("Test.Watch")
	syncing = rpc.BidiStream[string, string]("Test.Sync")
)

// streamServer has Test.Watch, which sends two items and then ends as it is told to, and
// Test.Sync, an echo.
func streamServer(t testing.TB, opts ...rpc.ServerOption) *rpc.Server {
	t.Helper()
	srv := rpc.NewServer(append(opts, rpc.WithPanicHandler(func(context.Context, any, []byte) {}))...)
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, what *string, out *rpc.Sender[string]) error {
		text := "12345"
		for range 2 {
			if err := out.Send(ctx, &text); err != nil {
				return err
			}
		}
		switch *what {
		case "missing":
			return rpc.NotFound
		case "panic":
			panic("at the handler")
		}
		return nil
	}))
	require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[string], out *rpc.Sender[string]) error {
		for text, err := range in.All() {
			if err != nil {
				return err
			}
			if err := out.Send(ctx, text); err != nil {
				return err
			}
		}
		return nil
	}))
	return srv
}

// receiveAll opens Test.Watch and receives to its end.
func receiveAll(t testing.TB, c rpc.Caller, what string) error {
	t.Helper()
	in, err := watch.Open(t.Context(), c, &what)
	if err != nil {
		return err
	}
	for _, err = range in.All() {
	}
	return err
}

func TestStreams_AreCountedOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		srv := streamServer(t, newServer(t, reg).Options())
		defer srv.Close()
		c := rpctest.NewClient(t, srv, newClient(t, reg).Options())
		for _, what := range []string{"", "", "missing", "panic"} {
			receiveAll(t, c, what)
		}
		synctest.Wait()
		const each = float64(len(`"12345"`))
		for _, side := range []string{"rpc_server_", "rpc_client_"} {
			there, back := "sent", "received"
			if side == "rpc_client_" {
				there, back = back, there
			}
			assert.Equal(t, 4.0, value(t, reg, side+"calls_started_total", "method", "Test.Watch"), side)
			for code, want := range map[string]float64{"ok": 2, "not_found": 1, "internal": 1} {
				assert.Equal(t, want, value(t, reg, side+"calls_finished_total", "method", "Test.Watch", "code", code), side+code)
			}
			assert.Equal(t, 0.0, value(t, reg, side+"open_streams", "method", "Test.Watch"), side)
			assert.Equal(t, 4.0, value(t, reg, side+"stream_duration_seconds", "method", "Test.Watch"), side)
			assert.Equal(t, 0.0, value(t, reg, side+"call_duration_seconds", "method", "Test.Watch"), "an hour of it would spoil the calls' quantiles")
			assert.Equal(t, 8.0, value(t, reg, side+"stream_messages_total", "method", "Test.Watch", "direction", there), side)
			assert.Equal(t, 8*each, value(t, reg, side+"stream_bytes_total", "method", "Test.Watch", "direction", there), side)
			assert.Equal(t, 0.0, value(t, reg, side+"stream_messages_total", "method", "Test.Watch", "direction", back), side)
		}
		assert.Equal(t, -1.0, value(t, reg, "rpc_server_open_streams", "method", "Test.Echo"), "methods of calls have none of it")
	})
}

// A stream that goes on is seen, and each of its messages is counted once.
func TestStreams_AreSeenWhileTheyAreOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		srv := streamServer(t, newServer(t, reg).Options())
		defer srv.Close()
		c := rpctest.NewClient(t, srv, newClient(t, reg).Options())
		check := func(open, messages float64) {
			t.Helper()
			synctest.Wait()
			for _, side := range []string{"rpc_server_", "rpc_client_"} {
				assert.Equal(t, open, value(t, reg, side+"open_streams", "method", "Test.Sync"), side)
				for _, direction := range []string{"sent", "received"} {
					assert.Equal(t, messages, value(t, reg, side+"stream_messages_total", "method", "Test.Sync", "direction", direction), side+direction)
				}
			}
		}
		s, err := syncing.Open(t.Context(), c)
		require.NoError(t, err)
		other, err := syncing.Open(t.Context(), c)
		require.NoError(t, err)
		text := "12345"
		for n := range 3 {
			require.NoError(t, s.Send(t.Context(), &text))
			check(2, float64(n+1))
			check(2, float64(n+1))
		}
		<-time.After(time.Hour)
		require.NoError(t, s.Close())
		check(1, 3)
		require.NoError(t, other.CloseSend())
		check(0, 3)
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Sync", "code", "canceled"))
	})
}

func TestStreams_RefusedOnesAreFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		srv := streamServer(t, newServer(t, reg).Options(), rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) {
			return rpc.Identity{}, rpc.Unauthenticated
		}))
		defer srv.Close()
		c := rpctest.NewClient(t, srv, newClient(t, reg).Options())
		receiveAll(t, c, "")
		synctest.Wait()
		assert.Equal(t, 1.0, value(t, reg, "rpc_server_calls_finished_total", "method", "Test.Watch", "code", "unauthenticated"))
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Watch", "code", "unauthenticated"))
		c.Close()
		receiveAll(t, c, "")
		assert.Equal(t, 2.0, value(t, reg, "rpc_client_calls_started_total", "method", "Test.Watch"))
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Watch", "code", "canceled"), "it was not opened")
		assert.Equal(t, 0.0, value(t, reg, "rpc_client_open_streams", "method", "Test.Watch"))
		assert.Equal(t, -1.0, value(t, reg, "rpc_server_open_streams", "method", "Test.Watch"))
	})
}

func TestStreams_OneThatPanicsAtTheClientIsFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewPedanticRegistry()
		srv := streamServer(t)
		defer srv.Close()
		c := rpctest.NewClient(t, srv, newClient(t, reg).Options(), rpc.WithClientInterceptors(func(rpc.Caller) rpc.Caller {
			return rpc.CallerFuncs{OpenFunc: func(context.Context, rpc.MethodKind, string, any) (rpc.OpenedStream, error) { panic("mine") }}
		}))
		assert.PanicsWithValue(t, "mine", func() { receiveAll(t, c, "") })
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Watch", "code", "internal"))
	})
}
