package tracing

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
)

// Client returns an interceptor that makes a span of each call and each stream of a
// client or a pool: a child of the span in its context, if there is one. Put it first
// among the interceptors, so that the span is around them all. It may be given to
// any number of clients.
func Client(opts ...Option) rpc.ClientInterceptor {
	t := newTracing(opts)
	return func(next rpc.Caller) rpc.Caller {
		return rpc.CallerFuncs{
			CallFunc: func(ctx context.Context, method string, params, reply any) error {
				return t.call(ctx, next, method, params, reply)
			},
			OpenFunc: func(ctx context.Context, kind rpc.MethodKind, method string, params any) (rpc.OpenedStream, error) {
				return t.open(ctx, next, kind, method, params)
			},
		}
	}
}

// Attempts returns an observer that adds an event to a call's span for each attempt
// to make the call: which server, which try, and how it ended. Give it to
// [rpc.WithObserver], beside [Client].
func Attempts() rpc.Observer {
	return rpc.Observer{AttemptDone: func(ctx context.Context, a rpc.Attempt) {
		span := trace.SpanFromContext(ctx)
		if !span.IsRecording() {
			return
		}
		attrs := []attribute.KeyValue{
			attribute.Int("rpc.attempt", a.Number),
			semconv.ServerAddress(a.Addr),
			semconv.RPCResponseStatusCode(rpc.CodeOf(a.Err).String()),
		}
		if a.Err != nil {
			attrs = append(attrs, attribute.String("rpc.attempt.error", description(a.Err)))
		}
		span.AddEvent("rpc.attempt", trace.WithTimestamp(a.Ended), trace.WithAttributes(attrs...))
	}}
}

func (t *tracing) call(ctx context.Context, next rpc.Caller, method string, params, reply any) error {
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), t.attributesOf(method))
	err := error(errGoexit)
	defer settle(&err, func() { end(span, err, clientFailed) })
	err = next.Call(t.inject(ctx), method, params, reply)
	return err
}

// open opens a stream. Its span ends when the stream has ended or was not opened.
func (t *tracing) open(ctx context.Context, next rpc.Caller, kind rpc.MethodKind, method string, params any) (s rpc.OpenedStream, err error) {
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindClient), t.attributesOf(method))
	err = errGoexit
	defer settle(&err, func() {
		if err != nil {
			end(span, err, clientFailed)
		}
	})
	if s, err = rpc.OpenStream(t.inject(ctx), next, kind, method, params); err != nil {
		return nil, err
	}
	s.OnEnd(func(err error) {
		count(span, s)
		end(span, err, clientFailed)
	})
	return s, nil
}

// inject returns a context whose calls carry what the propagator says of ctx.
func (t *tracing) inject(ctx context.Context) context.Context {
	c := newCarrier(rpc.OutgoingMetadata(ctx))
	t.propagator.Inject(ctx, c)
	if c.metadata == nil {
		return ctx
	}
	return rpc.AddMetadata(ctx, c.metadata)
}
