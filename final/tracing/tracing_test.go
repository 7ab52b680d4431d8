package tracing_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/tracing"
)

// A customer, an order server and an inventory: three parts, one trace.
func TestTracing_OneTraceThroughTwoServices(t *testing.T) {
	s := newSpans(t)
	inventory := rpc.NewServer(s.server())
	require.NoError(t, inventory.RegisterFunc("Inventory.Reserve", func(context.Context, string) (int, error) { return 1, nil }))
	pool := rpc.NewPool(rpc.StaticResolver{serve(t, inventory)}, s.client())
	defer pool.Close()
	orders := rpc.NewServer(s.server())
	require.NoError(t, orders.RegisterFunc("Orders.Place", func(ctx context.Context, item string) (n int, err error) {
		return n, pool.Call(ctx, "Inventory.Reserve", item, &n)
	}))
	client := dial(t, serve(t, orders), s.client(tracing.WithAttributes(attribute.String("server.address", "orders"))))

	ctx, customer := s.provider.Tracer("test").Start(t.Context(), "customer")
	require.NoError(t, client.Call(ctx, "Orders.Place", "item1", nil))
	customer.End()

	chain := []struct {
		name string
		kind trace.SpanKind
	}{
		{"customer", trace.SpanKindInternal},
		{"Orders.Place", trace.SpanKindClient},
		{"Orders.Place", trace.SpanKindServer},
		{"Inventory.Reserve", trace.SpanKindClient},
		{"Inventory.Reserve", trace.SpanKindServer},
	}
	require.Len(t, s.GetSpans(), len(chain))
	for i := 1; i < len(chain); i++ {
		parent, child := s.one(t, chain[i-1].name, chain[i-1].kind), s.one(t, chain[i].name, chain[i].kind)
		assert.Equal(t, parent.SpanContext.TraceID(), child.SpanContext.TraceID())
		assert.Equal(t, parent.SpanContext.SpanID(), child.Parent.SpanID(), child.Name)
		assert.Equal(t, child.SpanKind == trace.SpanKindServer, child.Parent.IsRemote(), child.Name)
		assert.Equal(t, codes.Unset, child.Status.Code)
	}
	assert.Equal(t, map[attribute.Key]string{
		"rpc.system.name": "rpc-from-scratch", "rpc.method": "Orders.Place", "rpc.response.status_code": "ok", "server.address": "orders",
	}, attributes(s.one(t, "Orders.Place", trace.SpanKindClient)))

	server := s.one(t, "Inventory.Reserve", trace.SpanKindServer)
	got := attributes(server)
	assert.NotEmpty(t, got["network.peer.port"])
	delete(got, "network.peer.port")
	assert.Equal(t, map[attribute.Key]string{
		"rpc.system.name": "rpc-from-scratch", "rpc.method": "Inventory.Reserve", "rpc.response.status_code": "ok",
		"network.peer.address": "127.0.0.1",
	}, got)
	assert.Equal(t, "example.com/rpc-from-scratch/final/tracing", server.InstrumentationScope.Name)
	assert.Equal(t, "https://opentelemetry.io/schemas/1.43.0", server.InstrumentationScope.SchemaURL)
}

func TestTracing_Errors(t *testing.T) {
	long := strings.Repeat("é", 3000)
	for name, test := range map[string]struct {
		err    error
		code   string
		server bool // the server's span is an error, too
		text   string
	}{
		"the caller's mistake":   {rpc.Errorf(rpc.NotFound, "unknown item"), "not_found", false, "unknown item"},
		"a bare code":            {rpc.PermissionDenied, "permission_denied", false, "permission_denied"},
		"no code":                {errors.New("disk full"), "unknown", true, "disk full"},
		"the server's mistake":   {rpc.Errorf(rpc.DataLoss, "it is gone"), "data_loss", true, "it is gone"},
		"no time":                {context.DeadlineExceeded, "deadline_exceeded", true, "context deadline exceeded"},
		"a text without an end":  {rpc.Errorf(rpc.Internal, "%s", long), "internal", true, long[:1024]},
		"what it wraps is coded": {errors.Join(errors.New("secret"), rpc.Errorf(rpc.Unavailable, "later")), "unavailable", true, "later"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpans(t)
			client := dial(t, serveFunc(t, func(context.Context) error { return test.err }, s.server()), s.client(), rpc.WithMaxAttempts(1))
			require.Error(t, client.Call(t.Context(), "Test.Method", nil, nil))

			span := s.one(t, "Test.Method", trace.SpanKindClient)
			assert.Equal(t, codes.Error, span.Status.Code)
			assert.Contains(t, span.Status.Description, test.text)
			assert.Equal(t, test.code, attributes(span)["rpc.response.status_code"])
			assert.Equal(t, test.code, attributes(span)["error.type"])

			span = s.one(t, "Test.Method", trace.SpanKindServer)
			assert.Equal(t, test.code, attributes(span)["rpc.response.status_code"])
			if test.server {
				assert.Equal(t, codes.Error, span.Status.Code)
				assert.Equal(t, test.text, span.Status.Description)
				assert.Equal(t, test.code, attributes(span)["error.type"])
			} else {
				assert.Equal(t, codes.Unset, span.Status.Code)
				assert.NotContains(t, attributes(span), attribute.Key("error.type"))
			}
		})
	}
}

func TestTracing_APanicEndsTheSpanAndGoesOn(t *testing.T) {
	s := newSpans(t)
	type panicked struct {
		value any
		stack string
	}
	told := make(chan panicked, 1)
	client := dial(t, serveFunc(t, explode, s.server(), rpc.WithPanicHandler(func(_ context.Context, value any, stack []byte) {
		told <- panicked{value, string(stack)}
	})), s.client())
	assert.ErrorIs(t, client.Call(t.Context(), "Test.Method", nil, nil), rpc.Internal)

	p := <-told
	assert.Equal(t, "boom", p.value)
	assert.Contains(t, p.stack, "tracing_test.explode", "the stack still begins where it happened")
	for _, kind := range []trace.SpanKind{trace.SpanKindClient, trace.SpanKindServer} {
		span := s.one(t, "Test.Method", kind)
		assert.Equal(t, codes.Error, span.Status.Code)
		assert.Equal(t, "internal", attributes(span)["error.type"])
		assert.NotContains(t, span.Status.Description, "boom")
	}
}

func explode(context.Context) error { panic("boom") }

// Goexit is not a panic: nothing goes on, and the span says which of the two it was.
func TestTracing_AGoexitEndsTheSpanAndIsNotCalledAPanic(t *testing.T) {
	s := newSpans(t)
	panics := make(chan any, 1)
	exit := func(context.Context) error { runtime.Goexit(); return nil }
	client := dial(t, serveFunc(t, exit, s.server(), rpc.WithPanicHandler(func(_ context.Context, value any, _ []byte) { panics <- value })), s.client())
	assert.ErrorIs(t, client.Call(t.Context(), "Test.Method", nil, nil), rpc.Internal)
	span := s.one(t, "Test.Method", trace.SpanKindServer)
	assert.Equal(t, "the goroutine was ended by runtime.Goexit", span.Status.Description)
	assert.Equal(t, "internal", attributes(span)["error.type"])
	assert.Empty(t, panics)

	s = newSpans(t)
	caller := tracing.Client(s.options()...)(rpc.CallerFunc(func(context.Context, string, any, any) error { runtime.Goexit(); return nil }))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		caller.Call(t.Context(), "Test.Method", nil, nil)
	}()
	<-ended
	assert.Equal(t, "the goroutine was ended by runtime.Goexit", s.one(t, "Test.Method", trace.SpanKindClient).Status.Description)
}

func TestClient_APanicBelowEndsTheSpan(t *testing.T) {
	s := newSpans(t)
	caller := tracing.Client(s.options()...)(rpc.CallerFunc(func(context.Context, string, any, any) error { panic("boom") }))
	assert.PanicsWithValue(t, "boom", func() { caller.Call(t.Context(), "Test.Method", nil, nil) })
	assert.Equal(t, codes.Error, s.one(t, "Test.Method", trace.SpanKindClient).Status.Code)
}

// textless is an error whose text cannot be had from a nil pointer.
type textless struct{ text string }

func (e *textless) Error() string { return e.text }

// An error that cannot be read ends its span as another does, and reaches who called.
func TestTracing_ErrorsWithoutATextEndTheSpan(t *testing.T) {
	for want, err := range map[string]error{
		"(a *tracing_test.textless that panics when it is asked for its text)": (*textless)(nil),
		"rpc: internal: a nil *rpc.Error":                                      (*rpc.Error)(nil),
	} {
		s := newSpans(t)
		caller := tracing.Client(s.options()...)(rpc.CallerFunc(func(context.Context, string, any, any) error { return err }))
		assert.True(t, err == caller.Call(t.Context(), "Test.Client", nil, nil), want)
		handler := tracing.Server(s.options()...).Unary(rpc.MethodInfo{Name: "Test.Server"}, func(context.Context, any) (any, error) { return nil, err })
		_, got := handler(t.Context(), nil)
		assert.True(t, err == got, want)
		for name, kind := range map[string]trace.SpanKind{"Test.Client": trace.SpanKindClient, "Test.Server": trace.SpanKindServer} {
			span := s.one(t, name, kind)
			assert.Equal(t, codes.Error, span.Status.Code)
			assert.Contains(t, span.Status.Description, want)
		}
	}
}

func TestTracing_ACancelledCall(t *testing.T) {
	s := newSpans(t)
	running, ended := make(chan struct{}), make(chan struct{})
	srv := rpc.NewServer(s.server())
	require.NoError(t, srv.RegisterFunc("Test.Method", func(ctx context.Context) error {
		defer close(ended)
		close(running)
		<-ctx.Done()
		return ctx.Err()
	}))
	client := dial(t, serve(t, srv), s.client())
	ctx, cancel := context.WithCancel(t.Context())
	call := client.Go(ctx, "Test.Method", nil, nil)
	<-running
	cancel()
	assert.ErrorIs(t, call.Wait(), context.Canceled)

	span := s.one(t, "Test.Method", trace.SpanKindClient)
	assert.Equal(t, codes.Error, span.Status.Code)
	assert.Equal(t, "canceled", attributes(span)["rpc.response.status_code"])
	<-ended
	require.NoError(t, srv.Shutdown(t.Context())) // waits for the interceptor as well
	span = s.one(t, "Test.Method", trace.SpanKindServer)
	assert.Equal(t, "canceled", attributes(span)["rpc.response.status_code"])
	assert.Equal(t, codes.Unset, span.Status.Code, "the client has left; nothing is wrong here")
}

// The client's span is the call; the attempt that was refused never reached a handler.
func TestTracing_ACallThatIsTriedAgainIsOneSpan(t *testing.T) {
	s := newSpans(t)
	var refuse sync.Once
	client := dial(t, serveFunc(t, func(context.Context) error { return nil }, s.server(),
		rpc.WithAuthorize(func(context.Context, string) (id rpc.Identity, err error) {
			refuse.Do(func() {
				err = &rpc.Error{Code: rpc.Unavailable, Message: "not yet", Details: map[string]string{rpc.RetryAfterDetail: "1"}}
			})
			return rpc.Identity{}, err
		})), s.client())
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, nil))
	assert.Len(t, s.GetSpans(), 2)
	assert.Equal(t, codes.Unset, s.one(t, "Test.Method", trace.SpanKindClient).Status.Code)
	s.one(t, "Test.Method", trace.SpanKindServer)
}

func TestAttempts_AreEventsOfTheCallsSpan(t *testing.T) {
	s := newSpans(t)
	var refuse sync.Once
	addr := serveFunc(t, func(context.Context) error { return nil },
		rpc.WithAuthorize(func(context.Context, string) (id rpc.Identity, err error) {
			refuse.Do(func() { err = rpc.Errorf(rpc.Unavailable, "not yet").WithDetail(rpc.RetryAfterDetail, "1") })
			return rpc.Identity{}, err
		}))
	client := dial(t, addr, s.client(), rpc.WithObserver(tracing.Attempts()))
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, nil))
	events := s.one(t, "Test.Method", trace.SpanKindClient).Events
	require.Len(t, events, 2)
	for i, want := range []map[attribute.Key]string{
		{"rpc.attempt": "1", "rpc.response.status_code": "unavailable", "rpc.attempt.error": "not yet", "server.address": addr},
		{"rpc.attempt": "2", "rpc.response.status_code": "ok", "server.address": addr},
	} {
		assert.Equal(t, "rpc.attempt", events[i].Name)
		assert.Equal(t, want, attributes(tracetest.SpanStub{Attributes: events[i].Attributes}))
	}
	// A call without a span, or one that is not sampled, has nowhere to put them.
	plain := dial(t, addr, rpc.WithObserver(tracing.Attempts()))
	assert.NoError(t, plain.Call(t.Context(), "Test.Method", nil, nil))
}

// A call without a server has the client's span only.
func TestClient_NoConnection(t *testing.T) {
	s := newSpans(t)
	pool := rpc.NewPool(rpc.StaticResolver{"127.0.0.1:1"}, s.client(), rpc.WithFailFast())
	defer pool.Close()
	require.ErrorIs(t, pool.Call(t.Context(), "Test.Method", nil, nil), rpc.Unavailable)
	assert.Equal(t, "unavailable", attributes(s.one(t, "Test.Method", trace.SpanKindClient))["error.type"])
	assert.Len(t, s.GetSpans(), 1)
}

func TestTracing_ManyCallsDoNotMixTheirTraces(t *testing.T) {
	s := newSpans(t)
	client := dial(t, serveFunc(t, func(ctx context.Context) string {
		return trace.SpanContextFromContext(ctx).TraceID().String()
	}, s.server()), s.client())
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			ctx, span := s.provider.Tracer("test").Start(t.Context(), "caller")
			defer span.End()
			var got string
			assert.NoError(t, client.Call(ctx, "Test.Method", nil, &got))
			assert.Equal(t, span.SpanContext().TraceID().String(), got)
		})
	}
	all.Wait()
	assert.Len(t, s.GetSpans(), 150)
}

// Nobody records, and the servers after us are told so.
func TestTracing_NotSampled(t *testing.T) {
	s := newSpans(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	client := dial(t, serveFunc(t, func(ctx context.Context) string { return rpc.MetadataFrom(ctx)["traceparent"] }, s.server()), s.client())
	var sent string
	require.NoError(t, client.Call(t.Context(), "Test.Method", nil, &sent))
	assert.Regexp(t, `^00-[0-9a-f]{32}-[0-9a-f]{16}-0[02]$`, sent)
	assert.Empty(t, s.GetSpans())
}
