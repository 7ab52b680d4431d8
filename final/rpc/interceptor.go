package rpc

import (
	"context"
	"fmt"
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
// is made; the Caller that it returns, which must not be nil, runs for every
// call. Its error is what Call returns, so it should be an *[Error].
//
// A Client or Pool opens streams only if the Caller that each interceptor returns is a
// [StreamCaller]: else they would pass it unseen. [CallerFuncs] makes one of two functions,
// and [PassStreamsClient] lets streams pass. next is a StreamCaller if the interceptors
// after it are: [OpenStream] opens a stream through it. One that opens a stream and does
// not return it has to close it.
type ClientInterceptor func(next Caller) Caller

// Handler runs one call. params is a pointer to the decoded params, or nil if
// the method takes none; it belongs to the handler, also later. The result is
// encoded after the return: do not change it then. ctx ends when the caller
// gives up, at the deadline, when the connection ends, and soon after the
// return. Many goroutines may run a Handler at once.
type Handler func(ctx context.Context, params any) (any, error)

// ServerInterceptor wraps a method's Handler. It is called once per method,
// when the method is registered, so that it can make counters or caches per
// method. The Handler that it returns, which must not be nil, runs for every
// call, after Authorize. A panic of next passes through it: clean up by defer.
// It sees no streams: see [ServerMiddleware].
type ServerInterceptor func(info MethodInfo, next Handler) Handler

// chain composes the interceptors around c: the first one given is the outermost. One
// that returns nil is refused. It notes the first one that cannot open streams.
func (o *clientOptions) chain(c Caller) Caller {
	c = scope(c, len(o.interceptors) == 0)
	for i, wrap := range slices.Backward(o.interceptors) {
		if c = wrap(c); isNil(c) {
			o.refuse("WithClientInterceptors: interceptor %d of %d returned nil%s", i+1, len(o.interceptors), typeOfNil(c))
			return nil
		}
		if _, opens := c.(StreamCaller); !opens {
			o.cannotOpen = fmt.Sprintf("%s (interceptor %d of %d) returned a %T", nameOf(wrap), i+1, len(o.interceptors), unscoped(c))
		}
		c = scope(c, i == 0)
	}
	return c
}

// chain puts the interceptors around a method's handler, the first one given
// outermost. Each sees sound errors of what it wraps: see Server.sound. An interceptor that
// returns nil is refused.
func (s *Server) chain(m *method) error {
	if err := s.passedBy(m); err != nil {
		return err
	}
	if m.stream != nil {
		return s.chainStream(m)
	}
	m.handler = s.soundly(m, m.handler)
	for i, wrap := range slices.Backward(s.options.interceptors) {
		outer := wrap.Unary(m.info, m.handler)
		if outer == nil {
			return unregistered(InvalidArgument, "register %s: WithServerInterceptors: interceptor %d of %d returned nil", m.info.Name, i+1, len(s.options.interceptors))
		}
		m.handler = s.soundly(m, outer)
	}
	return nil
}

// soundly makes h return sound errors. An error as the result of a function that returns
// any would be sent as a success.
func (s *Server) soundly(m *method, h Handler) Handler {
	unclear := m.mayReturnError()
	return func(ctx context.Context, params any) (any, error) {
		result, err := h(ctx, params)
		if unclear && err == nil {
			err = errorIn(result)
		}
		return result, s.sound(ctx, err)
	}
}
