package rpc

import (
	"context"
	"crypto/tls"
	"math"
	"net"
	"time"
)

// ServerOption configures a Server in [NewServer]. NewServer panics on a value
// that makes no sense, and names the option: nil, a negative number or
// duration, a size or count that does not fit on the wire. If an option is
// given twice, the last value counts. Codecs and hooks (Authorize, callbacks
// for errors and panics, interceptors, observers) add up instead, and TLS may
// be given only once.
type ServerOption func(*serverOptions)

// WithServerOptions combines several options into one. They are applied in
// their order.
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

// WithMaxMessage limits the size in bytes of a message from a client, with its
// header and metadata. Default 4 MiB, which 0 stands for; less than 1 KiB
// counts as 1 KiB. On gob connections the limit is at most 1 MiB. Negative
// sizes, and those of 4 GiB or more, are refused.
func WithMaxMessage(bytes int) ServerOption {
	return func(o *serverOptions) {
		o.maxMessage = max(o.number("WithMaxMessage", bytes, maxLength, defaultMaxMessage), 1<<10)
	}
}

// WithMaxInFlight limits the handlers that run at once for one connection. The
// client is told, and keeps to it. Default 1024, which 0 stands for. The params
// of one connection can take this number times the largest message, 4 GiB by
// default: lower one of the two for clients that you do not trust. Negative
// numbers, and those above 4,294,967,295, are refused.
func WithMaxInFlight(n int) ServerOption {
	return func(o *serverOptions) {
		o.maxInFlight = o.number("WithMaxInFlight", n, maxCount, defaultMaxInFlight)
	}
}

// WithMaxHandlers limits the handlers that run at once for all connections
// together. A call beyond it is refused with ResourceExhausted, and never ran;
// [Vital] methods have 64 places more. Default 16384, which 0 stands for.
// Negative numbers are refused.
func WithMaxHandlers(n int) ServerOption {
	return func(o *serverOptions) {
		o.maxHandlers = o.number("WithMaxHandlers", n, math.MaxInt, defaultMaxHandlers)
	}
}

// WithMaxConns limits the open connections. A connection beyond it is refused
// with ResourceExhausted, or over TLS is closed without a reason. Default
// 16384, which 0 stands for. Negative numbers are refused.
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

// WithMaxMethodName limits the length of a method's name, in bytes. Default
// 128, which 0 stands for; 1 and 2 count as 3. Negative lengths, and those
// above 65535, are refused.
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

// WithHandlerTimeout sets a deadline for calls that have none or a later one.
// When it has passed, the handler's context ends; a handler that does not check
// its context keeps running, and keeps its place. Default 0: none. A negative
// time is refused.
func WithHandlerTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.handlerTimeout = o.duration("WithHandlerTimeout", d) }
}

// WithCodecs offers more codecs than JSON: for example protobuf or, to trusted
// peers only, [Gob]. If two have the same name, the last one is used. A nil
// codec, and one whose name does not fit [Codec], are refused.
func WithCodecs(codecs ...Codec) ServerOption {
	return func(o *serverOptions) {
		for _, c := range codecs {
			if name, ok := o.checkCodec("WithCodecs", c); ok {
				o.codecs[name] = c
			}
		}
	}
}

// WithServerCompression grants compression to clients that ask for it by
// [WithCompression]. On their connections the server compresses results of at
// least from bytes, with gzip at its fastest level, if that makes them smaller.
// 0 stands for 1024; a negative size is refused. On gob connections nothing is
// compressed. Default: off.
//
// The limit of [WithMaxMessage] holds for the uncompressed size, too: a call
// whose params expand further fails with ResourceExhausted. But a client that
// sends 4 KiB can make the server allocate 4 MiB. For clients that you do not
// trust, lower that limit or [WithMaxInFlight]. Params are decompressed only
// after Authorize has allowed the call.
//
// Over TLS, do not compress results that contain a secret together with text
// that an attacker can choose: their length then reveals the secret.
func WithServerCompression(from int) ServerOption {
	return func(o *serverOptions) {
		o.compressFrom = o.number("WithServerCompression", from, math.MaxInt, defaultCompressFrom)
	}
}

// WithServerTLS makes Serve and ListenAndServe speak TLS. To know the clients
// (mutual TLS) set ClientAuth and ClientCAs in cfg; [IdentityFrom] then names them.
// The server uses a copy of cfg, made by NewServer.
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
// It runs on the goroutine that reads the connection, for many connections at
// once, so it must not wait.
//
// It is also asked about methods that do not exist, so that it can limit how
// often they are called. Then [MethodFrom] returns "", and method is the name
// that the caller sent, or "" if that is too long or not UTF-8. If the hook
// returns ResourceExhausted or Unavailable, the caller gets that error.
// Otherwise every caller gets Unimplemented.
type AuthorizeFunc func(ctx context.Context, method string) (identity string, err error)

// WithAuthorize adds a hook that is asked about every call. Hooks are asked in
// their order, and all must allow the call. The first refusal is the caller's
// error, and the hooks after it are not asked. The identity is the last one
// that is not empty; a hook gets the one found so far from [IdentityFrom]. A
// nil hook is refused.
func WithAuthorize(f AuthorizeFunc) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithAuthorize", "hook", f) {
			o.authorize = append(o.authorize, f)
		}
	}
}

// WithServerInterceptors adds interceptors. They nest: the first one given is
// the outermost. A nil one is refused.
func WithServerInterceptors(chain ...ServerInterceptor) ServerOption {
	return func(o *serverOptions) {
		for _, i := range chain {
			if o.notNil("WithServerInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	}
}

// WithServerObserver adds an observer of the server's connections. All
// observers are called, in their order. A nil one is refused.
func WithServerObserver(obs ConnObserver) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithServerObserver", "observer", obs) {
			o.observer = observeToo(o.observer, obs)
		}
	}
}

// WithPanicHandler adds a callback for panics in your code that runs on the
// server's goroutines: handlers, interceptors, hooks, marshalers, and the
// methods of error values. It gets the value and the stack; the caller gets
// only Internal. It may be called by many goroutines at once. All callbacks are
// called, in their order; a nil one is refused. Default: package log prints the
// panic: of its value, what a [log/slog.LogValuer] says of itself, and only the
// type where one may be inside. A panic of a callback is printed, too.
func WithPanicHandler(f func(ctx context.Context, value any, stack []byte)) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithPanicHandler", "callback", f) {
			o.onPanic = append(o.onPanic, f)
		}
	}
}

// WithErrorHandler adds a callback that gets the reason why the server closed a
// connection (a broken protocol, a limit), and the errors of Accept that Serve
// retries. It may be called by many goroutines at once, and must not wait. All
// callbacks are called, in their order; a nil one is refused. Default: none.
func WithErrorHandler(f func(err error)) ServerOption {
	return func(o *serverOptions) {
		if o.notNil("WithErrorHandler", "callback", f) {
			o.onError = append(o.onError, f)
		}
	}
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
	return func(o *serverOptions) {
		if o.notNil("WithCallErrorHandler", "callback", f) {
			o.onCallError = append(o.onCallError, f)
		}
	}
}

// ClientOption configures a Client in [Dial] and [NewClient], or the clients of
// a [Pool]. A value that makes no sense is refused, and the error names the
// option: nil, a negative number or duration, a size that does not fit on the
// wire. Dial returns an InvalidArgument; NewClient and NewPool panic. If an
// option is given twice, the last value counts. Interceptors and observers add
// up instead, and TLS may be given only once.
type ClientOption func(*clientOptions)

// WithClientOptions combines several options into one. They are applied in
// their order.
func WithClientOptions(opts ...ClientOption) ClientOption {
	return func(o *clientOptions) { o.apply(opts) }
}

type clientOptions struct {
	misuse
	codec            Codec
	codecName        string
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
		codecName:        JSON.Name(),
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

// WithCodec chooses the connection's codec. Default [JSON]. A nil codec, and
// one whose name does not fit [Codec], are refused.
func WithCodec(c Codec) ClientOption {
	return func(o *clientOptions) {
		if name, ok := o.checkCodec("WithCodec", c); ok {
			o.codec, o.codecName = c, name
		}
	}
}

// WithCompression asks the server for compression, which a server with
// [WithServerCompression] grants. Without its grant nothing is compressed. The
// client compresses params of at least from bytes, if that makes them smaller;
// 0 stands for 1024, and a negative size is refused. For results, the server
// has a size of its own. The limit of [WithMaxReply] holds for the uncompressed
// size, too. On gob connections nothing is compressed. Default: off.
func WithCompression(from int) ClientOption {
	return func(o *clientOptions) {
		o.compressFrom = o.number("WithCompression", from, math.MaxInt, defaultCompressFrom)
	}
}

// WithTLS makes Dial and a Pool speak TLS; a certificate in cfg makes it
// mutual. Without a ServerName, the address's host is checked. The client uses a
// copy of cfg, made by its constructor. A nil cfg is refused, and so is the option given twice. [NewClient] refuses it, because
// its connection exists already: give it a tls.Client(conn, cfg).
func WithTLS(cfg *tls.Config) ClientOption {
	return func(o *clientOptions) { o.tls = o.tlsConfig("WithTLS", o.tls, cfg) }
}

// WithDialer replaces how Dial and a Pool make connections. dial gets the
// address as it was given to Dial, unchecked, and may be called by many
// goroutines at once. TLS, if set, is spoken over the connection that it
// returns. If the option is given twice, the last dialer is used; a nil one is
// refused. [NewClient] does not use it.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) ClientOption {
	return func(o *clientOptions) {
		if o.notNil("WithDialer", "dialer", dial) {
			o.dial = dial
		}
	}
}

// WithHelloMetadata sets metadata that the client sends once per connection;
// handlers find it in their Peer. Keys that begin with "rpc." are the
// protocol's own. md must not be changed afterwards. If the option is given
// twice, the last metadata are sent; nil sends none. Metadata that cannot be
// sent fail Dial and every call, with InvalidArgument or, if they are too
// large, ResourceExhausted.
func WithHelloMetadata(md Metadata) ClientOption {
	return func(o *clientOptions) { o.metadata = md }
}

// WithMaxReply limits the size in bytes of a message from the server. The
// server is told, and answers a call whose reply would be larger with
// ResourceExhausted. Default 4 MiB, which 0 stands for; less than 1 KiB counts
// as 1 KiB. Negative sizes, and those of 4 GiB or more, are refused.
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

// WithDefaultTimeout sets the timeout of calls whose context has no deadline.
// It does not bound Ping. Default 0: none. A negative time is refused.
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

// WithMaxWait limits how long a call without a deadline waits for a server that
// can take it: one that is connected and has a free slot. A call with a
// deadline waits until that deadline. While calls wait, the client tries to
// connect, with backoff; see [WithFailFast] for calls that should not wait for
// that. When the time is up, the call fails with Unavailable, and never ran.
//
// A call fails at once if all servers refuse this client in their hello (its
// codec, its version, one connection too many) or if a certificate is not
// trusted. Default 30 s. 0: a call waits only for an attempt to connect that is
// under way. A negative time is refused.
func WithMaxWait(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.maxWait = o.duration("WithMaxWait", d) }
}

// WithMaxWaiting limits how many calls of a Client or a Pool wait for a server
// at once. One more fails at once with Unavailable, and never ran. Default
// 16384, which 0 stands for. A negative number is refused.
func WithMaxWaiting(n int) ClientOption {
	return func(o *clientOptions) {
		o.maxWaiting = o.number("WithMaxWaiting", n, math.MaxInt, defaultMaxWaiting)
	}
}

// WithFailFast makes calls fail with Unavailable as soon as the attempts to
// connect have failed, as [Dial] does. They do not wait for the next attempts.
// They still wait for an attempt that is under way, and for a free slot on a
// connected server.
func WithFailFast() ClientOption {
	return func(o *clientOptions) { o.failFast = true }
}

// WithMaxRetryAfter limits the pause that a server may ask for before the next
// attempt: see [RetryAfter]. If the pause is longer, or would go beyond the
// call's deadline, the call fails at once. Up to a quarter is added to a pause
// at random, so that callers do not all retry at the same moment. Default 5 s;
// 0 never waits. A negative time is refused.
func WithMaxRetryAfter(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.maxRetryAfter = o.duration("WithMaxRetryAfter", d) }
}

// WithBackoff sets the least and the longest pause between attempts to connect.
// The pause doubles after each failure, and up to half of it is cut off at
// random. Default 20 ms and 5 s, which 0 stands for. Negative pauses, and a
// longest pause shorter than the least, are refused.
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

// WithBalancing sets how a Pool chooses among its connections. Default
// [LeastInFlight], which is the zero value. Any other value than the constants
// is refused.
func WithBalancing(b Balancing) ClientOption {
	return func(o *clientOptions) {
		if o.balancing = b; b > RoundRobin {
			o.refuse("WithBalancing(%d): want LeastInFlight, TwoChoices or RoundRobin", uint8(b))
		}
	}
}

// WithEjection sets when a Pool ejects a server that fails its calls. After
// this many failures in a row, the server gets no calls for a pause. A failure
// is Unavailable, or a deadline that passed, also while the call waited for the
// server's hello; all calls of one lost connection are one failure. The pause doubles from least to longest, and up to half of
// it is cut off at random. Then the server has to answer a ping within least,
// and the outcome of one call decides whether it is back.
//
// At most half of the servers are ejected at a time, so a pool's only server
// never is. If no other server can take a call, an ejected one gets it. Default
// 5 failures, 1 s and 30 s. With 0 failures no server is ejected; pauses of 0
// are the default. Negative values, and a longest pause shorter than the least,
// are refused.
func WithEjection(failures int, least, longest time.Duration) ClientOption {
	return func(o *clientOptions) {
		o.ejectAfter = o.number("WithEjection", failures, math.MaxInt32, 0)
		o.ejectMin, o.ejectMax = o.pauses("WithEjection", least, longest, defaultEjectMin, defaultEjectMax)
	}
}

// WithInterceptors adds interceptors. They nest: the first one given is the
// outermost. Around a Client or a Pool they see each call once, however often
// it is tried. A nil one is refused.
func WithInterceptors(chain ...ClientInterceptor) ClientOption {
	return func(o *clientOptions) {
		for _, i := range chain {
			if o.notNil("WithInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	}
}

// WithObserver adds an observer of the client's connections. All observers are
// called, in their order. A nil one is refused.
func WithObserver(obs ConnObserver) ClientOption {
	return func(o *clientOptions) {
		if o.notNil("WithObserver", "observer", obs) {
			o.observer = observeToo(o.observer, obs)
		}
	}
}
