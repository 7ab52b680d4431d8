package rpc

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"slices"
	"strings"
)

// StreamHandler runs one stream. params is a pointer to the decoded request of a
// [ServerStreaming] method, else nil. The reply of a [ClientStreaming] method is the one
// item that it sends.
type StreamHandler func(ctx context.Context, params any, s Stream) error

// Stream is an untyped stream, for interceptors: what [Sender] and [Receiver] are around.
// One goroutine at a time may call Send, and one Receive. The caller's is an [OpenedStream].
type Stream interface {
	// Send sends item, a pointer: see [Sender.Send].
	Send(ctx context.Context, item any) error
	// Receive decodes the next item into item, a pointer to a zero value: see
	// [Receiver.Receive]. The good end is io.EOF.
	Receive(ctx context.Context, item any) error
	// Stats returns how much has travelled so far. Any goroutine may call it.
	Stats() StreamStats
}

// StreamStats is how much has travelled on a stream, as one side sees it. An item is sent
// when Send has taken it, and received when it has arrived, even if Receive has not
// returned it yet. Bytes are those of items as they travel, which may be compressed,
// without the headers of their frames.
type StreamStats struct {
	Sent, Received           int64 // items
	BytesSent, BytesReceived int64
}

// StreamInterceptor wraps a method's StreamHandler. It is called once per stream method,
// when the method is registered. The StreamHandler that it returns, which must not be
// nil, runs for every stream, after Authorize. It may pass on a Stream of its own that
// wraps s, to see or change items: embed s, and override Send or Receive. A panic of next
// passes through it: clean up by defer.
type StreamInterceptor func(info MethodInfo, next StreamHandler) StreamHandler

// ServerMiddleware is an interceptor for calls and one for streams, which belong together.
//
// Nothing passes middleware unseen: a server registers only methods for which all its
// middleware has an interceptor. Registering a stream fails with [ErrUnaryOnly] if there
// is one without Stream, and registering a method of the kind [Unary] fails if there is
// one without Unary. [PassStreams] and [PassCalls] say that the other kind may pass.
type ServerMiddleware struct {
	Unary  ServerInterceptor
	Stream StreamInterceptor
}

// PassStreams makes middleware of an interceptor that has nothing to do with streams: they
// pass it.
func PassStreams(i ServerInterceptor) ServerMiddleware {
	return ServerMiddleware{Unary: i, Stream: func(_ MethodInfo, next StreamHandler) StreamHandler { return next }}
}

// PassCalls makes middleware of an interceptor that has nothing to do with calls: they
// pass it.
func PassCalls(i StreamInterceptor) ServerMiddleware {
	return ServerMiddleware{Unary: func(_ MethodInfo, next Handler) Handler { return next }, Stream: i}
}

// ErrUnaryOnly is in the error of registering a stream on a server with an interceptor
// that is for calls only.
var ErrUnaryOnly = errors.New("rpc: an interceptor is for calls only")

// passedBy refuses a method that middleware is not for: it would pass it unseen.
func (s *Server) passedBy(m *method) error {
	all := s.options.interceptors
	for i, wrap := range all {
		switch {
		case m.stream != nil && wrap.Stream == nil:
			return &unaryOnlyError{unregistered(InvalidArgument,
				"register %s: WithServerInterceptors: interceptor %d of %d (%s) is for calls only: a %s would pass it unseen. Give it a Stream (WithServerMiddleware), or let streams pass (PassStreams)",
				m.info.Name, i+1, len(all), nameOf(wrap.Unary), m.info.Kind)}
		case m.stream == nil && wrap.Unary == nil:
			return unregistered(InvalidArgument,
				"register %s: WithServerMiddleware: interceptor %d of %d (%s) is for streams only: calls would pass it unseen. Give it a Unary, or let calls pass (PassCalls)",
				m.info.Name, i+1, len(all), nameOf(wrap.Stream))
		}
	}
	return nil
}

// chainStream puts the interceptors around the handler of a stream.
func (s *Server) chainStream(m *method) error {
	if m.info.NonBlocking {
		return unregistered(InvalidArgument, "register %s: NonBlocking has no effect: it is a %s", m.info.Name, m.info.Kind)
	}
	all := s.options.interceptors
	m.stream = s.soundlyStream(m.stream)
	for i, wrap := range slices.Backward(all) {
		outer := wrap.Stream(m.info, m.stream)
		if outer == nil {
			return unregistered(InvalidArgument, "register %s: WithServerMiddleware: interceptor %d of %d returned nil", m.info.Name, i+1, len(all))
		}
		m.stream = s.soundlyStream(outer)
	}
	return nil
}

// soundlyStream makes h return sound errors.
func (s *Server) soundlyStream(h StreamHandler) StreamHandler {
	return func(ctx context.Context, params any, stream Stream) error {
		return s.sound(ctx, h(ctx, params, stream))
	}
}

// unaryOnlyError is an error of a registration that is an ErrUnaryOnly.
type unaryOnlyError struct{ error }

func (e *unaryOnlyError) Unwrap() error        { return e.error }
func (e *unaryOnlyError) Is(target error) bool { return target == ErrUnaryOnly }

// nameOf returns the name of a function: logging.(*Logger).serve.
func nameOf(function any) string {
	fn := runtime.FuncForPC(reflect.ValueOf(function).Pointer())
	if fn == nil {
		return "a function"
	}
	name := fn.Name()
	return strings.TrimSuffix(name[strings.LastIndexByte(name, '/')+1:], "-fm")
}
