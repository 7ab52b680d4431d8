// Package tracing makes OpenTelemetry spans of calls and streams, on both sides, and lets the
// trace travel with them: one trace shows a call, the calls that its handler
// made, and theirs.
//
//	srv := rpc.NewServer(rpc.WithServerMiddleware(tracing.Server()))
//	client, err := rpc.Dial(ctx, addr, rpc.WithClientInterceptors(tracing.Client()))
//
// Spans go to OpenTelemetry's global tracer provider, and its global propagator
// decides what travels, unless options name others. By default both do nothing,
// so set them first, most often with the W3C's formats
// (https://www.w3.org/TR/trace-context/):
//
//	otel.SetTracerProvider(provider)
//	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(
//		propagation.TraceContext{}, propagation.Baggage{}))
//
// They travel as the call's metadata, traceparent, tracestate and baggage, so a
// program in any language can take part.
//
// # Spans
//
// A span has the method's name. Its attributes follow version 1.43 of
// OpenTelemetry's conventions for RPC, in which rpc.method is the full name
// with the service, and rpc.service no longer exists:
//
//	rpc.system.name           "rpc-from-scratch"
//	rpc.method                "Inventory.CheckStock"
//	rpc.response.status_code  "ok", "not_found": the call's code, when it has ended
//	rpc.message.sent          how many items; streams only
//	rpc.message.received      how many items have arrived; streams only
//	error.type                the code again, if the span's status is an error
//	network.peer.address      the client's; server spans only
//	network.peer.port         the client's; server spans only, over TCP
//
// On a client, every code but ok is an error. On a server, only codes that are
// the server's fault are: unknown, deadline_exceeded, unimplemented, internal,
// unavailable and data_loss, as in gRPC's conventions.
//
// A client's span is one call, however often rpc tries it, because interceptors
// are around the attempts. With rpc.WithObserver(tracing.Attempts()), the span has
// an event for each attempt, "rpc.attempt", with the attributes rpc.attempt (1 for
// the first), server.address, rpc.response.status_code and rpc.attempt.error. A
// server's span is one run of a handler. A stream's span lasts until the stream has
// ended. If
// Authorize or a limit refuses a call before that, there is only the client's
// span.
package tracing
