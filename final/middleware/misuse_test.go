package middleware_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
	"example.com/rpc-from-scratch/final/transport/http2"
)

// refusal runs a constructor and returns what it refuses with: an error, or a panic
// where it returns none.
func refusal(construct func() error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprint(p)
		}
	}()
	if err := construct(); err != nil {
		return err.Error()
	}
	return ""
}

// nothing makes an error of a constructor that has none.
func nothing[T any](construct func() T) func() error {
	return func() error { construct(); return nil }
}

// second drops a constructor's result.
func second[T any](_ T, err error) error { return err }

// rpc's own options have their table beside them.
func TestConstructors_RefuseWhatMakesNoSense(t *testing.T) {
	srv := rpc.NewServer()
	defer srv.Close()
	guard, err := auth.NewTokens(nil)
	assert.NoError(t, err, "no tokens are valid")
	limits, err := ratelimit.New()
	assert.NoError(t, err, "no limits")
	var codec *nilCodec
	out := slog.New(slog.DiscardHandler)
	gw := func(opt gateway.Option) func() error {
		return nothing(func() *gateway.Gateway { return gateway.New(srv, opt) })
	}
	log := func(opt func() logging.Option) func() error {
		return nothing(func() *logging.Logger { return logging.New(out, opt()) })
	}
	for want, construct := range map[string]func() error{
		"gateway: New: the server is nil":                nothing(func() *gateway.Gateway { return gateway.New(nil) }),
		"gateway: New: the option is nil":                gw(nil),
		"gateway: OnlyHosts: the handler is nil":         nothing(func() http.Handler { return gateway.OnlyHosts(nil, "a") }),
		"gateway: WithMaxBody(-1): want 0 or more":       func() error { return gw(gateway.WithMaxBody(-1))() },
		"gateway: WithMaxMetadata(-1): want 0 or more":   func() error { return gw(gateway.WithMaxMetadata(-1))() },
		"gateway: WithMaxInFlight(-5): want 0 or more":   func() error { return gw(gateway.WithMaxInFlight(-5))() },
		"gateway: WithReadTimeout(-1s): want 0 or more":  func() error { return gw(gateway.WithReadTimeout(-time.Second))() },
		"logging: New: the logger is nil":                nothing(func() *logging.Logger { return logging.New(nil) }),
		"logging: New: the option is nil":                log(func() logging.Option { return nil }),
		"logging: WithLevels: the function is nil":       log(func() logging.Option { return logging.WithLevels(nil) }),
		"logging: WithAttrs: the function is nil":        log(func() logging.Option { return logging.WithAttrs(nil) }),
		"logging: WithSampling(-1): want 0 or more":      log(func() logging.Option { return logging.WithSampling(-1) }),
		"logging: WithMaxPerSecond(-1): want 0 or more":  log(func() logging.Option { return logging.WithMaxPerSecond(-1) }),
		"logging: WithMaxRefusals(-1): want 0 or more":   log(func() logging.Option { return logging.WithMaxRefusals(-1) }),
		"logging: WithPayloads(-1): want 0 or more":      log(func() logging.Option { return logging.WithPayloads(-1) }),
		"metrics: NewPool: the pool is nil":              nothing(func() *metrics.Pool { return metrics.NewPool("a", nil) }),
		"metrics: option 1 of 1 is nil":                  func() error { return second(metrics.NewServer(nil, nil)) },
		"metrics: WithMaxMethods(-1): want 0 or more":    func() error { return second(metrics.NewClient(nil, metrics.WithMaxMethods(-1))) },
		"metrics: the bounds of the buckets must rise":   func() error { return second(metrics.NewServer(nil, metrics.WithBuckets(1, math.NaN()))) },
		"cache: option 1 of 1 is nil":                    func() error { return second(cache.New(nil)) },
		"cache: the codec is nil":                        func() error { return second(cache.New(cache.Codec(codec))) },
		"cache: 0 entries: at least 1 is needed":         func() error { return second(cache.New(cache.Entries(0))) },
		"cache: -1 bytes: at least 1 is needed":          func() error { return second(cache.New(cache.Bytes(-1))) },
		"ratelimit: limit 1 of 1 is nil":                 func() error { return second(ratelimit.New(nil)) },
		"ratelimit: Before: the hook is nil":             nothing(func() rpc.AuthorizeFunc { return limits.Before(nil) }),
		"ratelimit: After: the hook is nil":              nothing(func() rpc.AuthorizeFunc { return limits.After(nil) }),
		"ratelimit: peer: the key is nil":                func() error { return second(ratelimit.New(ratelimit.Peer(nil, 1, 1))) },
		"auth: verify is nil":                            func() error { return second(auth.New(nil, auth.Nobody(), nil)) },
		"auth: OverTLS: the source is nil":               nothing(func() rpc.ClientOption { return auth.OverTLS(nil, nil) }),
		"auth: OverLoopback: the source is nil":          nothing(func() rpc.ClientOption { return auth.OverLoopback(nil) }),
		"auth: OverAnything: the source is nil":          nothing(func() rpc.ClientOption { return auth.OverAnything(nil) }),
		"http2: Configure: the server is nil":            func() error { http2.Configure(nil); return nil },
		"health: the server is nil":                      func() error { return second(health.Register(nil)) },
		"introspect: the server is nil":                  func() error { return introspect.Register(nil, nil) },
		"rpc: a Server is made by NewServer":             func() error { return new(inventory.Inventory).Register(nil) },
		"orders: New: the caller is nil":                 nothing(func() *orders.Orders { return orders.New((*rpc.Pool)(nil)) }),
		"orders: Connect: the counter of retries is nil": nothing(func() *rpc.Pool { return orders.Connect(nil, rpc.StaticResolver{}) }),
		"rpc: NewPool: the resolver is nil":              nothing(func() *rpc.Pool { return orders.Connect(new(orders.Retries), nil) }),
	} {
		assert.Equal(t, want, refusal(construct))
	}
	for name, construct := range map[string]func() error{
		"gateway": func() error {
			gateway.New(srv, gateway.WithMaxBody(0), gateway.WithMaxMetadata(0), gateway.WithMaxInFlight(0), gateway.WithReadTimeout(0), gateway.WithPage(nil))
			return nil
		},
		"logging": func() error {
			logging.New(out, logging.WithSampling(0), logging.WithMaxPerSecond(0), logging.WithMaxRefusals(0), logging.WithPayloads(0))
			return nil
		},
		"metrics": func() error {
			return second(metrics.NewServer(prometheus.NewRegistry(), metrics.WithMaxMethods(0), metrics.WithBuckets()))
		},
		"protobuf": func() error { return second(cache.New(cache.Codec(protobuf.Codec))) },
		"auth":     func() error { return second(auth.New(guard.Verify, auth.Nobody(), nil)) },
	} {
		assert.Empty(t, refusal(construct), "zero is no mistake in %s", name)
	}
}

type nilCodec struct{ rpc.Codec }

// The largest number is how a program says that it wants no limit.
func TestOptions_TheLargestNumberIsNoLimit(t *testing.T) {
	var out bytes.Buffer
	log := logging.New(slog.New(slog.NewTextHandler(&out, nil)), logging.WithPayloads(math.MaxInt),
		logging.WithSampling(1), logging.WithMaxPerSecond(math.MaxInt), logging.WithMaxRefusals(math.MaxInt))
	measured, err := metrics.NewServer(nil, metrics.WithMaxMethods(math.MaxInt))
	require.NoError(t, err)
	srv := rpc.NewServer(log.ServerOptions(), measured.Options())
	defer srv.Close()
	_, err = health.Register(srv)
	require.NoError(t, err)
	require.NoError(t, srv.RegisterFunc("Test.Same", func(v any) any { return v }))
	gw := gateway.New(srv, gateway.WithMaxBody(math.MaxInt64), gateway.WithMaxMetadata(math.MaxInt),
		gateway.WithMaxInFlight(math.MaxInt), gateway.WithReadTimeout(math.MaxInt64), gateway.WithWriteTimeout(math.MaxInt64))
	for _, method := range []string{"Test.Same", "Health.Check"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/rpc/"+method, strings.NewReader(`{"a":["<b>"]}`))
		r.Header.Set("Content-Type", "application/json")
		gw.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code, "%s: %s", method, w.Body)
	}
	assert.Contains(t, out.String(), `result="{\"a\":[\"\\u003cb\\u003e\"]}"`)

	answers, err := cache.New(cache.Method("Test.Same", math.MaxInt64), cache.NotFound("Test.Same", math.MaxInt64), cache.Entries(math.MaxInt), cache.Bytes(math.MaxInt))
	require.NoError(t, err)
	calls := 0
	caller := answers.Intercept(rpc.CallerFunc(func(_ context.Context, _ string, _, reply any) error {
		calls++
		*reply.(*int) = calls
		return nil
	}))
	for range 2 {
		var n int
		require.NoError(t, caller.Call(t.Context(), "Test.Same", nil, &n))
		assert.Equal(t, 1, n)
	}
}
