package rpc

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
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
	maxInFlight    int
	maxHandlers    int
	maxConns       int
	peerConns      int // 0: see shareOf
	peerHandlers   int // 0: see shareOf
	peerMemory     peerMemory
	maxMetadata    int
	maxMethodName  int
	paramsMemory   memoryLimits
	replyMemory    memoryLimits
	maxStreams     int
	streamMemory   int // 0: see defaultStreamMemory
	allStreams     int64
	idleTimeout    time.Duration
	handlerTimeout time.Duration
	maxConnAge     time.Duration
	chance         *chance // of jitter; nil but for tests
	codecs         map[string]Codec
	codecOrder     []string // their names, sorted
	authorize      []AuthorizeFunc
	interceptors   []ServerMiddleware
	onPanic        []func(ctx context.Context, value any, stack []byte)
	onCallError    []func(ctx context.Context, err error)
}

// The defaults that a 0 stands for.
const (
	defaultMaxInFlight   = 1024
	defaultMaxHandlers   = 16384
	defaultMaxConns      = 16384
	defaultMaxMethodName = 128

	defaultParamsMemory     = 1 << 30
	defaultConnParamsMemory = 256 << 20
	defaultReplyMemory      = 256 << 20
	defaultConnReplyMemory  = 16 << 20
)

// peerMemory are bytes of one address; 0: see newMemory.
type peerMemory struct{ params, replies, streams int }

// memoryLimits are in bytes.
type memoryLimits struct{ server, conn int }

func defaultServerOptions() serverOptions {
	shared := defaultSharedOptions()
	shared.streamKeepalive = 30 * time.Second
	return serverOptions{
		sharedOptions: shared,
		maxInFlight:   defaultMaxInFlight,
		maxHandlers:   defaultMaxHandlers,
		maxConns:      defaultMaxConns,
		maxMetadata:   8 << 10,
		maxMethodName: defaultMaxMethodName,
		paramsMemory:  memoryLimits{defaultParamsMemory, defaultConnParamsMemory},
		replyMemory:   memoryLimits{defaultReplyMemory, defaultConnReplyMemory},
		maxStreams:    defaultMaxStreams,
		idleTimeout:   10 * time.Minute,
		codecs:        map[string]Codec{JSON.Name(): JSON},
	}
}

// newServerOptions applies opts. NewServer returns no error, so a misuse is a panic.
func newServerOptions(opts []ServerOption) serverOptions {
	o := defaultServerOptions()
	o.apply(opts)
	if o.tls != nil && len(o.tls.Certificates) == 0 && o.tls.GetCertificate == nil && o.tls.GetConfigForClient == nil {
		o.refuse("WithTLS: a server needs Certificates, GetCertificate or GetConfigForClient in the configuration")
	}
	o.settleStreams()
	o.codecOrder = slices.Sorted(maps.Keys(o.codecs))
	if o.err != nil {
		panic(fmt.Errorf("rpc: NewServer: %s", o.err.Message))
	}
	return o
}

func (o *serverOptions) apply(opts []ServerOption) {
	for i, opt := range opts {
		if o.hasOption(opt != nil, i, len(opts)) {
			opt.configureServer(o)
		}
	}
}

// WithMaxInFlight limits the handlers that run at once for one connection.
// These are the slots of a client: it is told how many there are, and its other
// calls wait for a free one (see [WithMaxWait]). A client of this package uses at
// most 262,144. Default 1024, which 0 stands for. Negative numbers, and those
// above 4,294,967,295, are refused.
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
// with ResourceExhausted, or is closed without a reason: over TLS, and if it is
// of a type of yours. Default
// 16384, which 0 stands for. Negative numbers are refused. On Unix, Serve tells
// the callbacks of [WithErrorHandler] if the process may not open as many files
// and 16 more.
func WithMaxConns(n int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxConns = o.number("WithMaxConns", n, math.MaxInt, defaultMaxConns)
	})
}

// WithPeerShare limits the connections and the running handlers of one
// address, once three quarters of all places are taken. Until then it may have
// any number. After that, an address that has its share gets no more, and the
// others find room. A call that is refused fails with ResourceExhausted, and
// never ran; a connection is refused as one beyond [WithMaxConns].
//
// An address is one of IPv4, a /64 network of IPv6 with all its hosts, a
// link-local address or, on Linux, the user at the other end of a Unix socket.
// For calls by [Server.Invoke] it is that of the Peer. Peers whose address is
// none of these, such as those of net.Pipe, have no share: only [WithMaxConns]
// and [WithMaxHandlers] bound them. [Vital] methods need no share.
//
// All clients behind one proxy have its address, so together they may have three
// quarters of the places. Default: a 16th of WithMaxConns and of
// WithMaxHandlers, or all of them if there are fewer than 64, which 0 stands
// for. A share that is as large as all places lets one address have them all.
// Negative numbers are refused.
func WithPeerShare(conns, handlers int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.peerConns = o.number("WithPeerShare: conns", conns, math.MaxInt, 0)
		o.peerHandlers = o.number("WithPeerShare: handlers", handlers, math.MaxInt, 0)
	})
}

// WithPeerMemory limits the memory of one address, in bytes, once seven eighths
// are taken: of that for params ([WithParamsMemory]), for replies
// ([WithReplyMemory]) and for streams ([WithStreamMemory]). Until then it may have
// any amount. After that, an address that has its share gets no more, and the
// others find room: its calls and streams are refused and its results wait, as if
// nothing were left.
//
// An address is what it is for [WithPeerShare]. It limits neither peers without
// an address nor the calls of [Server.Invoke], which take at most a quarter
// together. Memory is taken in blocks, of 64 KiB at most; a connection may keep
// one for its next call while three quarters of the memory are free.
//
// All clients behind one proxy have its address, so together they may have seven
// eighths. Default: a 16th of each memory, which 0 stands for. A share that is as
// large as the memory lets one address have all of it. Negative sizes are refused.
func WithPeerMemory(params, replies, streams int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.peerMemory.params = o.number("WithPeerMemory: params", params, math.MaxInt, 0)
		o.peerMemory.replies = o.number("WithPeerMemory: replies", replies, math.MaxInt, 0)
		o.peerMemory.streams = o.number("WithPeerMemory: streams", streams, math.MaxInt, 0)
	})
}

// WithMaxMetadata bounds the metadata of a call and of a hello, in bytes on the
// wire. Default 8 KiB. With 0, only empty metadata are accepted; negative sizes,
// and those above 65535, are refused.
func WithMaxMetadata(bytes int) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxMetadata = o.number("WithMaxMetadata", bytes, math.MaxUint16, 0) })
}

// WithParamsMemory limits the memory that the params of running calls take, in
// bytes: of all connections of the server together, and of one. Defaults 1 GiB
// and 256 MiB, which 0 stands for; conn counts as a quarter of server if it is
// more than that. Negative sizes are refused.
//
// A call's params count from their arrival until its handler returns: the bytes
// that have arrived, and what they can become at most when they are decoded into
// the Go type of the method, which a [Sizer] computes. For JSON that bound may be
// several times too high. Params of up to 4 KiB are not counted:
// [WithMaxHandlers] bounds such calls. The last quarter of server is for
// connections that take no more than a 16th of conn; for what one address may
// take, see [WithPeerMemory].
//
// A call whose params do not fit now is refused before they are decoded, with
// ResourceExhausted, and never ran. The error asks the client to wait 100 ms: see
// [RetryAfter]. It asks for no pause if the params can never fit in conn, and
// names this option. The calls of [Server.Invoke] count as those of one
// connection that may take a quarter of server.
//
// The server's hello announces how many bytes of encoded params, before compression, a
// client may have in flight. Params grow when they are decoded, so that is a seventh of
// conn in JSON, a fifth with another [Sizer] and a 19th with other codecs. With Gob nothing
// is announced. Calls of this package's clients wait for room, in order, as they wait for a
// server: see [WithMaxWait]. Params of up to 4 KiB do not wait. Params above the announced
// size wait for their turn, but not for room: only the server can tell whether they fit. A
// call is still refused if the server has no room for it.
//
// The request of a stream is not part of that count, since a stream may last for hours;
// without room it is refused. An item above 4 KiB that a handler receives counts like
// params, from its decoding until the next Receive or until the handler returns. If
// there is no room, Receive waits; if there never can be, it fails with
// ResourceExhausted.
//
// Go's garbage collector lets a process grow to about twice the memory that is in
// use: see [runtime/debug.SetMemoryLimit].
func WithParamsMemory(server, conn int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.paramsMemory = o.memory("WithParamsMemory", server, conn, memoryLimits{defaultParamsMemory, defaultConnParamsMemory})
	})
}

// WithReplyMemory limits the memory that replies take from the encoding of their
// results until they are written, in bytes: of all connections of the server
// together, and of one. Defaults 256 MiB and 16 MiB, which 0 stands for; conn
// counts as a quarter of server if it is more than that. Negative sizes are refused.
//
// A result for which there is no memory waits, not encoded, and its handler keeps its
// place: see [WithMaxInFlight]. A client that does not read holds its share, until the time
// of [WithWriteTimeout] is up. The size of a result is guessed before it is encoded. If it
// becomes much larger than that, it may be encoded a second time, later. One result is sent
// even if it is larger than conn. A reply of up to 4 KiB is not counted, nor is an error.
// The last quarter of server is for connections that take no more than a 16th of conn; for
// what one address may take, see [WithPeerMemory]. An item that a handler sends counts as a
// result does: its Send waits.
//
// The results of [Server.Invoke] count as those of one connection that may take a
// quarter of server: until Invoke returns or, in a gateway, until they are written.
func WithReplyMemory(server, conn int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.replyMemory = o.memory("WithReplyMemory", server, conn, memoryLimits{defaultReplyMemory, defaultConnReplyMemory})
	})
}

// WithMaxStreams limits the streams that are open at once on one connection. A
// client is told the limit when it connects; its other streams wait for a slot
// (see [WithMaxWait]). There are fewer slots if the windows of all these streams
// do not fit: see [WithConnStreamMemory]. The handlers of streams count in
// [WithMaxHandlers], but not in [WithMaxInFlight]. Default 1024, which 0 stands
// for. Negative numbers, and those above 2,147,483,647, are refused.
func WithMaxStreams(n int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.maxStreams = o.number("WithMaxStreams", n, math.MaxInt32, defaultMaxStreams)
	})
}

// WithStreamMemory limits the memory that the streams of all connections may take
// together, in bytes: what clients may send before handlers have received it. The
// streams of one connection take at most a quarter of it, and at most the size of
// [WithConnStreamMemory]. 0 stands for the default: 16 times the size of
// WithConnStreamMemory, and at least 512 MiB. A negative size is refused; so is one
// whose quarter is too small for one large item and one window.
//
// A stream takes 16 KiB of it for its first window, unless it is a [ServerStream], whose
// client sends no items, and more while its window is larger. A stream for which there is
// no memory is refused with ResourceExhausted, and never ran; the error asks the
// client to wait 100 ms: see [RetryAfter].
//
// For what the streams of one address may take, see [WithPeerMemory].
//
// An eighth, and room for one large item at least, is for large items alone. A
// connection reserves memory for one when one of its streams needs it, and gives it back
// afterwards. If other connections have taken all of that, the sender waits, without an
// error, and delays no other stream.
func WithStreamMemory(bytes int) ServerOption {
	return serverOption(func(o *serverOptions) {
		o.streamMemory = o.number("WithStreamMemory", bytes, math.MaxInt, 0)
	})
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

// WithIdleTimeout sets how long a connection may be silent before it is closed: without a
// byte from the client, while no handler of a call or stream is running. A client's
// keepalive keeps it open if it is below a third of d: see [WithKeepalive].
// Default 10 min; 0: no bound. A negative time is refused.
func WithIdleTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.idleTimeout = o.duration("WithIdleTimeout", d) })
}

// WithHandlerTimeout sets a deadline for calls that have none or a later one.
// When it has passed, the handler's context ends; a handler that does not check
// its context keeps running, and keeps its place. The client gets what it
// returns in the end. It does not apply to streams: a handler of a stream bounds
// itself, by a context that it derives. Default 0: none. A negative time is refused.
func WithHandlerTimeout(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.handlerTimeout = o.duration("WithHandlerTimeout", d) })
}

// WithMaxConnAge sets for how long a connection takes new calls, counted from its hello: d,
// and up to a tenth more or less at random, so that clients do not all come back together.
// Then the client is told to leave as in Shutdown. Running calls are answered, however long
// they take, open streams go on until their handlers end (see [DrainingFrom]), and calls that
// cross that message never ran. Our clients, except those of [NewClient], make a new
// connection for the next call, which lets load balancers and new servers have their part of
// old clients. They tell their callbacks of [WithErrorHandler]. Default 0: no bound. A
// negative time is refused.
func WithMaxConnAge(d time.Duration) ServerOption {
	return serverOption(func(o *serverOptions) { o.maxConnAge = o.duration("WithMaxConnAge", d) })
}

// WithCodecs offers more codecs than JSON: for example protobuf or, to trusted
// peers only, [Gob]. If two have the same name, the last one is used, so one
// called "json" replaces [JSON]. A nil codec, and one whose name
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

// AuthorizeFunc decides whether a call or a stream may run, before its params are decoded.
// From ctx it can take the peer and the metadata; method is the exact name. A
// non-nil error is what the caller gets ([Unauthenticated],
// [PermissionDenied]); one without a code is Unknown, and its text travels,
// too. The Identity is what [IdentityFrom] returns in the handler.
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

// WithAuthorize adds a hook that is asked about every call, and about every stream once,
// when it is opened. Hooks are asked in
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

// WithServerInterceptors adds interceptors for calls. They nest: the first one
// given is the outermost. The server then refuses to register streams, which
// would pass them unseen: see [WithServerMiddleware] and [PassStreams]. A nil one
// is refused. Default: none.
func WithServerInterceptors(chain ...ServerInterceptor) ServerOption {
	return serverOption(func(o *serverOptions) {
		for _, i := range chain {
			if o.notNil("WithServerInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, ServerMiddleware{Unary: i})
			}
		}
	})
}

// WithServerMiddleware adds middleware. It nests with what [WithServerInterceptors] adds, in
// the order of the options: the first one given is the outermost. Middleware without any
// interceptor is refused. Default: none.
func WithServerMiddleware(chain ...ServerMiddleware) ServerOption {
	return serverOption(func(o *serverOptions) {
		for _, m := range chain {
			if m.Unary == nil && m.Stream == nil {
				o.refuse("WithServerMiddleware: the middleware has no interceptor")
				continue
			}
			o.interceptors = append(o.interceptors, m)
		}
	})
}

// WithPanicHandler adds a callback for panics in your code that runs on the
// server's goroutines: handlers, interceptors, Authorize hooks, other
// callbacks, marshalers, and the methods of error values. It gets the value
// and the stack; the caller gets only Internal. ctx is the call's, or empty
// for a panic that belongs to no call. f may be called by many goroutines at
// once. All callbacks are called, in their order; a nil one is refused.
// [runtime.Goexit] is not a panic: f is not called, and the caller is told that
// the handler ended its goroutine.
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
// that is larger than the client reads. The same goes for streams, their opens and the
// items that they send. ctx has the peer and, if they are known
// by then, the metadata, the identity and the method; [MethodFrom] returns ""
// if the method does not exist. [IdentityFrom] returns what the Authorize hooks
// have found out, the one that refused the call included. f may run on the
// goroutine that reads the connection, for many connections at once, so it must
// not wait. All callbacks are called, in their order; a nil one is refused.
// Default: none.
func WithCallErrorHandler(f func(ctx context.Context, err error)) ServerOption {
	return serverOption(func(o *serverOptions) {
		if o.notNil("WithCallErrorHandler", "callback", f) {
			o.onCallError = append(o.onCallError, f)
		}
	})
}
