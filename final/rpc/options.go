package rpc

import (
	"context"
	"crypto/tls"
	"math"
	"net"
	"time"
)

// ServerOption sets something of a Server in [NewServer], which panics on a value
// that it refuses and names the option: nil, a negative number or duration, a
// size or count that the wire has no room for. Of an option given twice the last
// value counts. Hooks (Authorize, handlers of errors and panics, interceptors,
// observers) are added to those before them, and TLS may be given once.
type ServerOption func(*serverOptions)

// WithServerOptions makes several options one, applied in their order.
func WithServerOptions(opts ...ServerOption) ServerOption {
	return func(o *serverOptions) { o.apply(opts) }
}

type serverOptions struct {
	misuse
	maxMessage       int
	maxInFlight      int
	maxHandlers      int
	maxConns         int
	maxMetadata      int
	maxMethodName    int
	handshakeTimeout time.Duration
	readFrameTimeout time.Duration
	idleTimeout      time.Duration
	writeTimeout     time.Duration
	handlerTimeout   time.Duration
	codecs           map[string]Codec
	compressFrom     int
	tls              *tls.Config
	authorize        []AuthorizeFunc
	interceptors     []ServerInterceptor
	observer         ConnObserver
	onPanic          []func(ctx context.Context, value any, stack []byte)
	onError          []func(err error)
	onCallError      []func(ctx context.Context, err error)
}

// The defaults that a 0 stands for.
const (
	defaultMaxMessage    = 4 << 20
	defaultMaxInFlight   = 1024
	defaultMaxHandlers   = 16384
	defaultMaxConns      = 16384
	defaultMaxMethodName = 128

	defaultMaxWaiting = 16384
	defaultBackoffMin = 20 * time.Millisecond
	defaultBackoffMax = 5 * time.Second
	defaultEjectMin   = time.Second
	defaultEjectMax   = 30 * time.Second
)

func defaultServerOptions() serverOptions {
	return serverOptions{
		maxMessage:       defaultMaxMessage,
		maxInFlight:      defaultMaxInFlight,
		maxHandlers:      defaultMaxHandlers,
		maxConns:         defaultMaxConns,
		maxMetadata:      8 << 10,
		maxMethodName:    defaultMaxMethodName,
		handshakeTimeout: 10 * time.Second,
		readFrameTimeout: 30 * time.Second,
		idleTimeout:      10 * time.Minute,
		writeTimeout:     30 * time.Second,
		codecs:           map[string]Codec{JSON.Name(): JSON},
	}
}

// WithMaxMessage bounds the size in bytes of a message that is read, its header
// and metadata included. Default 4 MiB (1 MiB on gob connections). 0 is the
// default, less than 1 KiB is 1 KiB; negative sizes, and those of 4 GiB or more,
// are refused.
func WithMaxMessage(bytes int) ServerOption {
	return func(o *serverOptions) {
		o.maxMessage = max(o.number("WithMaxMessage", bytes, maxLength, defaultMaxMessage), 1<<10)
	}
}

// WithMaxInFlight bounds the handlers that run at once for one connection, and
// is announced to the client as its bound of calls in flight. Default 1024. What
// the params of one connection can take is this times the largest message: lower
// one or the other for clients that are not trusted with 4 GiB. 0 is the default;
// negative numbers, and those above 4,294,967,295, are refused.
func WithMaxInFlight(n int) ServerOption {
	return func(o *serverOptions) {
		o.maxInFlight = o.number("WithMaxInFlight", n, maxCount, defaultMaxInFlight)
	}
}

// WithMaxHandlers bounds the handlers that run at once for all connections
// together; calls beyond it are refused with ResourceExhausted, and NeverRan is
// true of them. Default 16384. 0 is the default; negative numbers are refused.
func WithMaxHandlers(n int) ServerOption {
	return func(o *serverOptions) {
		o.maxHandlers = o.number("WithMaxHandlers", n, math.MaxInt, defaultMaxHandlers)
	}
}

// WithMaxConns bounds the open connections. One more is told so and closed.
// Default 16384. 0 is the default; negative numbers are refused.
func WithMaxConns(n int) ServerOption {
	return func(o *serverOptions) {
		o.maxConns = o.number("WithMaxConns", n, math.MaxInt, defaultMaxConns)
	}
}

// WithMaxMetadata bounds the metadata of a call and of a hello, in bytes on the
// wire. Default 8 KiB. With 0, only empty metadata are accepted; negative sizes,
// and those above 65535, are refused.
func WithMaxMetadata(bytes int) ServerOption {
	return func(o *serverOptions) { o.maxMetadata = o.number("WithMaxMetadata", bytes, math.MaxUint16, 0) }
}

// WithMaxMethodName bounds the length of a method's name in bytes. Default 128. 0
// is the default, 1 and 2 are 3; negative lengths, and those above 65535, are
// refused.
func WithMaxMethodName(bytes int) ServerOption {
	return func(o *serverOptions) {
		o.maxMethodName = max(o.number("WithMaxMethodName", bytes, math.MaxUint16, defaultMaxMethodName), 3)
	}
}

// WithHandshakeTimeout bounds the time from accepting a connection to the end
// of its hello, TLS included. Default 10 s; 0: no bound. A negative time is refused.
func WithHandshakeTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.handshakeTimeout = o.duration("WithHandshakeTimeout", d) }
}

// WithReadFrameTimeout bounds the time from a frame's first byte to its last.
// Default 30 s; 0: no bound. A negative time is refused.
func WithReadFrameTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.readFrameTimeout = o.duration("WithReadFrameTimeout", d) }
}

// WithIdleTimeout sets how long a connection may be silent, without a byte from
// the client and without calls in flight, before it is closed. A client's
// keepalive, if it is below a third of d, keeps it open. Default 10 min; 0: for
// ever. A negative time is refused.
func WithIdleTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.idleTimeout = o.duration("WithIdleTimeout", d) }
}

// WithWriteTimeout bounds one write to a client that does not read. Default 30 s;
// 0: no bound. A negative time is refused.
func WithWriteTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.writeTimeout = o.duration("WithWriteTimeout", d) }
}

// WithHandlerTimeout sets a deadline for calls that bring none, or a later one.
// It ends the handler's context; a handler that does not look at its context
// runs on and keeps its place. Default 0: none. A negative time is refused.
func WithHandlerTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.handlerTimeout = o.duration("WithHandlerTimeout", d) }
}

// WithCodecs offers more codecs than JSON, for example protobuf or, to trusted
// peers only, [Gob]. Of two codecs of one name the last one is used. A nil codec,
// and one whose name cannot travel (see [Codec]), are refused.
func WithCodecs(codecs ...Codec) ServerOption {
	return func(o *serverOptions) {
		for _, c := range codecs {
			if o.checkCodec("WithCodecs", c) {
				o.codecs[c.Name()] = c
			}
		}
	}
}

// WithServerCompression grants compression to clients that ask for it by
// [WithCompression]: on their connections this side compresses results of from
// bytes or more, if that makes them smaller, by gzip at its fastest level. 0
// stands for 1024; a negative size is refused. On gob connections nothing is
// compressed. Default: off.
//
// A message counts against [WithMaxMessage] with its uncompressed size, too: what
// expands further fails its call with ResourceExhausted. But a client that sends 4
// KiB can make the server take 4 MiB; so for clients that are not trusted lower
// that limit, or [WithMaxInFlight]. Nothing is decompressed before Authorize.
//
// Do not compress results in which a secret stands beside what an attacker can
// choose: over TLS, the length then tells of the secret.
func WithServerCompression(from int) ServerOption {
	return func(o *serverOptions) {
		o.compressFrom = o.number("WithServerCompression", from, math.MaxInt, defaultCompressFrom)
	}
}

// WithServerTLS makes Serve and ListenAndServe speak TLS. To know the clients
// (mutual TLS) set ClientAuth and ClientCAs in cfg; [IdentityFrom] then names them.
// It is refused if cfg is nil or has no certificate, or if the option is given twice.
func WithServerTLS(cfg *tls.Config) ServerOption {
	return func(o *serverOptions) {
		o.tls = o.tlsConfig("WithServerTLS", o.tls, cfg)
		if cfg != nil && len(cfg.Certificates) == 0 && cfg.GetCertificate == nil && cfg.GetConfigForClient == nil {
			o.refuse("WithServerTLS: the configuration has no Certificates, GetCertificate or GetConfigForClient")
		}
	}
}

// AuthorizeFunc decides whether a call may run, before its params are decoded.
// From ctx it can take the peer and the metadata; method is the exact name. A
// non-nil error is what the caller gets ([Unauthenticated], [PermissionDenied]).
// A non-empty identity is what IdentityFrom returns in the handler.
//
// It runs on the goroutine that reads the connection, so it must not wait.
//
// It is asked about methods that do not exist, too, so that it can limit how often
// they are called: [MethodFrom] then returns "", and method is what the caller
// wrote, or "" if that is too long or not UTF-8. An error with ResourceExhausted
// or Unavailable is what the caller gets; with every other answer such a method is
// Unimplemented to everyone.
type AuthorizeFunc func(ctx context.Context, method string) (identity string, err error)

// WithAuthorize adds a hook that every call passes. Given several times, the hooks
// are asked in their order and all must allow the call; the first refusal is the
// caller's error, and the hooks after it are not asked. The identity is the last
// one that is not empty: a hook sees by [IdentityFrom] what those before it have
// found. A nil hook is refused.
func WithAuthorize(f AuthorizeFunc) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithAuthorize", "hook", f) {
			o.authorize = append(o.authorize, f)
		}
	}
}

// WithServerInterceptors adds interceptors to those before them; the first is the
// outermost. A nil one is refused.
func WithServerInterceptors(chain ...ServerInterceptor) ServerOption {
	return func(o *serverOptions) {
		for _, i := range chain {
			if o.notNil("WithServerInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	}
}

// WithServerObserver adds an observer of the server's connections. All hear of
// everything, in the order in which they were given. A nil one is refused.
func WithServerObserver(obs ConnObserver) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithServerObserver", "observer", obs) {
			o.observer = observeToo(o.observer, obs)
		}
	}
}

// WithPanicHandler adds a callback for panics in a user's code that runs on the
// server's goroutines: handlers, interceptors, hooks, marshalers, and the methods of
// error values. It gets the value and the stack; the caller gets Internal and
// neither. All callbacks are called, in the order in which they were given; a nil
// one is refused. Default: the panic is printed by package log. A callback that
// panics is printed, too.
func WithPanicHandler(f func(ctx context.Context, value any, stack []byte)) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithPanicHandler", "callback", f) {
			o.onPanic = append(o.onPanic, f)
		}
	}
}

// WithErrorHandler adds a callback for why this side closed a connection (a broken
// protocol, a limit) and for failing accepts. It must not wait. All callbacks are
// called, in the order in which they were given; a nil one is refused. Default: none.
func WithErrorHandler(f func(err error)) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithErrorHandler", "callback", f) {
			o.onError = append(o.onError, f)
		}
	}
}

// WithCallErrorHandler adds a callback for the failures that no interceptor sees.
// Either a call was refused before it ran (no such method, a bound, Authorize,
// params that do not decode), and [NeverRan] is true of err; or its handler
// returned a result that could not be encoded or that is larger than the client
// reads. From ctx come the peer and, as far as they are known by then, the
// metadata, the identity and the method: [MethodFrom] returns "" if there is none
// of that name. f may run on the goroutine that reads the connection, so it must
// not wait. All callbacks are called, in the order in which they were given; a nil
// one is refused. Default: none.
func WithCallErrorHandler(f func(ctx context.Context, err error)) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithCallErrorHandler", "callback", f) {
			o.onCallError = append(o.onCallError, f)
		}
	}
}

// ClientOption sets something of a Client in [Dial] and [NewClient], or of a
// [Pool]'s clients. Nil, negative numbers and durations, and sizes that the wire
// has no room for are refused by the name of their option: Dial returns an
// InvalidArgument, NewClient and NewPool panic. Of an option given twice the last
// value counts. Interceptors and observers are added to those before them, and
// TLS may be given once.
type ClientOption func(*clientOptions)

// WithClientOptions makes several options one, applied in their order.
func WithClientOptions(opts ...ClientOption) ClientOption {
	return func(o *clientOptions) { o.apply(opts) }
}

type clientOptions struct {
	misuse
	codec            Codec
	compressFrom     int
	tls              *tls.Config
	dial             func(ctx context.Context, addr string) (net.Conn, error)
	metadata         Metadata
	maxMessage       int
	handshakeTimeout time.Duration
	defaultTimeout   time.Duration
	writeTimeout     time.Duration
	keepalive        time.Duration
	maxAttempts      int
	maxWait          time.Duration
	maxWaiting       int
	failFast         bool
	maxRetryAfter    time.Duration
	backoffMin       time.Duration
	backoffMax       time.Duration
	connsPerAddr     int
	balancing        Balancing
	ejectAfter       int
	ejectMin         time.Duration
	ejectMax         time.Duration
	interceptors     []ClientInterceptor
	observer         ConnObserver
}

func defaultClientOptions() clientOptions {
	return clientOptions{
		codec:            JSON,
		maxMessage:       defaultMaxMessage,
		handshakeTimeout: 10 * time.Second,
		writeTimeout:     30 * time.Second,
		keepalive:        30 * time.Second,
		maxAttempts:      4,
		maxWait:          30 * time.Second,
		maxWaiting:       defaultMaxWaiting,
		maxRetryAfter:    5 * time.Second,
		backoffMin:       defaultBackoffMin,
		backoffMax:       defaultBackoffMax,
		connsPerAddr:     1,
		ejectAfter:       5,
		ejectMin:         defaultEjectMin,
		ejectMax:         defaultEjectMax,
	}
}

// WithCodec chooses the connection's codec. Default [JSON]. A nil codec, and one
// whose name cannot travel (see [Codec]), are refused.
func WithCodec(c Codec) ClientOption {
	return func(o *clientOptions) {
		if o.checkCodec("WithCodec", c) {
			o.codec = c
		}
	}
}

// WithCompression asks the server for compression. A server with
// [WithServerCompression] grants it; without that, nothing is compressed. Params of
// at least that many bytes are compressed if that makes them smaller. 0 stands for
// 1024; a negative size is refused. The server compresses results from a bound of
// its own on. A result counts against [WithMaxReply] with its uncompressed size,
// too. On gob connections nothing is compressed. Default: off.
func WithCompression(from int) ClientOption {
	return func(o *clientOptions) {
		o.compressFrom = o.number("WithCompression", from, math.MaxInt, defaultCompressFrom)
	}
}

// WithTLS makes Dial and a Pool speak TLS; a certificate in cfg makes it mutual.
// Without a ServerName the address's host is checked. It is refused if cfg is nil
// or if the option is given twice, and by [NewClient], whose connection is made:
// give that one a tls.Client(conn, cfg).
func WithTLS(cfg *tls.Config) ClientOption {
	return func(o *clientOptions) { o.tls = o.tlsConfig("WithTLS", o.tls, cfg) }
}

// WithDialer replaces how Dial and a Pool make connections; addr is what Dial was
// given, and is not looked at before. TLS, if set, is spoken over what it returns.
// The last dialer given is used; a nil one is refused.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) ClientOption {
	return func(o *clientOptions) {
		if o.notNil("WithDialer", "dialer", dial) {
			o.dial = dial
		}
	}
}

// WithHelloMetadata is sent once per connection; handlers find it in their Peer.
// Keys that begin with "rpc." are the protocol's own. The last metadata given are
// sent; nil sends none. Metadata that may not travel fail every call.
func WithHelloMetadata(md Metadata) ClientOption {
	return func(o *clientOptions) { o.metadata = md }
}

// WithMaxReply bounds the size in bytes of a message from the server. It is
// announced, so that a larger reply becomes a ResourceExhausted error of that
// call. Default 4 MiB. 0 is the default, less than 1 KiB is 1 KiB; negative sizes,
// and those of 4 GiB or more, are refused.
func WithMaxReply(bytes int) ClientOption {
	return func(o *clientOptions) {
		o.maxMessage = max(o.number("WithMaxReply", bytes, maxLength, defaultMaxMessage), 1<<10)
	}
}

// WithClientHandshakeTimeout bounds one attempt to connect: connecting, TLS and the
// hellos together. Default 10 s; 0: no bound. A negative time is refused.
func WithClientHandshakeTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.handshakeTimeout = o.duration("WithClientHandshakeTimeout", d) }
}

// WithDefaultTimeout is the deadline of calls whose context has none. Default 0:
// none. A negative time is refused.
func WithDefaultTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.defaultTimeout = o.duration("WithDefaultTimeout", d) }
}

// WithClientWriteTimeout bounds one write to a server that does not read. Default
// 30 s; 0: no bound. A negative time is refused.
func WithClientWriteTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.writeTimeout = o.duration("WithClientWriteTimeout", d) }
}

// WithKeepalive sets how long a connection may be silent before it is pinged;
// after as long again without an answer it is closed. Default 30 s; 0: no pings.
// A negative time is refused.
func WithKeepalive(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.keepalive = o.duration("WithKeepalive", d) }
}

// WithMaxAttempts bounds how often one call is sent, the first time included.
// Connecting and waiting for a server are no attempts: see [WithMaxWait]. Only
// calls that never ran, or are marked by [WithIdempotent], are sent again. Default
// 4; 0 and 1 never send again. A negative number is refused.
func WithMaxAttempts(n int) ClientOption {
	return func(o *clientOptions) { o.maxAttempts = o.number("WithMaxAttempts", n, math.MaxInt, 1) }
}

// WithMaxWait bounds how long a call without a deadline waits for a server that
// can take it: one that is connected and has room. A call with a deadline waits
// until that. Meanwhile attempts to connect are made, with backoff; see
// [WithFailFast] for calls that are not to wait for those. Then the call fails with
// Unavailable, and [NeverRan] is true of the error. Calls fail at once if all
// servers refuse the client in their hello (its codec, its version, one connection
// too many) or if certificates are not trusted. Default 30 s. 0: such calls wait for
// an attempt to connect that is under way, not for more. A negative time is refused.
func WithMaxWait(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.maxWait = o.duration("WithMaxWait", d) }
}

// WithMaxWaiting bounds the calls of a Client or a Pool that wait at once for a
// server; one more fails at once with Unavailable. Default 16384; 0 is the default.
// A negative number is refused.
func WithMaxWaiting(n int) ClientOption {
	return func(o *clientOptions) {
		o.maxWaiting = o.number("WithMaxWaiting", n, math.MaxInt, defaultMaxWaiting)
	}
}

// WithFailFast has calls fail with Unavailable as soon as the attempts to connect
// have failed, as [Dial] does, instead of waiting for further ones until the
// deadline or as long as [WithMaxWait] says. They still wait for an attempt that is
// under way, and for a free slot on a server that is connected.
func WithFailFast() ClientOption {
	return func(o *clientOptions) { o.failFast = true }
}

// WithMaxRetryAfter bounds the pause that a server may ask for, see [RetryAfter],
// before a call is tried again. A call that is asked to wait for longer, or
// beyond its deadline, fails at once. Up to a quarter is added to a pause at
// random, so that not all callers come back together. Default 5 s; 0 never waits.
// A negative time is refused.
func WithMaxRetryAfter(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.maxRetryAfter = o.duration("WithMaxRetryAfter", d) }
}

// WithBackoff sets the least and the longest pause between attempts to connect;
// it doubles from one to the other, and up to half of it is cut off at random.
// Default 20 ms and 5 s; 0 is the default. Negative pauses, and a longest that is
// shorter than the least, are refused.
func WithBackoff(least, longest time.Duration) ClientOption {
	return func(o *clientOptions) {
		o.backoffMin, o.backoffMax = o.pauses("WithBackoff", least, longest, defaultBackoffMin, defaultBackoffMax)
	}
}

// WithConnsPerAddr sets how many connections a Pool keeps to each address. Default
// 1; 0 is the default. Negative numbers, and those above 65535, are refused.
func WithConnsPerAddr(n int) ClientOption {
	return func(o *clientOptions) { o.connsPerAddr = o.number("WithConnsPerAddr", n, math.MaxUint16, 1) }
}

// WithBalancing sets how a Pool chooses among its connections. Default, and zero
// value, [LeastInFlight]; what is none of the constants is refused.
func WithBalancing(b Balancing) ClientOption {
	return func(o *clientOptions) {
		if o.balancing = b; b > RoundRobin {
			o.refuse("WithBalancing(%d): want LeastInFlight, TwoChoices or RoundRobin", uint8(b))
		}
	}
}

// WithEjection sets how a Pool leaves out a server that it is connected to and that
// fails its calls: after so many failures in a row (Unavailable, or the deadline
// has passed; all calls of one lost connection are one failure) it gets no calls for
// a pause that doubles from least to longest, up to half of it cut off at random.
// It then has to answer a ping within least, and one call decides. Never more
// than half of the servers are left out at once, so never the only one, and one
// that is gets calls all the same if there is no other to take them. Default 5
// failures, 1 s and 30 s. 0 failures: never; pauses of 0 are the default. Negative
// values, and a longest pause that is shorter than the least, are refused.
func WithEjection(failures int, least, longest time.Duration) ClientOption {
	return func(o *clientOptions) {
		o.ejectAfter = o.number("WithEjection", failures, math.MaxInt32, 0)
		o.ejectMin, o.ejectMax = o.pauses("WithEjection", least, longest, defaultEjectMin, defaultEjectMax)
	}
}

// WithInterceptors adds interceptors to those before them; the first is the
// outermost. Around a Pool they see each call once, however often it is tried. A
// nil one is refused.
func WithInterceptors(chain ...ClientInterceptor) ClientOption {
	return func(o *clientOptions) {
		for _, i := range chain {
			if o.notNil("WithInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	}
}

// WithObserver adds an observer of the client's connections. All hear of
// everything, in the order in which they were given. A nil one is refused.
func WithObserver(obs ConnObserver) ClientOption {
	return func(o *clientOptions) {
		if o.notNil("WithObserver", "observer", obs) {
			o.observer = observeToo(o.observer, obs)
		}
	}
}
