package tracing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

// Each call has a span, and so a traceparent of its own, and is answered from the
// cache all the same: tracing is the first interceptor, as its doc says.
func TestCache_HitsBehindTracing(t *testing.T) {
	s, runs := newSpans(t), 0
	addr := serveFunc(t, func(context.Context) (int, error) { runs++; return runs, nil }, s.server())
	answers, err := cache.New(cache.Method("Test.Method", time.Minute))
	require.NoError(t, err)
	client := dial(t, addr, rpc.WithClientInterceptors(tracing.Client(s.options()...), answers.Intercept))
	call := func(ctx context.Context) (n int) {
		require.NoError(t, client.Call(ctx, "Test.Method", nil, &n))
		return n
	}
	for i := range 3 {
		state, err := trace.ParseTraceState(fmt.Sprint("vendor=", i))
		require.NoError(t, err)
		parent := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{byte(i + 1)}, SpanID: trace.SpanID{1}, TraceState: state, TraceFlags: trace.FlagsSampled, Remote: true,
		})
		assert.Equal(t, 1, call(trace.ContextWithSpanContext(t.Context(), parent)))
	}
	assert.Equal(t, int64(2), answers.Stats().Hits)
	assert.Len(t, s.GetSpans(), 4, "a span for each call, and one for the handler that ran")

	for want, user := range []string{"ann", "bob"} {
		member, err := baggage.NewMember("user", user)
		require.NoError(t, err)
		bag, err := baggage.New(member)
		require.NoError(t, err)
		for range 2 {
			assert.Equal(t, want+2, call(baggage.ContextWithBaggage(t.Context(), bag)), "baggage may say who asks")
		}
	}
}
