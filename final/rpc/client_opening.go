package rpc

import (
	"context"
)

// OpenedStream is a caller's untyped stream. A wrapper embeds the one that it wraps, and
// overrides what it wants to see or change.
type OpenedStream interface {
	Stream
	// CloseSend ends the half that the caller sends. It never waits, and may be called again.
	CloseSend() error
	// Close ends the stream, if it has not ended: see [ReceiveStream.Close].
	Close() error
	// Header waits for the handler's header: see [ReceiveStream.Header].
	Header(ctx context.Context) (Metadata, error)
	// Trailer returns the handler's trailer, once its end was received: see [ReceiveStream.Trailer].
	Trailer() Metadata
	// Context ends with the stream.
	Context() context.Context
	// OnEnd makes f be called once when the stream has ended, or at once if it has. err is
	// nil if the handler returned without an error. There may be items that Receive has not
	// returned yet. f runs in a goroutine of its own; a nil one is ignored.
	OnEnd(f func(err error))
}

// StreamCaller is a [Caller] that can also open streams. [Client] and [Pool] are, and so
// is a wrapper around one that wants streams to pass: see [CallerFuncs]. params is the
// request of a [ServerStreaming] method, else nil. ctx bounds the whole life of the stream.
type StreamCaller interface {
	Caller
	OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error)
}

// OpenFunc opens a stream: see [StreamCaller].
type OpenFunc func(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error)

// CallerFuncs makes two functions a [StreamCaller]. A nil one fails with Unimplemented.
type CallerFuncs struct {
	CallFunc CallerFunc
	OpenFunc OpenFunc
}

// Call calls f.CallFunc.
func (f CallerFuncs) Call(ctx context.Context, method string, params, reply any) error {
	if f.CallFunc == nil {
		return unrun(Errorf(Unimplemented, "call %s: the rpc.CallerFuncs has no CallFunc", method))
	}
	return f.CallFunc(ctx, method, params, reply)
}

// OpenStream calls f.OpenFunc.
func (f CallerFuncs) OpenStream(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
	if f.OpenFunc == nil {
		return nil, unrun(Errorf(Unimplemented, "open %s: the rpc.CallerFuncs has no OpenFunc", method))
	}
	return f.OpenFunc(ctx, kind, method, params)
}

// PassStreamsClient lets streams pass an interceptor that has nothing to do with them.
func PassStreamsClient(i ClientInterceptor) ClientInterceptor {
	if i == nil {
		return nil
	}
	return func(next Caller) Caller {
		calls := i(next)
		if isNil(calls) {
			return nil
		}
		return CallerFuncs{calls.Call, func(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
			return OpenStream(ctx, next, kind, method, params)
		}}
	}
}

// OpenStream opens a stream through c: interceptors call it with their next. If c is no
// [StreamCaller], the error is Unimplemented, and names c's type; if c is nil, it is
// InvalidArgument.
func OpenStream(ctx context.Context, c Caller, kind MethodKind, method string, params any) (OpenedStream, error) {
	if c == nil {
		return nil, noCaller("open " + method)
	}
	opener, ok := c.(StreamCaller)
	if !ok {
		return nil, unrun(Errorf(Unimplemented, "open %s: a %T cannot open streams: see StreamCaller", method, unscoped(c)))
	}
	s, err := opener.OpenStream(ctx, kind, method, params)
	if err == nil && isNil(s) {
		return nil, Errorf(Internal, "open %s: a %T returned neither a stream nor an error", method, c)
	}
	return s, err
}

// open opens a stream through the interceptors, if all of them can.
func (o *clientOptions) open(ctx context.Context, c Caller, kind MethodKind, method string, params any) (OpenedStream, error) {
	if o.cannotOpen != "" {
		return nil, unrun(Errorf(Unimplemented, "open %s: %s, which cannot open streams: see StreamCaller and PassStreamsClient", method, o.cannotOpen))
	}
	return OpenStream(ctx, c, kind, method, params)
}
