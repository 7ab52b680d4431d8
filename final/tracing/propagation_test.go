package tracing_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

// The example of https://www.w3.org/TR/trace-context/#traceparent-header.
const (
	traceID     = "4bf92f3577b34da6a3ce929d0e0e4736"
	spanID      = "00f067aa0ba902b7"
	traceparent = "00-" + traceID + "-" + spanID + "-01"
)

// A client that knows nothing of OpenTelemetry, and a server that writes down
// what comes: the metadata are the W3C's headers.
func TestTracing_SpeaksWithWhoeverWritesTheHeaders(t *testing.T) {
	s := newSpans(t)
	last := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client())
	client := dial(t, serveFunc(t, func(ctx context.Context) (md rpc.Metadata, err error) {
		return md, last.Call(ctx, "Test.Method", nil, &md)
	}, s.server()))

	var got rpc.Metadata
	ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{
		"traceparent": traceparent, "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", "baggage": "customer=ann,shop=7",
	})
	require.NoError(t, client.Call(ctx, "Test.Method", nil, &got))

	server := s.one(t, "Test.Method", trace.SpanKindServer)
	assert.Equal(t, traceID, server.SpanContext.TraceID().String())
	assert.Equal(t, spanID, server.Parent.SpanID().String())
	assert.True(t, server.Parent.IsRemote())
	onward := s.one(t, "Test.Method", trace.SpanKindClient)
	assert.Equal(t, "00-"+traceID+"-"+onward.SpanContext.SpanID().String()+"-01", got["traceparent"])
	assert.Equal(t, "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7", got["tracestate"])
	bag, err := baggage.Parse(got["baggage"])
	require.NoError(t, err)
	assert.Equal(t, "ann", bag.Member("customer").Value())
	assert.Equal(t, "7", bag.Member("shop").Value())
}

// What a client makes up begins no trace of its own choice, and fails no call.
func TestServer_MadeUpHeaders(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat("a=1,", 2000), ",")
	for name, md := range map[string]rpc.Metadata{
		"nothing":             {"traceparent": ""},
		"words":               {"traceparent": "hello"},
		"zeros":               {"traceparent": "00-00000000000000000000000000000000-0000000000000000-01"},
		"no span":             {"traceparent": "00-" + traceID + "-0000000000000000-01"},
		"capitals":            {"traceparent": "00-" + strings.ToUpper(traceID) + "-" + spanID + "-01"},
		"too short":           {"traceparent": traceparent[:54]},
		"too long":            {"traceparent": traceparent + "-and-more"},
		"version ff":          {"traceparent": "ff" + traceparent[2:]},
		"very long":           {"traceparent": strings.Repeat("0", 8000)},
		"baggage without end": {"baggage": many},
		"broken baggage":      {"baggage": "=;;,=%zz"},
		"only a state":        {"tracestate": "congo=1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpans(t)
			client := dial(t, serveFunc(t, func(ctx context.Context) int { return baggage.FromContext(ctx).Len() }, s.server()))
			var members int
			require.NoError(t, client.Call(rpc.AddMetadata(t.Context(), md), "Test.Method", nil, &members))
			assert.LessOrEqual(t, members, 64)
			span := s.one(t, "Test.Method", trace.SpanKindServer)
			assert.False(t, span.Parent.IsValid())
			assert.True(t, span.SpanContext.IsValid())
			assert.NotEqual(t, traceID, span.SpanContext.TraceID().String())
			assert.Empty(t, span.SpanContext.TraceState().String())
		})
	}
}

// A trace with a state that is none goes on without it, as the W3C has it.
func TestServer_ABrokenStateIsDropped(t *testing.T) {
	for _, state := range []string{"=", "a=1,a=2", strings.TrimSuffix(strings.Repeat("a=1,", 33), ",")} {
		s := newSpans(t)
		client := dial(t, serveFunc(t, func() error { return nil }, s.server()))
		ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{"traceparent": traceparent, "tracestate": state})
		require.NoError(t, client.Call(ctx, "Test.Method", nil, nil))
		span := s.one(t, "Test.Method", trace.SpanKindServer)
		assert.Equal(t, traceID, span.SpanContext.TraceID().String())
		assert.Empty(t, span.SpanContext.TraceState().String())
	}
}

// A stranger's trace is linked to, and neither goes on nor decides anything.
func TestServer_PublicEndpoint(t *testing.T) {
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) int { return baggage.FromContext(ctx).Len() }, s.server(tracing.WithPublicEndpoint())))
	ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{"traceparent": traceparent, "baggage": "admin=true"})
	var members int
	require.NoError(t, client.Call(ctx, "Test.Method", nil, &members))
	assert.Zero(t, members)
	span := s.one(t, "Test.Method", trace.SpanKindServer)
	assert.False(t, span.Parent.IsValid())
	assert.NotEqual(t, traceID, span.SpanContext.TraceID().String())
	require.Len(t, span.Links, 1)
	assert.Equal(t, spanID, span.Links[0].SpanContext.SpanID().String())

	never := newSpans(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	client = dial(t, serveFunc(t, func() error { return nil }, never.server(tracing.WithPublicEndpoint())))
	require.NoError(t, client.Call(ctx, "Test.Method", nil, nil))
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, nil))
	assert.Empty(t, never.GetSpans(), "the client's flag says that the call is sampled")
}

// Baggage that a call has no room for stays behind; the call is made, and traced.
func TestClient_LargeBaggageStaysBehind(t *testing.T) {
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client())
	member, err := baggage.NewMember("big", strings.Repeat("x", 8000))
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	ctx := rpc.AddMetadata(baggage.ContextWithBaggage(t.Context(), bag), rpc.Metadata{"user": strings.Repeat("u", 6000)})
	var got rpc.Metadata
	require.NoError(t, client.Call(ctx, "Test.Method", nil, &got))
	assert.NotEmpty(t, got["traceparent"])
	assert.Empty(t, got["baggage"])
	assert.Len(t, got["user"], 6000)
}

// Whatever a program and the interceptors after this one put into the metadata, what
// is added for the trace is not what makes it too much for the server.
func TestClient_NoCallFailsForItsTrace(t *testing.T) {
	member, err := baggage.NewMember("big", strings.Repeat("x", 1900))
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	state, err := trace.ParseTraceState("a=" + strings.Repeat("x", 250) + ",b=" + strings.Repeat("x", 250))
	require.NoError(t, err)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, TraceState: state})
	for own := 0; own <= 8192-8; own += 93 {
		s := newSpans(t)
		client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client())
		ctx := trace.ContextWithSpanContext(baggage.ContextWithBaggage(t.Context(), bag), parent)
		if own > 0 {
			ctx = rpc.AddMetadata(ctx, rpc.Metadata{"user": strings.Repeat("u", own)})
		}
		var got rpc.Metadata
		require.NoError(t, client.Call(ctx, "Test.Method", nil, &got), "%d bytes", own)
		assert.Len(t, got["user"], own)
		if own < 7000 {
			assert.NotEmpty(t, got["traceparent"], "%d bytes", own)
		}
		if own < 4500 {
			assert.NotEmpty(t, got["baggage"], "%d bytes", own)
			assert.NotEmpty(t, got["tracestate"], "%d bytes", own)
		}
	}

	// The trace that the metadata have already is replaced, so it takes no room.
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client())
	ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{"traceparent": strings.Repeat("x", 8000)})
	var got rpc.Metadata
	require.NoError(t, client.Call(ctx, "Test.Method", nil, &got))
	assert.Len(t, got["traceparent"], 55)
}

// Metadata has a number of pairs, too, and an interceptor after this one may add some.
func TestClient_NoCallWithManyPairsFailsForItsTrace(t *testing.T) {
	member, err := baggage.NewMember("k", "v")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	state, err := trace.ParseTraceState("a=b")
	require.NoError(t, err)
	parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled, TraceState: state})
	for own := 115; own <= 127; own++ {
		s := newSpans(t)
		token := rpc.WithClientInterceptors(func(next rpc.Caller) rpc.Caller {
			return rpc.CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				return next.Call(rpc.AddMetadata(ctx, rpc.Metadata{"token": "t"}), method, params, reply)
			})
		})
		client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client(), token)
		md := rpc.Metadata{}
		for i := range own {
			md[fmt.Sprint("k", i)] = "v"
		}
		ctx := trace.ContextWithSpanContext(baggage.ContextWithBaggage(t.Context(), bag), parent)
		var got rpc.Metadata
		require.NoError(t, client.Call(rpc.AddMetadata(ctx, md), "Test.Method", nil, &got), "%d pairs", own)
		assert.Equal(t, "v", got[fmt.Sprint("k", own-1)])
		assert.Equal(t, own < 124, got["traceparent"] != "", "%d pairs", own)
		assert.Equal(t, own < 123, got["tracestate"] != "", "%d pairs: a state is worth nothing without its parent", own)
		assert.Equal(t, own < 122, got["baggage"] != "", "%d pairs", own)
	}

	// A trace that the metadata have already is replaced, whatever else there is.
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }), s.client())
	md := rpc.Metadata{"traceparent": "old"}
	for i := range 127 {
		md[fmt.Sprint("k", i)] = "v"
	}
	var got rpc.Metadata
	require.NoError(t, client.Call(rpc.AddMetadata(t.Context(), md), "Test.Method", nil, &got))
	assert.Len(t, got["traceparent"], 55)
}

// A propagator may want what metadata cannot carry.
func TestClient_OddPropagator(t *testing.T) {
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) rpc.Metadata { return rpc.MetadataFrom(ctx) }),
		s.client(tracing.WithPropagator(odd{})))
	var got rpc.Metadata
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, &got))
	assert.Equal(t, rpc.Metadata{"x-b3-traceid": "1"}, got)
}

type odd struct{}

func (odd) Inject(_ context.Context, c propagation.TextMapCarrier) {
	c.Set("X-B3-TraceId", c.Get("X-B3-TraceId")+"1")
	c.Set("", "no name")
	c.Set("two words", "1")
	c.Set(strings.Repeat("k", 129), "1")
	c.Set("two-lines", "a\nb")
	c.Set("no-ascii", "é")
	if keys := c.Keys(); len(keys) != 1 || keys[0] != "x-b3-traceid" {
		panic(keys)
	}
}
func (odd) Extract(ctx context.Context, _ propagation.TextMapCarrier) context.Context { return ctx }
func (odd) Fields() []string                                                          { return nil }

// OpenTelemetry's own defaults: nothing is recorded and nothing travels.
func TestTracing_WithoutAProvider(t *testing.T) {
	client := dial(t, serveFunc(t, func(ctx context.Context) int { return len(rpc.MetadataFrom(ctx)) },
		rpc.WithServerMiddleware(tracing.Server())), rpc.WithClientInterceptors(tracing.Client()))
	pairs := -1
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, &pairs))
	assert.Zero(t, pairs)
}
