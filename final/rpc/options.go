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
	tls              *tls.Config
	handshakeTimeout time.Duration
	writeTimeout     time.Duration
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
		handshakeTimeout: 10 * time.Second,
		writeTimeout:     30 * time.Second,
	}
}

// WithMaxMessage limits the size in bytes of a message from the other end, with
// its header and metadata. The other end is told: a client does not send a call
// that is larger than its server reads, and a server answers with
// ResourceExhausted in place of a reply that is larger than its client reads.
// Default 4 MiB, which 0 stands for; less than 1 KiB counts as 1 KiB. A server
// reads at most 1 MiB on gob connections. Negative sizes, and those of 4 GiB or
// more, are refused.
func WithMaxMessage(bytes int) Option {
	return option(func(o *sharedOptions) {
		o.maxMessage = max(o.number("WithMaxMessage", bytes, maxLength, defaultMaxMessage), 1<<10)
	})
}

// WithCompression compresses messages, if both ends of the connection have the
// option. Each end compresses its params or results of at least `from` bytes,
// with gzip at its fastest level, if that makes them smaller. 0 stands for
// 1024; a negative size is refused. On gob connections nothing is compressed.
// Default: off.
//
// The limit of [WithMaxMessage] holds for the uncompressed size, too: what
// expands further fails with ResourceExhausted. But a client that sends 4 KiB
// can make a server allocate 4 MiB. For clients that you do not trust, lower
// that limit or [WithMaxInFlight]. A server decompresses params only after
// Authorize has allowed the call.
//
// Over TLS, do not compress results that contain a secret together with text
// that an attacker can choose: their length then reveals the secret.
func WithCompression(from int) Option {
	return option(func(o *sharedOptions) {
		o.compressFrom = o.number("WithCompression", from, math.MaxInt, defaultCompressFrom)
	})
}

// WithTLS makes Serve and ListenAndServe, or Dial and a Pool, speak TLS. The
// constructor makes a copy of cfg. It is refused if cfg is nil, or if the
// option is given twice. Default: off.
//
// A server needs Certificates, GetCertificate or GetConfigForClient in cfg;
// without them the option is refused. To know its clients (mutual TLS) set
// ClientAuth and ClientCAs; [IdentityFrom] then names them.
//
// A client checks the host of the address, unless cfg has a ServerName; a
// certificate in cfg makes TLS mutual. [NewClient] refuses the option, because
// its connection exists already: give it a tls.Client(conn, cfg).
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

// WithWriteTimeout bounds one write to a peer that does not read. A connection
// whose write takes longer is closed. Default 30 s; 0: no bound. A negative
// time is refused.
func WithWriteTimeout(d time.Duration) Option {
	return option(func(o *sharedOptions) { o.writeTimeout = o.duration("WithWriteTimeout", d) })
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
// more than one. A server tells it why it closed a connection (a broken
// protocol, a limit), and the errors of Accept that Serve retries. A Client
// and a Pool tell it why an attempt to connect failed and why a connection was
// lost, each with the server's address, and what a [Resolver] returned. They
// do not report what their own Close causes. f may be called by many
// goroutines at once, and must not wait. All callbacks are called, in their
// order; a nil one is refused. Default: none.
func WithErrorHandler(f func(err error)) Option {
	return option(func(o *sharedOptions) {
		if o.notNil("WithErrorHandler", "callback", f) {
			o.onError = append(o.onError, f)
		}
	})
}
