package rpc

import (
	"context"
	"maps"
	"math"
	"net"
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
	keepalive      time.Duration
	maxAttempts    int
	maxWait        time.Duration
	maxWaiting     int
	failFast       bool
	maxRetryAfter  time.Duration
	backoffMin     time.Duration
	backoffMax     time.Duration
	interceptors   []ClientInterceptor
	forDialing     string // the last option that is without effect on a connection that is made
	poolOptions
}

// The defaults that a 0 stands for.
const (
	defaultMaxWaiting = 16384
	defaultBackoffMin = 20 * time.Millisecond
	defaultBackoffMax = 5 * time.Second
)

func defaultClientOptions() clientOptions {
	return clientOptions{
		sharedOptions: defaultSharedOptions(),
		codec:         JSON,
		codecName:     JSON.Name(),
		keepalive:     30 * time.Second,
		maxAttempts:   4,
		maxWait:       30 * time.Second,
		maxWaiting:    defaultMaxWaiting,
		maxRetryAfter: 5 * time.Second,
		backoffMin:    defaultBackoffMin,
		backoffMax:    defaultBackoffMax,
		poolOptions:   defaultPoolOptions(),
	}
}

// WithCodec chooses the connection's codec. Default [JSON]. A nil codec, and
// one whose name does not fit [Codec], are refused.
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
// It does not bound Ping. Default 0: none. A negative time is refused.
func WithDefaultTimeout(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.defaultTimeout = o.duration("WithDefaultTimeout", d) })
}

// WithKeepalive sets how often a client checks that its connection is alive.
// If nothing has arrived from the server since the last check, it sends a
// ping. If nothing has arrived at the next check either, it closes the
// connection. A dead connection is found after two to three times d. Default
// 30 s; 0: no pings. A negative time is refused.
func WithKeepalive(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.keepalive = o.duration("WithKeepalive", d) })
}

// WithMaxAttempts bounds how often one call is sent, the first time included.
// Connecting and waiting for a server are no attempts: see [WithMaxWait]. Only
// calls that never ran, or whose method is idempotent (see [MarkIdempotent]
// and [IdempotentMethod]), are sent again: first to the other servers, then
// after a pause, either one that a server asked for (see [RetryAfter]) or,
// before the third attempt and those after it, one of [WithBackoff]. Default 4;
// 0 and 1 never send again. A negative number is refused.
func WithMaxAttempts(n int) ClientOption {
	return clientOption(func(o *clientOptions) { o.maxAttempts = o.number("WithMaxAttempts", n, math.MaxInt, 1) })
}

// WithMaxWait limits how long a call without a deadline waits for a server
// that can take it: one that is connected and has a free slot. A call with a
// deadline waits until that deadline, also if the deadline is that of
// [WithDefaultTimeout]. While calls wait, the client tries to connect, with
// backoff; see [WithFailFast] for calls that should not wait for that. When
// the time is up, the call fails with Unavailable, and never ran.
//
// A call fails at once if all servers refuse this client in their hello (its
// codec, its version, one connection too many) or if a certificate is not
// trusted. Default 30 s. 0: a call without a deadline waits only for an
// attempt to connect that is under way, and not for a free slot. A negative
// time is refused.
func WithMaxWait(d time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) { o.maxWait = o.duration("WithMaxWait", d) })
}

// WithMaxWaiting limits how many calls of a Client or a Pool wait for a server
// at once. One more fails at once with Unavailable, and never ran. Default
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

// WithBackoff sets the least and the longest pause between attempts to
// connect. The pause doubles after each failure, and up to half of it is cut
// off at random. A Pool pauses within the same bounds before it asks a
// [Resolver] again that has returned. Default 20 ms and 5 s, which 0 stands
// for. Negative pauses, and a longest pause shorter than the least, are
// refused. [NewClient] refuses the option.
func WithBackoff(least, longest time.Duration) ClientOption {
	return clientOption(func(o *clientOptions) {
		o.forDialing = "WithBackoff"
		o.backoffMin, o.backoffMax = o.pauses("WithBackoff", least, longest, defaultBackoffMin, defaultBackoffMax)
	})
}

// WithClientInterceptors adds interceptors. They nest: the first one given is
// the outermost. Around a Client or a Pool they see each call once, however
// often it is tried. A nil one is refused. Default: none.
func WithClientInterceptors(chain ...ClientInterceptor) ClientOption {
	return clientOption(func(o *clientOptions) {
		for _, i := range chain {
			if o.notNil("WithClientInterceptors", "interceptor", i) {
				o.interceptors = append(o.interceptors, i)
			}
		}
	})
}
