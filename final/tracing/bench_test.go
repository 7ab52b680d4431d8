package tracing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

// What tracing adds to a call over loopback, by what becomes of the spans.
func BenchmarkCall(b *testing.B) {
	bench := func(name string, server rpc.ServerOption, client rpc.ClientOption) {
		b.Run(name, func(b *testing.B) {
			c := dial(b, serveFunc(b, func(context.Context) error { return nil }, server), client)
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, c.Call(b.Context(), "Test.Method", nil, nil))
			}
		})
	}
	bench("without", rpc.WithServerInterceptors(), rpc.WithClientInterceptors())
	bench("no provider", rpc.WithServerMiddleware(tracing.Server()), rpc.WithClientInterceptors(tracing.Client()))
	never := newSpans(b, sdktrace.WithSampler(sdktrace.NeverSample()))
	bench("not sampled", never.server(), never.client())
	always := sdktrace.NewTracerProvider() // sampled, and exported to nowhere
	b.Cleanup(func() { always.Shutdown(context.Background()) })
	all := &spans{provider: always}
	bench("sampled", all.server(), all.client())
}
