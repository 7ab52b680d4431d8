package rpc

import (
	"context"
	"slices"
)

// Caller makes calls. [Client] and [Pool] are Callers, and so is middleware
// around one. Call decodes the reply into reply, a pointer, and returns nil;
// with a nil reply it drops the result. Otherwise it returns an *[Error]. When
// ctx ends, it returns at once. params may be nil. Callers may be used by many
// goroutines.
//
// Before it decodes, Call sets the value that reply points to to zero, so a
// variable that is used again holds nothing of the last reply. Unexported
// fields stay as they are, because they are no part of a reply: a mutex may be
// locked. A protobuf message is emptied by its Reset. If reply points to an
// interface that holds a pointer, Call decodes into that pointer. A method
// without a result leaves the zero value. If the call fails, the reply is as
// it was before.
type Caller interface {
	Call(ctx context.Context, method string, params, reply any) error
}

// CallerFunc makes a function a Caller.
type CallerFunc func(ctx context.Context, method string, params, reply any) error

// Call calls f.
func (f CallerFunc) Call(ctx context.Context, method string, params, reply any) error {
	return f(ctx, method, params, reply)
}

// ClientInterceptor wraps a Caller. It is called once, when the Client or Pool
// is made; the Caller that it returns, which must not be nil, runs for every call.
type ClientInterceptor func(next Caller) Caller

// Handler runs one call. params is a pointer to the decoded params, or nil if
// the method takes none. The result will be encoded. Many goroutines may run a
// Handler at once.
type Handler func(ctx context.Context, params any) (any, error)

// ServerInterceptor wraps a method's Handler. It is called once per method,
// when the method is registered, so that it can make counters or caches per
// method. The Handler that it returns, which must not be nil, runs for every call,
// after Authorize.
type ServerInterceptor func(info MethodInfo, next Handler) Handler

// chain composes the interceptors around c: the first one given is the outermost. One
// that returns nothing to call is refused.
func (o *clientOptions) chain(c Caller) Caller {
	for i, wrap := range slices.Backward(o.interceptors) {
		if c = wrap(c); isNil(c) {
			o.refuse("WithClientInterceptors: interceptor %d of %d returned nil%s", i+1, len(o.interceptors), typeOfNil(c))
			return nil
		}
	}
	return c
}
