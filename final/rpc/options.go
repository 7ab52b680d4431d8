package rpc

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// ServerOption sets something of a Server in NewServer.
type ServerOption func(*serverOptions)

type serverOptions struct {
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
	authorize        AuthorizeFunc
	interceptors     []ServerInterceptor
	observer         ConnObserver
	onPanic          func(ctx context.Context, value any, stack []byte)
	onError          func(err error)
	onCallError      []func(ctx context.Context, err error)
}

func defaultServerOptions() serverOptions {
	return serverOptions{
		maxMessage:       4 << 20,
		maxInFlight:      1024,
		maxHandlers:      16384,
		maxConns:         16384,
		maxMetadata:      8 << 10,
		maxMethodName:    128,
		handshakeTimeout: 10 * time.Second,
		readFrameTimeout: 30 * time.Second,
		idleTimeout:      10 * time.Minute,
		writeTimeout:     30 * time.Second,
		codecs:           map[string]Codec{JSON.Name(): JSON},
		onPanic:          func(context.Context, any, []byte) {},
		onError:          func(error) {},
	}
}

// WithMaxMessage bounds the size in bytes of a message that is read, its header
// and metadata included. Default 4 MiB (1 MiB on gob connections), least 1 KiB.
func WithMaxMessage(bytes int) ServerOption {
	return func(o *serverOptions) { o.maxMessage = max(bytes, 1<<10) }
}

// WithMaxInFlight bounds the handlers that run at once for one connection, and
// is announced to the client as its bound of calls in flight. Default 1024. What
// the params of one connection can take is this times the largest message: lower
// one or the other for clients that are not trusted with 4 GiB.
func WithMaxInFlight(n int) ServerOption {
	return func(o *serverOptions) { o.maxInFlight = max(n, 1) }
}

// WithMaxHandlers bounds the handlers that run at once for all connections
// together; calls beyond it are refused with ResourceExhausted, and NeverRan is
// true of them. Default 16384.
func WithMaxHandlers(n int) ServerOption {
	return func(o *serverOptions) { o.maxHandlers = max(n, 1) }
}

// WithMaxConns bounds the open connections. One more is told so and closed. Default 16384.
func WithMaxConns(n int) ServerOption {
	return func(o *serverOptions) { o.maxConns = max(n, 1) }
}

// WithMaxMetadata bounds the metadata of a call and of a hello, in bytes on the
// wire. Default 8 KiB, at most 65535.
func WithMaxMetadata(bytes int) ServerOption {
	return func(o *serverOptions) { o.maxMetadata = min(max(bytes, 0), 65535) }
}

// WithMaxMethodName bounds the length of a method's name in bytes. Default 128, at most 65535.
func WithMaxMethodName(bytes int) ServerOption {
	return func(o *serverOptions) { o.maxMethodName = min(max(bytes, 3), 65535) }
}

// WithHandshakeTimeout bounds the time from accepting a connection to the end
// of its hello, TLS included. Default 10 s.
func WithHandshakeTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.handshakeTimeout = d }
}

// WithReadFrameTimeout bounds the time from a frame's first byte to its last. Default 30 s.
func WithReadFrameTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.readFrameTimeout = d }
}

// WithIdleTimeout sets after what time without a byte from the client, and
// without calls in flight, a connection is closed. A client's keepalive, if it is
// below a third of d, keeps it open. Default 10 min; 0 never.
func WithIdleTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.idleTimeout = d }
}

// WithWriteTimeout bounds one write to a client that does not read. Default 30 s.
func WithWriteTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.writeTimeout = d }
}

// WithHandlerTimeout sets a deadline for calls that bring none, or a later one.
// It ends the handler's context; a handler that does not look at its context
// runs on and keeps its place. Default 0: none.
func WithHandlerTimeout(d time.Duration) ServerOption {
	return func(o *serverOptions) { o.handlerTimeout = d }
}

// WithCodecs offers more codecs than JSON, for example protobuf or, to trusted
// peers only, [Gob].
func WithCodecs(codecs ...Codec) ServerOption {
	return func(o *serverOptions) {
		for _, c := range codecs {
			o.codecs[c.Name()] = c
		}
	}
}

// WithServerCompression grants compression to clients that ask for it by
// [WithCompression]: on their connections this side compresses results of from
// bytes or more, if that makes them smaller, by gzip at its fastest level. 0
// stands for 1024. On gob connections nothing is compressed. Default: off.
//
// A message counts against [WithMaxMessage] with its uncompressed size, too: what
// expands further fails its call with ResourceExhausted. But a client that sends 4
// KiB can make the server take 4 MiB; so for clients that are not trusted lower
// that limit, or [WithMaxInFlight]. Nothing is decompressed before Authorize.
//
// Do not compress results in which a secret stands beside what an attacker can
// choose: over TLS, the length then tells of the secret.
func WithServerCompression(from int) ServerOption {
	return func(o *serverOptions) { o.compressFrom = compressFrom(from) }
}

func compressFrom(from int) int {
	if from <= 0 {
		return defaultCompressFrom
	}
	return from
}

// WithServerTLS makes Serve and ListenAndServe speak TLS. To know the clients
// (mutual TLS) set ClientAuth and ClientCAs in cfg; [IdentityFrom] then names them.
func WithServerTLS(cfg *tls.Config) ServerOption {
	return func(o *serverOptions) { o.tls = cfg }
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

// WithAuthorize sets the hook that every call passes.
func WithAuthorize(f AuthorizeFunc) ServerOption {
	return func(o *serverOptions) { o.authorize = f }
}

// WithServerInterceptors appends interceptors; the first is the outermost.
func WithServerInterceptors(chain ...ServerInterceptor) ServerOption {
	return func(o *serverOptions) { o.interceptors = append(o.interceptors, chain...) }
}

// ConnObserver is told of connections and the bytes of their frames (not of
// hellos and TLS), for metrics. It is called by many goroutines at once and must
// not wait.
type ConnObserver interface {
	ConnOpened()
	ConnClosed()
	BytesRead(n int)
	BytesWritten(n int)
}

// WithServerObserver sets who is told of the server's connections.
func WithServerObserver(obs ConnObserver) ServerOption {
	return func(o *serverOptions) { o.observer = obs }
}

// WithPanicHandler is told of every panic in a handler, with its stack. The
// caller gets Internal and neither. Default: nobody is told.
func WithPanicHandler(f func(ctx context.Context, value any, stack []byte)) ServerOption {
	return func(o *serverOptions) { o.onPanic = f }
}

// WithErrorHandler is told why a connection was closed by this side (a broken
// protocol, a limit) and of failing accepts. It must not wait. Default: nobody is told.
func WithErrorHandler(f func(err error)) ServerOption {
	return func(o *serverOptions) { o.onError = f }
}

// WithCallErrorHandler adds someone who is told of the failures that no interceptor
// sees. Either a call was refused before it ran (no such method, a bound,
// Authorize, params that do not decode), and [NeverRan] is true of err; or its
// handler returned a result that could not be encoded or that is larger than the
// client reads. From ctx come the peer and, as far as they are known by then, the
// metadata, the identity and the method: [MethodFrom] returns "" if there is none
// of that name. f may run on the goroutine that reads the connection, so it must
// not wait. Default: nobody is told.
func WithCallErrorHandler(f func(ctx context.Context, err error)) ServerOption {
	return func(o *serverOptions) { o.onCallError = append(o.onCallError, f) }
}

// ClientOption sets something of a Client in Dial and NewClient, or of a Pool's clients.
type ClientOption func(*clientOptions)

type clientOptions struct {
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
		maxMessage:       4 << 20,
		handshakeTimeout: 10 * time.Second,
		writeTimeout:     30 * time.Second,
		keepalive:        30 * time.Second,
		maxAttempts:      4,
		maxRetryAfter:    5 * time.Second,
		backoffMin:       20 * time.Millisecond,
		backoffMax:       5 * time.Second,
		connsPerAddr:     1,
		ejectAfter:       5,
		ejectMin:         time.Second,
		ejectMax:         30 * time.Second,
	}
}

// WithCodec chooses the connection's codec. Default [JSON].
func WithCodec(c Codec) ClientOption {
	return func(o *clientOptions) { o.codec = c }
}

// WithCompression asks the server for compression. If it grants that by
// [WithServerCompression], this side compresses params of from bytes or more, if
// that makes them smaller, and the server its results from its own bound on; if
// not, nothing is compressed. 0 stands for 1024. On gob connections nothing is
// compressed. A result counts against [WithMaxReply] with its uncompressed size,
// too. Default: off.
func WithCompression(from int) ClientOption {
	return func(o *clientOptions) { o.compressFrom = compressFrom(from) }
}

// WithTLS makes Dial speak TLS; a certificate in cfg makes it mutual. Without a
// ServerName the address's host is checked.
func WithTLS(cfg *tls.Config) ClientOption {
	return func(o *clientOptions) { o.tls = cfg }
}

// WithDialer replaces how connections are made; addr is what Dial was given.
// TLS, if set, is spoken over what it returns.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) ClientOption {
	return func(o *clientOptions) { o.dial = dial }
}

// WithHelloMetadata is sent once per connection; handlers find it in their Peer.
// Keys that begin with "rpc." are the protocol's own.
func WithHelloMetadata(md Metadata) ClientOption {
	return func(o *clientOptions) { o.metadata = md }
}

// WithMaxReply bounds the size in bytes of a message from the server. It is
// announced, so that a larger reply becomes a ResourceExhausted error of that
// call. Default 4 MiB, least 1 KiB.
func WithMaxReply(bytes int) ClientOption {
	return func(o *clientOptions) { o.maxMessage = max(bytes, 1<<10) }
}

// WithClientHandshakeTimeout bounds TLS and the hellos. Default 10 s.
func WithClientHandshakeTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.handshakeTimeout = d }
}

// WithDefaultTimeout is the deadline of calls whose context has none. Default 0: none.
func WithDefaultTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.defaultTimeout = d }
}

// WithClientWriteTimeout bounds one write to a server that does not read. Default 30 s.
func WithClientWriteTimeout(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.writeTimeout = d }
}

// WithKeepalive sets after what time without a byte from the server a ping is
// sent; without an answer for as long again the connection is given up.
// Default 30 s; 0 never.
func WithKeepalive(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.keepalive = d }
}

// WithMaxAttempts bounds how often one call is tried, the first time included.
// Only calls that never ran, or are marked by [WithIdempotent], are tried again.
// Default 4; 1 never tries again.
func WithMaxAttempts(n int) ClientOption {
	return func(o *clientOptions) { o.maxAttempts = max(n, 1) }
}

// WithMaxRetryAfter bounds the pause that a server may ask for, see [RetryAfter],
// before a call is tried again. A call that is asked to wait for longer, or
// beyond its deadline, fails at once. Up to a quarter is added to a pause at
// random, so that not all callers come back together. Default 5 s; 0 never waits.
func WithMaxRetryAfter(d time.Duration) ClientOption {
	return func(o *clientOptions) { o.maxRetryAfter = d }
}

// WithBackoff sets the least and the longest pause between attempts to connect;
// it doubles from one to the other, and up to half of it is cut off at random.
// Default 20 ms and 5 s.
func WithBackoff(least, longest time.Duration) ClientOption {
	return func(o *clientOptions) { o.backoffMin, o.backoffMax = least, max(least, longest) }
}

// WithConnsPerAddr sets how many connections a Pool keeps to each address. Default 1.
func WithConnsPerAddr(n int) ClientOption {
	return func(o *clientOptions) { o.connsPerAddr = max(n, 1) }
}

// WithBalancing sets how a Pool chooses among its connections. Default
// [LeastInFlight].
func WithBalancing(b Balancing) ClientOption {
	return func(o *clientOptions) { o.balancing = b }
}

// WithEjection sets how a Pool leaves out a server that it is connected to and that
// fails its calls: after so many failures in a row (Unavailable, or the deadline
// has passed; all calls of one lost connection are one failure) it gets no calls for
// a pause that doubles from least to longest, up to half of it cut off at random.
// It then has to answer a ping within least, and one call decides. Never more
// than half of the servers are left out at once, so never the only one, and one
// that is gets calls all the same if there is no other to take them. Default 5
// failures, 1 s and 30 s; 0 failures: never.
func WithEjection(failures int, least, longest time.Duration) ClientOption {
	return func(o *clientOptions) { o.ejectAfter, o.ejectMin, o.ejectMax = failures, least, max(least, longest) }
}

// WithInterceptors appends interceptors; the first is the outermost. Around a
// Pool they see each call once, however often it is tried.
func WithInterceptors(chain ...ClientInterceptor) ClientOption {
	return func(o *clientOptions) { o.interceptors = append(o.interceptors, chain...) }
}

// WithObserver sets who is told of the client's connections.
func WithObserver(obs ConnObserver) ClientOption {
	return func(o *clientOptions) { o.observer = obs }
}
