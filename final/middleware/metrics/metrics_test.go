package metrics_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
)

func TestBothSides_CountCallsByMethodAndCode(t *testing.T) {
	reg := prometheus.NewRegistry()
	addr := serve(t, nil, newServer(t, reg).Options())
	client := dial(t, addr, newClient(t, reg).Options())
	for _, text := range []string{"a", "b", "missing", "plain", "odd", "panic"} {
		echo.Call(t.Context(), client, &text)
	}
	for _, side := range []string{"rpc_server_", "rpc_client_"} {
		for code, n := range map[string]float64{"ok": 2, "not_found": 1, "unknown": 2, "internal": 1} {
			assert.Equal(t, n, value(t, reg, side+"calls_finished_total", "method", "Test.Echo", "code", code), side+code)
		}
		assert.Equal(t, 6.0, value(t, reg, side+"calls_started_total", "method", "Test.Echo"), side)
		assert.Equal(t, 0.0, value(t, reg, side+"calls_in_flight", "method", "Test.Echo"), side)
		assert.Equal(t, 6.0, value(t, reg, side+"call_duration_seconds", "method", "Test.Echo"), side)
	}
}

func TestClient_CountsAttempts(t *testing.T) {
	reg := prometheus.NewRegistry()
	var refuse sync.Once
	addr := serve(t, nil, rpc.WithAuthorize(func(context.Context, string) (id rpc.Identity, err error) {
		refuse.Do(func() { err = rpc.Errorf(rpc.Unavailable, "not yet").WithDetail(rpc.RetryAfterDetail, "1") })
		return rpc.Identity{}, err
	}))
	client := dial(t, addr, newClient(t, reg).Options())
	require.NoError(t, client.Call(t.Context(), "Test.Echo", "a", nil))
	assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Echo", "code", "ok"))
	assert.Equal(t, 1.0, value(t, reg, "rpc_client_attempts_total", "method", "Test.Echo", "code", "ok"))
	assert.Equal(t, 1.0, value(t, reg, "rpc_client_attempts_total", "method", "Test.Echo", "code", "unavailable"))
}

func TestBothSides_TellWhatIsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		hold := make(chan struct{})
		srv := rpc.NewServer(newServer(t, reg).Options())
		defer srv.Close()
		require.NoError(t, echo.Handle(srv, handle(hold)))
		conn, _ := network{"a": srv}.dial(t.Context(), "a")
		client := rpc.NewClient(conn, newClient(t, reg).Options())
		defer client.Close()
		call := client.Go(t.Context(), echo.Name(), "held", nil)
		<-time.After(3 * time.Second) // of the bubble's clock
		for _, side := range []string{"rpc_server_", "rpc_client_"} {
			assert.Equal(t, 1.0, value(t, reg, side+"calls_in_flight", "method", "Test.Echo"), side)
			assert.Equal(t, 1.0, value(t, reg, side+"calls_started_total", "method", "Test.Echo"), side)
			assert.Equal(t, 0.0, value(t, reg, side+"calls_finished_total", "method", "Test.Echo", "code", "ok"), side)
		}
		close(hold)
		require.NoError(t, call.Wait())
		for _, side := range []string{"rpc_server_", "rpc_client_"} {
			assert.Equal(t, 0.0, value(t, reg, side+"calls_in_flight", "method", "Test.Echo"), side)
			took := gather(t, reg, side+"call_duration_seconds")[0]
			for _, m := range gather(t, reg, side+"call_duration_seconds") {
				if hasLabels(m, []string{"method", "Test.Echo"}) {
					took = m
				}
			}
			assert.Equal(t, 3.0, took.GetHistogram().GetSampleSum(), side)
			for _, b := range took.GetHistogram().GetBucket() {
				want := uint64(0)
				if b.GetUpperBound() >= 3 {
					want = 1
				}
				assert.Equal(t, want, b.GetCumulativeCount(), "%s up to %v s", side, b.GetUpperBound())
			}
		}
	})
}

func TestServer_CountsRefusedCalls(t *testing.T) {
	reg := prometheus.NewRegistry()
	opts := rpc.WithServerOptions(newServer(t, reg).Options(), rpc.WithAuthorize(func(ctx context.Context, method string) (rpc.Identity, error) {
		if rpc.MetadataFrom(ctx)["token"] == "" {
			return rpc.Identity{}, rpc.Unauthenticated
		}
		return rpc.Identity{}, nil
	}))
	client := dial(t, serve(t, nil, opts))
	known := rpc.AddMetadata(t.Context(), rpc.Metadata{"token": "secret"})

	assert.ErrorIs(t, client.Call(t.Context(), "Test.Echo", "a", nil), rpc.Unauthenticated)
	assert.ErrorIs(t, client.Call(known, "Test.Nope", "a", nil), rpc.Unimplemented)
	assert.ErrorIs(t, client.Call(known, "Test.Echo", 7, nil), rpc.InvalidArgument)
	assert.NoError(t, client.Call(known, "Test.Echo", "a", nil))

	finished := func(method, code string) float64 {
		return value(t, reg, "rpc_server_calls_finished_total", "method", method, "code", code)
	}
	assert.Equal(t, 1.0, finished("Test.Echo", "unauthenticated"))
	assert.Equal(t, 1.0, finished("Test.Echo", "invalid_argument"))
	assert.Equal(t, 1.0, finished("Test.Echo", "ok"))
	assert.Equal(t, 1.0, finished(metrics.Unknown, "unimplemented"))
	assert.Equal(t, 3.0, value(t, reg, "rpc_server_calls_started_total", "method", "Test.Echo"))
	assert.Equal(t, 1.0, value(t, reg, "rpc_server_calls_started_total", "method", metrics.Unknown))
	assert.Equal(t, 1.0, value(t, reg, "rpc_server_call_duration_seconds", "method", "Test.Echo"), "what is refused takes no time")
}

func TestServer_CountsResultsThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		srv := rpc.NewServer(newServer(t, reg).Options())
		defer srv.Close()
		require.NoError(t, echo.Handle(srv, handle(nil)))
		conn, _ := network{"a": srv}.dial(t.Context(), "a")
		client := rpc.NewClient(conn, rpc.WithClientOptions(newClient(t, reg).Options(), rpc.WithMaxMessage(4096)))
		defer client.Close()
		assert.ErrorIs(t, client.Call(t.Context(), "Test.Echo", "huge", nil), rpc.ResourceExhausted)
		synctest.Wait()
		assert.Equal(t, 1.0, value(t, reg, "rpc_server_replies_failed_total", "method", "Test.Echo", "code", "resource_exhausted"))
		assert.Equal(t, 1.0, value(t, reg, "rpc_server_calls_finished_total", "method", "Test.Echo", "code", "ok"))
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Echo", "code", "resource_exhausted"))
	})
}

func TestBothSides_CountConnectionsAndBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		srv := rpc.NewServer(newServer(t, reg).Options())
		require.NoError(t, echo.Handle(srv, handle(nil)))
		n := network{"a": srv}
		opts := newClient(t, reg).Options()
		var clients []*rpc.Client
		for range 2 {
			conn, _ := n.dial(t.Context(), "a")
			clients = append(clients, rpc.NewClient(conn, opts))
			require.NoError(t, clients[len(clients)-1].Call(t.Context(), "Test.Echo", strings.Repeat("x", 1000), nil))
		}
		for _, side := range []string{"rpc_server_", "rpc_client_"} {
			assert.Equal(t, 2.0, value(t, reg, side+"open_connections"), side)
		}
		clients[0].Close()
		synctest.Wait()
		for _, side := range []string{"rpc_server_", "rpc_client_"} {
			assert.Equal(t, 1.0, value(t, reg, side+"open_connections"), side)
			assert.Equal(t, 2.0, value(t, reg, side+"connections_opened_total"), side)
		}
		clients[1].Close()
		srv.Close()
		synctest.Wait()
		asked, answered := value(t, reg, "rpc_client_written_bytes_total"), value(t, reg, "rpc_server_written_bytes_total")
		assert.Equal(t, asked, value(t, reg, "rpc_server_read_bytes_total"))
		assert.Equal(t, answered, value(t, reg, "rpc_client_read_bytes_total"))
		assert.InDelta(t, 2000, asked, 100)
		assert.InDelta(t, 2000, answered, 100)
	})
}

// A method name is the one thing that a caller chooses freely.
func TestServer_MadeUpNamesAddNoMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	client := dial(t, serve(t, nil, newServer(t, reg).Options()))
	call := func(i int) {
		client.Call(t.Context(), fmt.Sprintf("Made.Up%d", i), nil, nil)
		client.Call(t.Context(), strings.Repeat("x", 200+i), nil, nil)
		client.Call(t.Context(), "Test.\xff"+fmt.Sprint(i), nil, nil)
	}
	call(0)
	before, err := reg.Gather()
	require.NoError(t, err)
	for i := range 1000 {
		call(i)
	}
	after, err := reg.Gather()
	require.NoError(t, err)
	for i := range after {
		assert.Len(t, after[i].GetMetric(), len(before[i].GetMetric()), after[i].GetName())
	}
	assert.Equal(t, 3003.0, value(t, reg, "rpc_server_calls_started_total", "method", metrics.Unknown))
}

func TestClient_NamesAreBounded(t *testing.T) {
	reg := prometheus.NewRegistry()
	// A gateway passes on names that others make up.
	opts := newClient(t, reg, metrics.WithMaxMethods(3), metrics.WithMethods("Test.Echo")).Options()
	client := dial(t, serve(t, nil), opts)
	client.Call(t.Context(), "Test.\xff", nil, nil)
	client.Call(t.Context(), strings.Repeat("x", 129), nil, nil)
	for i := range 1000 {
		client.Call(t.Context(), fmt.Sprintf("Made.Up%d", i), nil, nil)
	}
	require.NoError(t, client.Call(t.Context(), "Test.Echo", "a", nil))
	started := func(method string) float64 {
		return value(t, reg, "rpc_client_calls_started_total", "method", method)
	}
	assert.Len(t, gather(t, reg, "rpc_client_calls_started_total"), 4)
	assert.Equal(t, 1.0, started("Test.Echo"), "it was named at the start")
	assert.Equal(t, 1.0, started("Made.Up0"))
	assert.Equal(t, 1.0, started("Made.Up1"))
	assert.Equal(t, 1000.0, started(metrics.Other))
}

func TestClient_CountsACallOnceHoweverOftenItIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		opts := rpc.WithClientOptions(newClient(t, reg).Options(), rpc.WithDialer(network{}.dial), rpc.WithMaxAttempts(3))
		pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, opts)
		defer pool.Close()
		assert.ErrorIs(t, pool.Call(t.Context(), "Test.Echo", "a", nil), rpc.Unavailable)
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_calls_finished_total", "method", "Test.Echo", "code", "unavailable"))
		assert.Equal(t, 1.0, value(t, reg, "rpc_client_call_duration_seconds", "method", "Test.Echo"))
	})
}

func TestPool_TellsWhatItsConnectionsDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		hold := make(chan struct{})
		srv := rpc.NewServer()
		defer srv.Close()
		require.NoError(t, echo.Handle(srv, handle(hold)))
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *rpc.Receiver[string], _ *rpc.Sender[string]) error {
			<-ctx.Done()
			return ctx.Err()
		}))
		pool := rpc.NewPool(rpc.StaticResolver{"up", "down", "\xffodd"}, rpc.WithDialer(network{"up": srv}.dial))
		defer pool.Close()
		require.NoError(t, reg.Register(metrics.NewPool("shop", pool)))
		assert.ErrorAs(t, reg.Register(metrics.NewPool("shop", pool)), new(prometheus.AlreadyRegisteredError))
		members := func(state string) float64 { return value(t, reg, "rpc_pool_members", "pool", "shop", "state", state) }
		synctest.Wait()
		assert.Equal(t, []float64{0, 0, 3}, []float64{members("connected"), members("backing_off"), members("idle")})

		call := pool.Go(t.Context(), "Test.Echo", "held", nil)
		synctest.Wait()
		assert.Equal(t, []float64{1, 2, 0}, []float64{members("connected"), members("backing_off"), members("idle")})
		assert.Equal(t, 1.0, value(t, reg, "rpc_pool_calls_in_flight", "addr", "up"))
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_calls_in_flight", "addr", "?odd"))
		close(hold)
		require.NoError(t, call.Wait())
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_calls_in_flight", "addr", "up"))

		stream, err := syncing.Open(t.Context(), pool)
		require.NoError(t, err)
		assert.Equal(t, 1.0, value(t, reg, "rpc_pool_open_streams", "addr", "up"))
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_open_streams", "addr", "?odd"))
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_calls_in_flight", "addr", "up"), "a stream is no call")
		require.NoError(t, stream.Close())
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_open_streams", "addr", "up"))
	})
}

func TestPool_TellsWhichServersAreEjected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		hold := make(chan struct{})
		srv := rpc.NewServer()
		defer srv.Close()
		defer close(hold)
		require.NoError(t, echo.Handle(srv, handle(hold)))
		pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, rpc.WithDialer(network{"a": srv, "b": srv}.dial),
			rpc.WithEjection(1, time.Hour, time.Hour))
		defer pool.Close()
		require.NoError(t, reg.Register(metrics.NewPool("shop", pool)))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, pool.Call(ctx, "Test.Echo", "held", nil), rpc.DeadlineExceeded)
		assert.Equal(t, 1.0, value(t, reg, "rpc_pool_members", "pool", "shop", "state", "ejected"))
	})
}

func TestPool_AddressesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var addrs rpc.StaticResolver
		for i := range 250 {
			addrs = append(addrs, fmt.Sprint("server", i))
		}
		pool := rpc.NewPool(addrs, rpc.WithConnsPerAddr(2))
		defer pool.Close()
		synctest.Wait()
		reg := prometheus.NewRegistry()
		require.NoError(t, reg.Register(metrics.NewPool("large", pool)))
		assert.Equal(t, 500.0, value(t, reg, "rpc_pool_members", "state", "idle"))
		assert.Len(t, gather(t, reg, "rpc_pool_calls_in_flight"), 101)
		assert.Len(t, gather(t, reg, "rpc_pool_open_streams"), 101)
		assert.Equal(t, 0.0, value(t, reg, "rpc_pool_calls_in_flight", "addr", metrics.Other))
	})
}

func TestNew_RegisteredTwiceIsShared(t *testing.T) {
	reg := prometheus.NewRegistry()
	assert.Same(t, newServer(t, reg), newServer(t, reg))
	assert.Same(t, newClient(t, reg), newClient(t, reg, metrics.WithMaxMethods(1)))
	wrapped := prometheus.WrapRegistererWith(prometheus.Labels{"server": "b"}, prometheus.NewRegistry())
	assert.Same(t, newServer(t, wrapped), newServer(t, wrapped))
	assert.NotSame(t, newServer(t, nil), newServer(t, nil))
}

func TestNew_OneRegistryTellsServersApartByALabel(t *testing.T) {
	reg := prometheus.NewRegistry()
	for _, name := range []string{"a", "b"} {
		m := newServer(t, prometheus.WrapRegistererWith(prometheus.Labels{"server": name}, reg))
		client := dial(t, serve(t, nil, m.Options()))
		require.NoError(t, client.Call(t.Context(), "Test.Echo", name, nil))
	}
	assert.Equal(t, 1.0, value(t, reg, "rpc_server_calls_started_total", "server", "a", "method", "Test.Echo"))
	assert.Equal(t, 1.0, value(t, reg, "rpc_server_calls_started_total", "server", "b", "method", "Test.Echo"))
}

func TestNew_WhatCannotBeRegisteredIsAnError(t *testing.T) {
	reg := prometheus.NewRegistry()
	taken := prometheus.NewGauge(prometheus.GaugeOpts{Name: "rpc_server_open_connections"})
	require.NoError(t, reg.Register(taken))
	_, err := metrics.NewServer(reg)
	assert.ErrorContains(t, err, "metrics: ")
	assert.ErrorContains(t, err, "rpc_server_open_connections")
	for _, bounds := range [][]float64{{2, 1}, {1, 1}, {math.NaN()}} {
		_, err = metrics.NewServer(nil, metrics.WithBuckets(bounds...))
		assert.ErrorContains(t, err, "must rise", "%v", bounds)
		_, err = metrics.NewClient(nil, metrics.WithBuckets(bounds...))
		assert.ErrorContains(t, err, "must rise", "%v", bounds)
	}
}

func TestNew_BucketsAreTheOnesGiven(t *testing.T) {
	reg := prometheus.NewRegistry()
	m, err := metrics.NewServer(reg, metrics.WithBuckets(1, 2))
	require.NoError(t, err)
	require.NoError(t, dial(t, serve(t, nil, m.Options())).Call(t.Context(), "Test.Echo", "a", nil))
	var bounds []float64
	for _, b := range gather(t, reg, "rpc_server_call_duration_seconds")[0].GetHistogram().GetBucket() {
		bounds = append(bounds, b.GetUpperBound())
	}
	assert.Equal(t, []float64{1, 2}, bounds)
}

func TestBothSides_ManyCallsWhileScraped(t *testing.T) {
	reg := prometheus.NewRegistry()
	addr := serve(t, nil, newServer(t, reg).Options())
	client := dial(t, addr, newClient(t, reg, metrics.WithMaxMethods(5)).Options())
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			for j := range 100 {
				echo.Call(t.Context(), client, new(string))
				client.Call(t.Context(), fmt.Sprintf("Made.Up%d", i*100+j), nil, nil)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		callers.Wait()
	}()
	for running := true; running; {
		_, err := reg.Gather()
		require.NoError(t, err)
		select {
		case <-done:
			running = false
		default:
		}
	}
	assert.Equal(t, 1600.0, value(t, reg, "rpc_server_calls_finished_total", "method", "Test.Echo", "code", "ok"))
	assert.Equal(t, 1600.0, value(t, reg, "rpc_server_calls_finished_total", "method", metrics.Unknown, "code", "unimplemented"))
	total := 0.0
	for _, m := range gather(t, reg, "rpc_client_calls_finished_total") {
		total += m.GetCounter().GetValue()
	}
	assert.Equal(t, 3200.0, total)
	assert.LessOrEqual(t, len(gather(t, reg, "rpc_client_calls_started_total")), 6)
}
