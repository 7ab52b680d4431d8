package health_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
)

func TestWatch_SendsEachChange(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		synctest.Test(t, func(t *testing.T) {
			srv, h := newServer(t)
			c := connect(t, srv, codec)
			defer srv.Close()
			defer c.Close()
			all, err := health.Watch.Open(t.Context(), c, &health.CheckRequest{})
			require.NoError(t, err)
			defer all.Close()
			next := func() *health.CheckReply {
				reply, err := all.Receive(t.Context())
				require.NoError(t, err)
				return reply
			}
			first := next()
			assert.Equal(t, "serving", first.GetStatus())
			assert.Equal(t, map[string]string{"Health": "serving", "Inventory": "serving", "Orders": "serving"}, first.GetServices())

			h.Set("Orders", health.NotServing)
			assert.Equal(t, "not_serving", next().GetServices()["Orders"])
			h.Set("Orders", health.NotServing)
			h.Set("Inventory", health.Serving)
			brief, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err = all.Receive(brief)
			assert.Equal(t, rpc.DeadlineExceeded, rpc.CodeOf(err), "nothing has changed")
			h.Set("", health.Draining)
			assert.Equal(t, "draining", next().GetStatus())
		})
	}
}

func TestFollow_OneServiceUntilTheServerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, h := newServer(t)
		c := connect(t, srv, rpc.JSON)
		defer c.Close()
		changes := map[health.Status]func(){
			health.Unknown:    func() { h.Set("database", health.NotServing) },
			health.NotServing: func() { h.Set("Orders", health.NotServing); h.Set("database", health.Serving) },
			health.Serving: func() {
				go func() { assert.NoError(t, srv.Shutdown(context.Background())) }()
			},
			health.Draining: func() {},
		}
		var got []health.Status
		var failed error
		for status, err := range health.Follow(t.Context(), c, "database") {
			if failed = err; err != nil {
				break
			}
			got = append(got, status)
			changes[status]()
			synctest.Wait()
		}
		assert.Equal(t, []health.Status{health.Unknown, health.NotServing, health.Serving, health.Draining}, got)
		assert.Equal(t, rpc.Unavailable, rpc.CodeOf(failed))
		assert.ErrorContains(t, failed, "the server is shutting down")
	})
}

func TestFollow_EndsTheStreamWhenItsLoopIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := newServer(t)
		c := connect(t, srv, rpc.JSON)
		defer c.Close()
		for range health.Follow(t.Context(), c, "") {
			break
		}
		assert.NoError(t, srv.Shutdown(t.Context()), "no handler runs")
		for _, err := range health.Follow(t.Context(), new(rpc.Client), "") {
			assert.ErrorIs(t, err, rpc.InvalidArgument)
		}
	})
}

// A watcher on a full server is told, as Check answers there.
func TestWatch_OnAFullServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(rpc.WithMaxHandlers(1))
		defer srv.Close()
		_, err := health.Register(srv)
		require.NoError(t, err)
		require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error { <-ctx.Done(); return nil }))
		c := connect(t, srv, rpc.JSON)
		defer c.Close()
		c.Go(t.Context(), "Test.Wait", nil, nil)
		synctest.Wait()
		for status, err := range health.Follow(t.Context(), c, "") {
			require.NoError(t, err)
			assert.Equal(t, health.Serving, status)
			break
		}
	})
}

// An interceptor that knows calls only keeps streams away, but not Check.
func TestRegister_OnAServerForCallsOnly(t *testing.T) {
	srv := rpc.NewServer(rpc.WithServerInterceptors(func(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler { return next }))
	defer srv.Close()
	_, err := health.Register(srv)
	require.NoError(t, err)
	require.Len(t, srv.Methods(), 1)
	assert.Equal(t, "Health.Check", srv.Methods()[0].Name)
	for _, err := range health.Follow(t.Context(), connect(t, srv, rpc.JSON), "") {
		assert.ErrorIs(t, err, rpc.Unimplemented)
	}
}

func TestRegister_FailsIfTheServerHasAWatch(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, srv.RegisterFunc("Health.Watch", func(int) int { return 1 }))
	_, err := health.Register(srv)
	assert.EqualError(t, err, "health: rpc: method Health.Watch is registered already")
}
