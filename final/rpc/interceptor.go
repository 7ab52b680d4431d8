package rpc

import "context"

// Caller makes calls. [Client] and [Pool] are Callers, and so is middleware
// around one. Call returns when the reply has been decoded into reply (a
// pointer, or nil to drop it), or with an error that is an *[Error]; when ctx
// ends, at once. params may be nil. Callers may be used by many goroutines.
//
// What reply points to is set to its zero value first, so a variable that is used
// again holds the new reply and nothing of the last one. Fields that are not
// exported stay as they are, since they are no part of a reply: a mutex may be
// locked. A protobuf message is emptied by its Reset. If reply points to an
// interface that holds a pointer, that pointer is decoded into. A method without a
// result leaves the zero value. On an error the reply stays as it is.
type Caller interface {
	Call(ctx context.Context, method string, params, reply any) error
}

// CallerFunc makes a function a Caller.
type CallerFunc func(ctx context.Context, method string, params, reply any) error

// Call calls f.
func (f CallerFunc) Call(ctx context.Context, method string, params, reply any) error {
	return f(ctx, method, params, reply)
}

// ClientInterceptor wraps a Caller. It is run once, when the Client or Pool is
// made; what it returns is run for every call.
type ClientInterceptor func(next Caller) Caller

// Handler runs one call. params is a pointer to what the method takes (nil if
// it takes nothing), decoded; the result is what will be encoded.
type Handler func(ctx context.Context, params any) (any, error)

// ServerInterceptor wraps a method's Handler. It is run once per method, when
// the method is registered, so that per-method things (counters, caches) are
// made once; what it returns is run for every call, after Authorize.
type ServerInterceptor func(info MethodInfo, next Handler) Handler

// chainCaller composes interceptors around c: the first one given is the outermost.
func chainCaller(c Caller, chain []ClientInterceptor) Caller {
	for i := len(chain) - 1; i >= 0; i-- {
		c = chain[i](c)
	}
	return c
}
