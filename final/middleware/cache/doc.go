// Package cache keeps the replies of methods that are declared to be cacheable,
// on the client's side, for as long as each method's declaration says. Callers
// that ask for the same thing at the same time share one call.
//
//	answers, err := cache.New(cache.Method("Inventory.CheckStock", time.Second))
//	client, err := rpc.Dial(ctx, addr, rpc.WithInterceptors(answers.Intercept))
//
// # What is the same
//
// Two calls are the same if their method, their params as the codec encodes them,
// and their metadata (rpc.WithMetadata) are. Of the metadata, all pairs count
// except those that name the call and not what it asks: traces (traceparent,
// tracestate, and the headers of B3, Jaeger, AWS and Google), request-id and
// correlation-id, also with "x-" before them, and idempotency-key. So the cache
// works behind package tracing's interceptor. Baggage counts: it can say for whom a
// call is made. [IgnoreMetadata] names more that does not count. [VaryBy] names all
// that does, beside authorization, which always counts.
//
// Who asks is not part of it: a cache belongs to one Client or Pool, and so to one
// identity; calls through a second one fail. Of interceptors, those before the cache
// see every call, those after it only what goes to the server; what those add to the
// metadata must not depend on the call.
//
// Params that encode in no fixed order, such as maps in gob and protobuf, can
// make the same call look different. That costs a call, never a wrong answer.
//
// # What is kept
//
// Every caller gets a copy of its own, of the Go type that was asked for. A caller
// that wants another type asks the server; the last type asked for is kept. A call
// without a reply to fill passes by. Errors are not kept, but for NotFound if
// [NotFound] says so.
//
// A reply is kept if there is a way to copy it exactly: as memory or, where a type
// hides maps, slices or pointers in fields that are not exported, by encoding and
// decoding it. A type that can do neither, such as one with only an UnmarshalJSON
// that hides a map, works as without the cache, and is not kept. So does a reply that
// hides how to decode it.
//
// A reply is used for the declared time from the moment on at which its call
// began, so nobody gets one that is older. The memory is bounded by [Entries]
// and [Bytes]; what was not used for longest goes first. No goroutine of the
// cache outlives the calls.
//
// # Shared calls
//
// A shared call runs under a context of its own, with the values of the caller that
// came first and without its deadline. Each caller waits no longer than its own
// context; when the last one has left, the call is cancelled. An error goes to all
// who wait for it then. The call gets a copy of the params, because a caller that has
// left may change its own; if they cannot be copied, each caller makes its own call.
//
// If an interceptor panics in a shared call, or ends its goroutine, that reaches the
// caller that came first, as without the cache. The others make calls of their own.
//
// # Invalidation
//
// [Cache.Invalidate] forgets a call's reply, [Cache.InvalidateMethod] those of a
// method, [Cache.InvalidateAll] all. A reply that is under way at that moment goes
// to those who wait for it, is not kept, and calls that come later do not wait for it.
package cache
