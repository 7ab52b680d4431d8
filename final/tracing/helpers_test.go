package tracing_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

// spans is where a test's spans go.
type spans struct {
	*tracetest.InMemoryExporter
	provider *sdktrace.TracerProvider
}

// newSpans samples everything unless opts say otherwise.
func newSpans(t testing.TB, opts ...sdktrace.TracerProviderOption) *spans {
	t.Helper()
	exporter := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(append([]sdktrace.TracerProviderOption{sdktrace.WithSyncer(exporter)}, opts...)...)
	t.Cleanup(func() { provider.Shutdown(context.Background()) })
	return &spans{exporter, provider}
}

// options are those of both sides.
func (s *spans) options(more ...tracing.Option) []tracing.Option {
	return append([]tracing.Option{tracing.WithTracerProvider(s.provider), tracing.WithPropagator(w3c)}, more...)
}

func (s *spans) server(more ...tracing.Option) rpc.ServerOption {
	return rpc.WithServerMiddleware(tracing.Server(s.options(more...)...))
}

func (s *spans) client(more ...tracing.Option) rpc.ClientOption {
	return rpc.WithClientInterceptors(tracing.Client(s.options(more...)...))
}

// one returns the span of that name and kind; there must be exactly one.
func (s *spans) one(t *testing.T, name string, kind trace.SpanKind) tracetest.SpanStub {
	t.Helper()
	var found []tracetest.SpanStub
	for _, span := range s.GetSpans() {
		if span.Name == name && span.SpanKind == kind {
			found = append(found, span)
		}
	}
	require.Len(t, found, 1, "%v spans called %s", kind, name)
	return found[0]
}

// attributes returns a span's attributes as text.
func attributes(span tracetest.SpanStub) map[attribute.Key]string {
	m := map[attribute.Key]string{}
	for _, kv := range span.Attributes {
		m[kv.Key] = kv.Value.String()
	}
	return m
}

// serve serves srv on a free port for the length of the test.
func serve(t testing.TB, srv *rpc.Server) (addr string) {
	t.Helper()
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return ln.Addr().String()
}

func dial(t testing.TB, addr string, opts ...rpc.ClientOption) *rpc.Client {
	t.Helper()
	client, err := rpc.Dial(t.Context(), addr, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// serveFunc serves one method, Test.Method, and returns the address.
func serveFunc(t testing.TB, fn any, opts ...rpc.ServerOption) (addr string) {
	t.Helper()
	srv := rpc.NewServer(opts...)
	require.NoError(t, srv.RegisterFunc("Test.Method", fn))
	return serve(t, srv)
}
