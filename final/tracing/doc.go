// Package tracing makes OpenTelemetry spans of calls, on both sides, and lets the
// trace travel with them: one trace shows a call, the calls that its handler
// made, and theirs.
//
//	srv := rpc.NewServer(rpc.WithServerInterceptors(tracing.Server()))
//	client, err := rpc.Dial(ctx, addr, rpc.WithInterceptors(tracing.Client()))
//
// Spans go to OpenTelemetry's global tracer provider, and what travels is what the
// global propagator says, unless options name others. OpenTelemetry's own default
// for both is to do nothing, so a program sets them first, most often with the
// W3C's formats (https://www.w3.org/TR/trace-context/):
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
// A span is called like the method. Its attributes follow OpenTelemetry's
// conventions for RPC as they are in version 1.43, where rpc.method is the full
// name, the service included, and rpc.service is no more:
//
//	rpc.system.name           "rpc-from-scratch"
//	rpc.method                "Inventory.CheckStock"
//	rpc.response.status_code  "ok", "not_found": the call's code, when it has ended
//	error.type                the code again, if the span's status is an error
//	network.peer.address      the client's; server spans only
//	network.peer.port         the client's; server spans only, over TCP
//
// For a client every code but ok is an error. For a server those are errors that
// are a server's fault: unknown, deadline_exceeded, unimplemented, internal,
// unavailable and data_loss, as in gRPC's conventions.
//
// A client's span is one call, however often rpc tries it, since interceptors are
// around the attempts. A server's span is one run of a handler. A call that is
// refused before that, by Authorize or a limit, has only its client's.
package tracing
