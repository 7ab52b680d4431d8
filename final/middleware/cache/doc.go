// Package cache keeps replies on the client's side. It keeps those of methods
// that are declared cacheable, for as long as each method's declaration says.
// Callers that make the same call at the same time share one call.
//
//	answers, err := cache.New(cache.Method("Inventory.CheckStock", time.Second))
//	client, err := rpc.Dial(ctx, addr, rpc.WithClientInterceptors(answers.Intercept))
//
// Streams are not cached. Opening one whose method is declared cacheable fails with
// FailedPrecondition; all others pass.
//
// # What is the same
//
// Two calls are the same if their method, their params as the codec encodes
// them, and their metadata (rpc.AddMetadata) are the same. Some keys of
// metadata do not count, because they name the call and not what it asks:
// traces (traceparent, tracestate, and the headers of B3, Jaeger, AWS, Google,
// Datadog, Sentry, Elastic, New Relic, SkyWalking and OpenTracing), trace-id,
// span-id, request-id and correlation-id, also with "x-" before them, and
// idempotency-key. The cache therefore works behind package tracing's
// interceptor. Baggage counts: it can say for whom a call is made.
// [IgnoreMetadata] names more keys that do not count. [VaryBy] names the only
// keys that count, apart from authorization, which always does.
//
// The caller's identity is not part of it. A cache belongs to one Client or
// Pool, and therefore to one identity; calls through a second one fail.
// Interceptors before the cache see every call. Those after it see only calls
// that go to the server, and the metadata that they add must not depend on the
// call.
//
// Some params encode in no fixed order, such as maps in gob and protobuf. The
// same call can then look different, which costs a call, but never gives a
// wrong answer.
//
// # What is kept
//
// The metadata of a reply (rpc.SetHeader) are not kept. A call that uses the cache leaves
// the variable of rpc.ReceiveHeader nil, also if the server has answered it.
//
// Every caller gets a copy of its own, of the Go type that it asked for. A
// caller that wants another type asks the server; the cache keeps the type
// asked for last. A call with a nil reply does not use the cache. Errors are
// not kept, except NotFound if [NotFound] declares it.
//
// A reply is kept if it can be copied exactly: as memory or, where a type hides
// maps, slices or pointers in unexported fields, by encoding and decoding it.
// Some types can do neither, such as one with only an UnmarshalJSON that hides
// a map. Their calls go to the server as without the cache. The same holds for
// a reply that hides how to decode it.
//
// A reply is used for the declared time, counted from the beginning of its
// call, so no caller gets an older one. [Entries] and [Bytes] limit the memory;
// the reply that was not used for longest is dropped first. No goroutine of the
// cache outlives the calls.
//
// # Shared calls
//
// A shared call has a context of its own, with the values of the first caller
// and without its deadline. Each caller waits no longer than its own context;
// when the last one has left, the call is cancelled. All callers that still
// wait get the call's error. The call gets a copy of the params, because a
// caller that has left may change its own. If they cannot be copied, each
// caller makes its own call.
//
// The cache encodes params to compare calls. Params that encode themselves, and only
// once, as from a stream, are sent as JSON that was encoded for that. With another
// codec, calls whose params hide what cannot be copied as memory do not use the
// cache. For params that Go could not copy, the cache takes what Go has encoded, if
// the client has the same codec; else the call does not use the cache.
//
// If an interceptor panics in a shared call, or ends its goroutine, that
// happens in the first caller, as without the cache. The others make calls of
// their own.
//
// # Invalidation
//
// [Cache.Invalidate] forgets a call's replies, [Cache.InvalidateMethod] those
// of a method, [Cache.InvalidateAll] all of them. If a call is under way at
// that moment, the callers that wait get its reply, and the cache does not keep
// it. Later callers make a new call.
package cache
