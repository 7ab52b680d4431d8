package tracing

import (
	"context"
	"net"
	"slices"

	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"example.com/rpc-from-scratch/final/rpc"
)

// Server returns middleware that makes a span of each call and each stream that reaches
// a handler: a child of the client's span, if it sent one. The handler finds the
// span in its context, so that its own spans, and its calls through a [Client],
// are children of it; trace.SpanFromContext gives the trace's ID for logs.
//
// If the propagator does not accept what a client sent, the call begins a new
// trace.
func Server(opts ...Option) rpc.ServerMiddleware {
	t := newTracing(opts)
	return rpc.ServerMiddleware{Unary: t.serve, Stream: t.serveStream}
}

// starting returns what is known of a method's spans before they begin.
func (t *tracing) starting(info rpc.MethodInfo) []trace.SpanStartOption {
	return []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), t.attributesOf(info.Name)}
}

func (t *tracing) serve(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	starting := t.starting(info)
	return func(ctx context.Context, params any) (result any, err error) {
		ctx, span := t.start(ctx, info.Name, starting)
		err = errGoexit
		defer settle(&err, func() { end(span, err, serverFailed) })
		result, err = next(ctx, params)
		return result, err
	}
}

func (t *tracing) serveStream(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
	starting := t.starting(info)
	return func(ctx context.Context, params any, s rpc.Stream) error {
		ctx, span := t.start(ctx, info.Name, starting)
		err := error(errGoexit)
		defer settle(&err, func() {
			count(span, s)
			end(span, err, serverFailed)
		})
		err = next(ctx, params, s)
		return err
	}
}

// start begins the span of a call, and takes what its client sent of a trace.
func (t *tracing) start(ctx context.Context, method string, opts []trace.SpanStartOption) (context.Context, trace.Span) {
	if md := rpc.MetadataFrom(ctx); len(md) > 0 {
		sent := t.propagator.Extract(ctx, &carrier{metadata: md})
		if !t.public {
			ctx = sent
		} else if from := trace.SpanContextFromContext(sent); from.IsValid() {
			opts = slices.Concat(opts, []trace.SpanStartOption{trace.WithLinks(trace.Link{SpanContext: from})})
		}
	}
	ctx, span := t.tracer.Start(ctx, method, opts...)
	if span.IsRecording() {
		setPeer(span, ctx)
	}
	return ctx, span
}

// setPeer notes the address of the caller. Behind a gateway there may be no address.
func setPeer(span trace.Span, ctx context.Context) {
	peer, ok := rpc.PeerFrom(ctx)
	if !ok || peer.Addr == nil {
		return
	}
	if tcp, ok := peer.Addr.(*net.TCPAddr); ok {
		span.SetAttributes(semconv.NetworkPeerAddress(tcp.IP.String()), semconv.NetworkPeerPort(tcp.Port))
		return
	}
	span.SetAttributes(semconv.NetworkPeerAddress(peer.Addr.String()))
}
