package rpc

import (
	"context"
	"math"
	"time"
)

// ServerOption configures a Server in [NewServer]. NewServer panics on a value
// that makes no sense, and names the option: nil, a negative number or
// duration, a size or count that does not fit on the wire. If an option is
// given twice, the last value counts. Codecs and hooks (Authorize, callbacks
// for errors and panics, interceptors, observers) add up instead, and TLS may
// be given only once.
type ServerOption interface{ configureServer(*serverOptions) }

type serverOption func(*serverOptions)

func (f serverOption) configureServer(o *serverOptions) { f(o) }

// WithServerOptions combines several options into one. They are applied in
// their order.
func WithServerOptions(opts ...ServerOption) ServerOption {
	return serverOption(func(o *serverOptions) { o.apply(opts) })
}

type serverOptions struct {
	sharedOptions
	maxInFlight      int
	maxHandlers      int
	maxConns         int
	maxMetadata      int
	maxMethodName    int
	readFrameTimeout time.Duration
	idleTimeout      time.Duration
	handlerTimeout   time.Duration
	codecs           map[string]Codec
	authorize        []AuthorizeFunc
	interceptors     []ServerInterceptor
	onPanic          []func(ctx context.Context, value any, stack []byte)
	onCallError      []func(ctx context.Context, err error)
}

// The defaults that a 0 stands for.
const (
	defaultMaxInFlight   = 1024
	defaultMaxHandlers   = 16384
	defaultMaxConns      = 16384
	defaultMaxMethodName = 128
)

func defaultServerOptions() serverOptions {
	return serverOptions{
		sharedOptions:    defaultSharedOptions(),
		maxInFlight:      defaultMaxInFlight,
		maxHandlers:      defaultMaxHandlers,
		maxConns:         defaultMaxConns,
		maxMetadata:      8 << 10,
		maxMethodName:    defaultMaxMethodName,
		readFrameTimeout: 30 * time.Second,
		idleTimeout:      10 * time.Minute,
		codecs:           map[string]Codec{JSON.Name(): JSON},
	}
}

// WithMaxInFlight limits the handlers that run at once for one connection. The
// client is told, and keeps to it. Default 1024, which 0 stands for. The params
// of one connection can take this number times the largest message, 4 GiB by
// default: lower one of the two for clients that you do not trust. Negative
// numbers, and those above 4,294,967,295, are refused.
func WithMaxInFlight(n int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxInFlight = o.number("WithMaxInFlight", n, maxCount, defaultMaxInFlight)
	})
}

// WithMaxHandlers limits the handlers that run at once for all connections
// together. A call beyond it is refused with ResourceExhausted, and never ran;
// [Vital] methods have 64 places more. Default 16384, which 0 stands for.
// Negative numbers are refused.
func WithMaxHandlers(n int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxHandlers = o.number("WithMaxHandlers", n, math.MaxInt, defaultMaxHandlers)
	})
}

// WithMaxConns limits the open connections. A connection beyond it is refused
// with ResourceExhausted, or over TLS is closed without a reason. Default
// 16384, which 0 stands for. Negative numbers are refused.
func WithMaxConns(n int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxConns = o.number("WithMaxConns", n, math.MaxInt, defaultMaxConns)
	})
}

// WithMaxMetadata bounds the metadata of a call and of a hello, in bytes on the
// wire. Default 8 KiB. With 0, only empty metadata are accepted; negative sizes,
// and those above 65535, are refused.
func WithMaxMetadata(bytes int) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxMetadata = o.number("WithMaxMetadata", bytes, math.MaxUint16, 0) })
}

// WithMaxMethodName limits the length of a method's name, in bytes: of those
// that are registered and of those that clients call. Default 128, which 0
// stands for; 1 and 2 count as 3. Negative lengths, and those above 65535, are
// refused.
func WithMaxMethodName(bytes int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxMethodName = max(o.number("WithMaxMethodName", bytes, math.MaxUint16, defaultMaxMethodName), 3)
	})
}

// WithReadFrameTimeout bounds the time from a frame's first byte to its last.
// A connection whose frame takes longer is closed. Default 30 s; 0: no bound.
// A negative time is refused.
func WithReadFrameTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.readFrameTimeout = o.duration("WithReadFrameTimeout", d) })
}

// WithIdleTimeout sets how long a connection may be silent, without a byte
// from the client and without calls in flight, before it is closed. A client's
// keepalive keeps it open if it is below a third of d: see [WithKeepalive].
// Default 10 min; 0: no bound. A negative time is refused.
func WithIdleTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.idleTimeout = o.duration("WithIdleTimeout", d) })
}

// WithHandlerTimeout sets a deadline for calls that have none or a later one.
// When it has passed, the handler's context ends; a handler that does not check
// its context keeps running, and keeps its place. Default 0: none. A negative
// time is refused.
func WithHandlerTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.handlerTimeout = o.duration("WithHandlerTimeout", d) })
}

// WithCodecs offers more codecs than JSON: for example protobuf or, to trusted
// peers only, [Gob]. If two have the same name, the last one is used, so one
// called "json" takes the place of [JSON]. A nil codec, and one whose name
// does not fit [Codec], are refused.
func WithCodecs(codecs ...Codec) ServerOption {
	return serverOption(func(o *serverOptions) {
		for _, c := range codecs {
			if name, ok := o.checkCodec("WithCodecs", c); ok {
				o.codecs[name] = c
			}
		}
	})
}

// AuthorizeFunc decides whether a call may run, before its params are decoded.
// From ctx it can take the peer and the metadata; method is the exact name. A
// non-nil error is what the caller gets ([Unauthenticated], [PermissionDenied]).
// The Identity is what [IdentityFrom] returns in the handler.
//
// It runs on the goroutine that reads the connection, for many connections at
// once, so it must not wait.
//
// It is also asked about methods that do not exist, so that it can limit how
// often they are called. Then [MethodFrom] returns "", and method is the name
// that the caller sent, or "" if that is too long or not UTF-8. If the hook
// returns ResourceExhausted or Unavailable, the caller gets that error.
// Otherwise every caller gets Unimplemented.
type AuthorizeFunc func(ctx context.Context, method string) (Identity, error)

// Identity says who makes a call.
type Identity struct {
	Name   string // for rules, logs and limits; "" if it is not known
	Claims any    // what else an Authorize hook found out, for handlers; may be nil
}

// WithAuthorize adds a hook that is asked about every call. Hooks are asked in
// their order, and all must allow the call. The first refusal is the caller's
// error, and the hooks after it are not asked. A hook gets the identity found
// so far from [IdentityFrom]. A Name that it returns replaces the Name found
// so far, and Claims replace the Claims. A nil hook is refused. Default: every
// call is allowed.
func WithAuthorize(f AuthorizeFunc) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.notNil("WithAuthorize", "hook", f) {
			o.authorize = append(o.authorize, f)
		}
	})
}

// WithServerInterceptors adds interceptors. They nest: the first one given is
// the outermost. A nil one is refused. Default: none.
func WithServerInterceptors(chain ...ServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) {
		for _, i := range chain {
			if o.notNil("WithServerInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	})
}

// WithPanicHandler adds a callback for panics in your code that runs on the
// server's goroutines: handlers, interceptors, Authorize hooks, other
// callbacks, marshalers, and the methods of error values. It gets the value
// and the stack; the caller gets only Internal. ctx is the call's, or empty
// for a panic that belongs to no call. f may be called by many goroutines at
// once. All callbacks are called, in their order; a nil one is refused.
//
// Default: package log prints the panic: of its value, what a
// [log/slog.LogValuer] says of itself, and only the type where one may be
// inside. A panic of f itself, of an [Observer], or of a connection or
// listener of yours is always printed in that way.
func WithPanicHandler(f func(ctx context.Context, value any, stack []byte)) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.notNil("WithPanicHandler", "callback", f) {
			o.onPanic = append(o.onPanic, f)
		}
	})
}

// WithCallErrorHandler adds a callback for the failures that no interceptor
// sees. There are two kinds. Either a call was refused before it ran (no such
// method, a limit, Authorize, params that do not decode), and [NeverRan] is
// true of err. Or its handler returned a result that could not be encoded, or
// that is larger than the client reads. ctx has the peer and, if they are known
// by then, the metadata, the identity and the method; [MethodFrom] returns ""
// if the method does not exist. f may run on the goroutine that reads the
// connection, for many connections at once, so it must not wait. All callbacks
// are called, in their order; a nil one is refused. Default: none.
func WithCallErrorHandler(f func(ctx context.Context, err error)) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.notNil("WithCallErrorHandler", "callback", f) {
			o.onCallError = append(o.onCallError, f)
		}
	})
}
