package rpc

import (
	"crypto/tls"
	"math"
	"time"
)

// Option configures one end of a connection, whichever it is: it is a
// [ServerOption], a [ClientOption] and a [PoolOption].
type Option interface {
	ServerOption
	ClientOption
}

// sharedOptions are what both ends of a connection have.
type sharedOptions struct {
	misuse
	maxMessage       int
	compressFrom     int
	streams          bool // are offered and granted
	connStreamMemory int  // 0: see defaultStreamMemory
	connStreams      int64
	tls              *tls.Config
	handshakeTimeout time.Duration
	readFrameTimeout time.Duration
	writeTimeout     time.Duration
	keepalive        time.Duration
	streamKeepalive  time.Duration // of a server, while streams are open, if keepalive is 0
	observers        observers
	onError          []func(err error)
}

type option func(*sharedOptions)

func (f option) configureServer(o *serverOptions) { f(&o.sharedOptions) }
func (f option) configureClient(o *clientOptions) { f(&o.sharedOptions) }
func (f option) configurePool(o *clientOptions)   { f(&o.sharedOptions) }

// defaultMaxMessage is what a 0 stands for.
const defaultMaxMessage = 4 << 20

func defaultSharedOptions() sharedOptions {
	return sharedOptions{
		maxMessage:       defaultMaxMessage,
		streams:          true,
		handshakeTimeout: 10 * time.Second,
		readFrameTimeout: 30 * time.Second,
		writeTimeout:     30 * time.Second,
	}
}

// WithMaxMessage limits the size in bytes of a message from the other end, with
// its header and metadata. The other end is told: a call that is larger than
// its server reads fails with ResourceExhausted, and never ran; a server
// answers with ResourceExhausted in place of a reply that is larger than its
// client reads. Default 4 MiB, which 0 stands for; less than 1 KiB counts as 1
// KiB. A server reads at most 1 MiB on gob connections. Negative sizes, and
// those of 4 GiB or more, are refused.
func WithMaxMessage(bytes int) Option {
	return option(func(o *sharedOptions) {
		o.maxMessage = max(o.number("WithMaxMessage", bytes, maxLength, defaultMaxMessage), 1<<10)
	})
}

// WithCompression compresses messages, if both ends of the connection have the
// option. Each end compresses its params, results and items of at least `from`
// bytes, with gzip at its fastest level, if that makes them smaller. 0 stands
// for 1024; a negative size is refused. On gob connections nothing is
// compressed. Default: off.
//
// The limit of [WithMaxMessage] holds for the uncompressed size, too: what
// expands further fails with ResourceExhausted. A server decompresses params only
// after Authorize has allowed the call, and if [WithParamsMemory] has room for them.
// Compressing one message takes 1.2 MiB. A process compresses at most two messages at
// a time for each processor (GOMAXPROCS as the program starts); the others wait.
//
// Over TLS, do not compress results that contain a secret together with text
// that an attacker can choose: their length then reveals the secret.
func WithCompression(from int) Option {
	return option(func(o *sharedOptions) {
		o.compressFrom = o.number("WithCompression", from, math.MaxInt, defaultCompressFrom)
	})
}

// WithoutStreams turns streams off: a client does not offer them, and a server
// does not grant them. Opening one then fails with Unimplemented, and sends
// nothing. Options that bound streams then have no effect. Default: both sides have
// them, and a connection has them if both do.
func WithoutStreams() Option { return option(func(o *sharedOptions) { o.streams = false }) }

// WithConnStreamMemory limits the memory that the streams of one connection may
// take at this end, in bytes: what the other end may send before this end's code
// has received it. Default 32 MiB, or four times the largest message if that is
// more (see [WithMaxMessage]), which 0 stands for. Negative sizes are refused.
//
// The size also bounds how many streams can be open at once, even if [WithMaxStreams]
// allows more. First, this end sets memory aside for one large item: the largest message
// and an eighth. Three quarters of the rest are for the first windows of streams, 16 KiB
// each. The default has room for 1,320 streams; 256 KiB with messages of at most 64 KiB
// have room for 8. The last quarter lets the windows of fast streams grow. A size without
// room for a large item and one window is refused.
func WithConnStreamMemory(bytes int) Option {
	return option(func(o *sharedOptions) {
		o.connStreamMemory = o.number("WithConnStreamMemory", bytes, math.MaxInt, 0)
	})
}

// WithTLS makes Serve and ListenAndServe, or Dial and a Pool, speak TLS. The
// constructor makes a copy of cfg. A nil cfg is refused, and so is a second
// one. Default: off.
//
// A server needs Certificates, GetCertificate or GetConfigForClient in cfg;
// without them the option is refused. To know its clients (mutual TLS) set
// ClientAuth and ClientCAs; [IdentityFrom] then names them.
//
// Both ends name the protocol in the handshake (ALPN), before the NextProtos of
// cfg; names of HTTP are left out. A server refuses clients that offer other
// names only, such as browsers. It takes clients that offer none. A client whose
// names a server refuses connects once more and offers none.
//
// A client checks the host of the address, unless cfg has a ServerName. A Unix
// socket has no host, so calls to one fail with InvalidArgument if cfg has neither
// ServerName nor InsecureSkipVerify. A certificate in cfg makes TLS mutual.
// [NewClient] refuses the option, because its connection exists already: give it a
// tls.Client(conn, cfg).
func WithTLS(cfg *tls.Config) Option {
	return option(func(o *sharedOptions) { o.tls = o.tlsConfig("WithTLS", o.tls, cfg) })
}

// WithHandshakeTimeout bounds the time until a connection can be used. At a
// server that is from accepting it to the end of its hello, TLS included; at a
// client it is one attempt to connect, with TLS and the hellos. With
// [NewClient] it is the time from that call to the end of the server's hello.
// A connection that takes longer is closed. Default 10 s; 0: no bound. A
// negative time is refused.
func WithHandshakeTimeout(d time.Duration) Option {
	return option(func(o *sharedOptions) { o.handshakeTimeout = o.duration("WithHandshakeTimeout", d) })
}

// WithReadFrameTimeout bounds the time from a frame's first byte to its last. A
// frame is one message on the wire. A connection whose frame takes longer is
// closed. A client, whose link may be slow, gives a frame one second more for
// each KiB that has arrived. Default 30 s; 0: no bound. A negative time is
// refused.
func WithReadFrameTimeout(d time.Duration) Option {
	return option(func(o *sharedOptions) { o.readFrameTimeout = o.duration("WithReadFrameTimeout", d) })
}

// WithWriteTimeout closes a connection whose peer, for so long, reads nothing
// of what this end writes, or less than 1 KiB per second on average. The
// callbacks of [WithErrorHandler] are told. A peer that reads steadily may take
// longer for large messages. Over TLS, and on connections of your own types,
// the peer has to read 16 KiB in half of d. Default 30 s; 0: no bound. A
// negative time is refused.
func WithWriteTimeout(d time.Duration) Option {
	return option(func(o *sharedOptions) { o.writeTimeout = o.duration("WithWriteTimeout", d) })
}

// WithKeepalive sets how often this end checks that the connection is alive. If nothing has
// arrived from the other end since the last check, it sends a ping. If nothing has arrived at
// the next check either, it closes the connection. A dead connection is found after two to
// three times d. Default: 30 s at a client; at a server 30 s while streams are open on the
// connection, else off; 0: no pings. Less than 10 ms counts as 10 ms. A negative time is
// refused.
//
// A server needs it to notice a client that vanishes while its calls run; then
// their contexts end. When no calls run, [WithIdleTimeout] ends the connection.
// If d is below a third of the idle timeout, the answers of live clients keep
// idle connections open. Clients must answer pings, as those of this package
// do.
func WithKeepalive(d time.Duration) Option {
	return option(func(o *sharedOptions) {
		if o.keepalive = o.duration("WithKeepalive", d); d > 0 {
			o.keepalive = max(d, leastKeepalive)
		}
		o.streamKeepalive = 0
	})
}

// WithObserver adds an observer. All observers are called, in the order in
// which they were given. One without any function is refused. Default: none.
func WithObserver(obs Observer) Option {
	return option(func(o *sharedOptions) {
		if obs.empty() {
			o.refuse("WithObserver: the observer has no function")
			return
		}
		o.observers.add(obs)
	})
}

// WithErrorHandler adds a callback for errors that belong to no call, or to
// more than one. A server reports why it closed a connection (a broken
// protocol, a limit): of at most 20 a second before their hello and 20 after
// it, and of the others how many. It also reports errors of Accept that Serve
// retries. A Client and a Pool report why an attempt to connect failed and why
// a connection was lost, each with the server's address, and what a [Resolver]
// returned, but not what their own Close causes. f may be called by many
// goroutines at once, and must not wait. All callbacks are called, in their
// order; a nil one is refused. Default: none.
func WithErrorHandler(f func(err error)) Option {
	return option(func(o *sharedOptions) {
		if o.notNil("WithErrorHandler", "callback", f) {
			o.onError = append(o.onError, f)
		}
	})
}
