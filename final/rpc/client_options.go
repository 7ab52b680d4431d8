package rpc

import (
	"cmp"
	"context"
	"maps"
	"math"
	"net"
	"sync"
	"time"
)

// ClientOption configures a Client in [Dial] and [NewClient]. It is a
// [PoolOption], too: a Pool gives it to the clients that it makes. A value
// that makes no sense is refused, and the error names the option: nil, a
// negative number or duration, a size that does not fit on the wire. Dial
// returns an InvalidArgument; NewClient and NewPool panic. NewClient also
// refuses [WithTLS], [WithDialer] and [WithBackoff], which are for connections
// that are still to be made. If an option is given twice, the last value
// counts. Interceptors, observers and callbacks add up instead, and TLS may be
// given only once.
type ClientOption interface {
	PoolOption
	configureClient(*clientOptions)
}

type clientOption func(*clientOptions)

func (f clientOption) configureClient(o *clientOptions) { f(o) }
func (f clientOption) configurePool(o *clientOptions)   { f(o) }

// WithClientOptions combines several options into one. They are applied in
// their order.
func WithClientOptions(opts ...ClientOption) ClientOption {
	return clientOption(func(o *clientOptions) { o.apply(opts) })
}

type clientOptions struct {
	sharedOptions
	codec          Codec
	codecName      string
	dial           func(ctx context.Context, addr string) (net.Conn, error)
	metadata       Metadata
	defaultTimeout time.Duration
	maxDecoded     int64     // 0: see decodedBound
	decodedSizes   *sync.Map // of decodedBound
	maxAttempts    int
	maxWait        time.Duration
	maxWaiting     int
	failFast       bool
	maxRetryAfter  time.Duration
	retryPercent   int
	retryReserve   int
	chance         *chance // of jitter and balancing; nil but for tests
	backoffMin     time.Duration
	backoffMax     time.Duration
	interceptors   []ClientInterceptor
	cannotOpen     string // the first interceptor that cannot open streams, in words; "": all can
	forDialing     string // the last option that is without effect on a connection that is made
	poolOptions
}

// The defaults that a 0 stands for.
const (
	defaultMaxWaiting   = 16384
	defaultBackoffMin   = 20 * time.Millisecond
	defaultBackoffMax   = 5 * time.Second
	defaultRetryPercent = 20
	defaultRetryReserve = 100
)

func defaultClientOptions() clientOptions {
	shared := defaultSharedOptions()
	shared.keepalive = 30 * time.Second
	return clientOptions{
		sharedOptions: shared,
		codec:         JSON,
		codecName:     JSON.Name(),
		decodedSizes:  new(sync.Map),
		maxAttempts:   4,
		maxWait:       30 * time.Second,
		maxWaiting:    defaultMaxWaiting,
		maxRetryAfter: 5 * time.Second,
		retryPercent:  defaultRetryPercent,
		retryReserve:  defaultRetryReserve,
		backoffMin:    defaultBackoffMin,
		backoffMax:    defaultBackoffMax,
		poolOptions:   defaultPoolOptions(),
	}
}

func (o *clientOptions) apply(opts []ClientOption) {
	for i, opt := range opts {
		if o.hasOption(opt != nil, i, len(opts)) {
			opt.configureClient(o)
		}
	}
}

// WithCodec chooses the connection's codec. Default [JSON]. A server that does
// not offer it refuses the connection with Unimplemented: see [WithCodecs]. A
// nil codec, and one whose name does not fit [Codec], are refused.
func WithCodec(c Codec) ClientOption {
	return clientOption(func(o *clientOptions) {
		if name, ok := o.checkCodec("WithCodec", c); ok {
			o.codec, o.codecName = c, name
		}
	})
}

// WithDialer replaces how Dial and a Pool make connections. dial gets the
// address as it was given to Dial, unchecked, and may be called by many
// goroutines at once. TLS, if set, is spoken over the connection that it
// returns. If the option is given twice, the last dialer is used; a nil one is
// refused. [NewClient] refuses the option.
func WithDialer(dial func(ctx context.Context, addr string) (net.Conn, error)) ClientOption {
	return clientOption(func(o *clientOptions) {
		if o.notNil("WithDialer", "dialer", dial) {
			o.dial, o.forDialing = dial, "WithDialer"
		}
	})
}

// WithHelloMetadata sets metadata that the client sends once per connection;
// handlers find it in their Peer. It copies md. If the option is given twice,
// the last metadata are sent; nil sends none. Default: none.
//
// The option itself refuses nothing. Metadata that cannot be sent fail Dial
// and every call, with InvalidArgument or, if they are too large,
// ResourceExhausted. Keys that begin with "rpc." are the protocol's own, and
// cannot be sent.
func WithHelloMetadata(md Metadata) ClientOption {
	md = maps.Clone(md)
	return clientOption(func(o *clientOptions) { o.metadata = md })
}

// WithDefaultTimeout sets the timeout of calls whose context has no deadline.
// It bounds all attempts of a call together. Interceptors run outside it, and
// do not see it in their context. It does not bound Ping. Default 0: none. A
// negative time is refused.
func WithDefaultTimeout(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.defaultTimeout = o.duration("WithDefaultTimeout", d) })
}

// WithMaxDecoded limits the memory that one reply, or one item of a stream, may take at
// the client once it is decoded, in bytes. A larger one is not decoded: the call, which
// has run, or the stream fails with ResourceExhausted. Default: 256 times
// [WithMaxMessage], hence 1 GiB, which 0 stands for; [math.MaxInt] sets no limit. A
// negative size is refused.
//
// The client bounds the size as a server does for [WithParamsMemory]: by the encoded
// bytes and the Go type, which a [Sizer] computes. For JSON and large structs, that may be
// many times what the value takes. Replies and items of at most 4 KiB, as they are
// encoded, are not looked at, and neither are replies in [Gob], which is for peers that
// you trust.
func WithMaxDecoded(bytes int) ClientOption {
	return clientOption(func(o *clientOptions) {
		o.maxDecoded = int64(o.number("WithMaxDecoded", bytes, math.MaxInt, 0))
	})
}

// decodedBound returns what WithMaxDecoded has set, or its default.
func (o *clientOptions) decodedBound() decodedBound {
	return decodedBound{cmp.Or(o.maxDecoded, 256*int64(o.maxMessage)), o.decodedSizes}
}

// WithMaxAttempts bounds how often one call is sent, the first time included.
// Connecting and waiting for a server are no attempts: see [WithMaxWait]. A
// call is sent again if it never ran, or if its method is idempotent (see
// [MarkIdempotent] and [IdempotentMethod]), and another attempt may succeed: it
// failed with Unavailable because the connection was lost or the server refused
// it, or the server asked for a pause with Unavailable or ResourceExhausted
// (see [RetryAfter]). A call that a server of a Pool refused with
// ResourceExhausted and without a pause is sent to each other server that can
// take it.
//
// Servers that have not had the call come first. If there is none, or before
// the last attempt, the call makes the pause that was asked for. Otherwise it
// makes a pause of [WithBackoff], or none if it costs nothing of
// [WithRetryBudget]. A Client of [NewClient] sends again only after a pause
// that was asked for. Default 4; 0 and 1 never send again. A negative number is
// refused.
func WithMaxAttempts(n int) ClientOption {
	return clientOption(func(o *clientOptions) { o.maxAttempts = o.number("WithMaxAttempts", n, math.MaxInt, 1) })
}

// WithMaxWait limits how long a call without a deadline waits for a server
// that can take it: one that is connected and has a free slot. A call with a
// deadline waits until that deadline, also if the deadline is that of
// [WithDefaultTimeout]. While calls wait, the client tries to connect, with
// backoff; see [WithFailFast] for calls that should not wait for that. When
// the time is up, the call fails with Unavailable, and never ran. A call with
// params above 4 KiB waits in the same way for room for them, and for its turn
// after the calls that wait for room already: see [WithParamsMemory]. An open
// of a stream waits for a slot: see [WithMaxStreams].
//
// A call fails at once if all servers refuse this client (its codec, its
// version, one connection too many), if no address can be parsed, or if a
// certificate is not trusted. Default 30 s. 0: a call without a deadline waits
// only for an attempt to connect that is under way. It fails at once if there is
// no free slot or no room for its params, or while earlier calls wait for room.
// A negative time is refused.
func WithMaxWait(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.maxWait = o.duration("WithMaxWait", d) })
}

// WithMaxWaiting limits how many calls and opens of streams of a Client or a Pool
// wait for a server at once. One more fails at once with Unavailable, and never ran. Default
// 16384, which 0 stands for. A negative number is refused.
func WithMaxWaiting(n int) ClientOption {
	return clientOption(func(o *clientOptions) {
		o.maxWaiting = o.number("WithMaxWaiting", n, math.MaxInt, defaultMaxWaiting)
	})
}

// WithFailFast makes calls fail with Unavailable as soon as the attempts to
// connect have failed, as [Dial] does. They do not wait for the next attempts.
// They still wait for an attempt that is under way, and for a free slot on a
// connected server.
func WithFailFast() ClientOption {
	return clientOption(func(o *clientOptions) { o.failFast = true })
}

// WithMaxRetryAfter limits the pause that a server may ask for before the next
// attempt: see [RetryAfter]. If the pause is longer, or would go beyond the
// call's deadline, the call fails at once. Up to a quarter is added to a pause
// at random, so that callers do not all retry at the same moment. Default 5 s;
// 0 never waits. A negative time is refused.
func WithMaxRetryAfter(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.maxRetryAfter = o.duration("WithMaxRetryAfter", d) })
}

// WithRetryBudget limits how many calls a Client or a Pool sends again, so that
// clients do not make an outage worse. The budget begins with reserve, and
// never has more. Each call that is sent again takes one. Each answered call
// that ran adds percent/100. When less than one is left, a call that failed is
// not sent again, and fails with its error.
//
// Some calls are sent again at no cost: those that a server refused because it
// is going away, those that were not written, and those lost with a connection
// that had lived for the longest pause of [WithBackoff]. Default 20 and 100,
// which 0 stands for. Negative values, and those above 1,000,000, are refused.
func WithRetryBudget(percent, reserve int) ClientOption {
	return clientOption(func(o *clientOptions) {
		o.retryPercent = o.number("WithRetryBudget: percent", percent, 1e6, defaultRetryPercent)
		o.retryReserve = o.number("WithRetryBudget: reserve", reserve, 1e6, defaultRetryReserve)
	})
}

// WithBackoff sets the least and the longest pause between attempts to connect,
// and between attempts to make a call (see [WithMaxAttempts]). The pause
// doubles after each failure, and up to half of it is cut off at random.
// Earlier failures are forgotten once a connection has lived for the longest
// pause, or has answered a call and its server then goes away. A Pool pauses
// within the same bounds before it asks a [Resolver] again that has returned.
// Default 20 ms and 5 s, which 0 stands for; if only one is 0, its default is
// moved to fit the other. Negative pauses, and a longest pause shorter than the
// least, are refused. [NewClient] refuses the option.
func WithBackoff(least, longest time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) {
		o.forDialing = "WithBackoff"
		o.backoffMin, o.backoffMax = o.pauses("WithBackoff", least, longest, defaultBackoffMin, defaultBackoffMax)
	})
}

// WithClientInterceptors adds interceptors. They nest: the first one given is
// the outermost. Around a Client or a Pool they see each call once, however
// often it is tried. One that knows no streams keeps the Client or Pool from
// opening any: see [ClientInterceptor]. A nil one is refused. Default: none.
func WithClientInterceptors(chain ...ClientInterceptor) ClientOption {
	return clientOption(func(o *clientOptions) {
		for _, i := range chain {
			if o.notNil("WithClientInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	})
}
