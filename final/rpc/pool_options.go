package rpc

import (
	"math"
	"time"
)

// PoolOption configures a Pool in [NewPool]. Each [ClientOption] is one; the
// others only make sense for several servers. NewPool panics on what Dial
// refuses.
type PoolOption interface{ configurePool(*clientOptions) }

type poolOption func(*clientOptions)

func (f poolOption) configurePool(o *clientOptions) { f(o) }

// WithPoolOptions combines several options into one. They are applied in their
// order.
func WithPoolOptions(opts ...PoolOption) PoolOption {
	return poolOption(func(o *clientOptions) { o.applyPool(opts) })
}

type poolOptions struct {
	connsPerAddr int
	balancing    Balancing
	ejectAfter   int
	ejectMin     time.Duration
	ejectMax     time.Duration
}

// The defaults that a 0 stands for.
const (
	defaultEjectMin = time.Second
	defaultEjectMax = 30 * time.Second
)

func defaultPoolOptions() poolOptions {
	return poolOptions{
		connsPerAddr: 1,
		ejectAfter:   5,
		ejectMin:     defaultEjectMin,
		ejectMax:     defaultEjectMax,
	}
}

func (o *clientOptions) applyPool(opts []PoolOption) {
	for i, opt := range opts {
		if o.hasOption(opt != nil, i, len(opts)) {
			opt.configurePool(o)
		}
	}
}

// WithConnsPerAddr sets how many connections a Pool keeps to each address.
// Default 1, which 0 stands for. Negative numbers, and those above 65535, are
// refused.
func WithConnsPerAddr(n int) PoolOption {
	return poolOption(func(o *clientOptions) { o.connsPerAddr = o.number("WithConnsPerAddr", n, math.MaxUint16, 1) })
}

// WithBalancing sets how a Pool chooses among its connections, for calls and
// for streams: see [Balancing]. Default [LeastInFlight], which is the zero value. Any other value than the constants
// is refused.
func WithBalancing(b Balancing) PoolOption {
	return poolOption(func(o *clientOptions) {
		if o.balancing = b; b > RoundRobin {
			o.refuse("WithBalancing(%d): want LeastInFlight, TwoChoices or RoundRobin", uint8(b))
		}
	})
}

// WithEjection sets when a Pool ejects a server that fails its calls or
// streams. After this many failures in a row, the server gets none for a pause.
// A failure is Unavailable, or a deadline that passed, also while the call
// waited for the server's hello; all calls and streams of one lost connection
// are one failure. The pause doubles from least to longest, and up to half of
// it is cut off at random. Then the server has to answer a ping within least,
// and the outcome of one call or stream decides whether it is back. If its
// caller gives up, the next one decides; once calls have been given up for as
// long as least, the server is ejected again.
//
// A stream is a success with the first item that arrives, however it ends
// later. One that ends without an item counts by the code of its end, with two
// exceptions. A cancel by its caller says nothing of the server. Nor does its
// deadline if anything of the stream has arrived, such as a header: a handler
// that may be quiet for long can set one and call [SendHeader] at its start. A
// stream that decides has least for that; then the next call or stream does.
//
// At most half of the servers are ejected at a time, so a pool's only server
// never is. If no other server can take a call, an ejected one gets it. Default
// 5 failures, 1 s and 30 s. With 0 failures no server is ejected; a pause of 0
// is the default, moved if needed to fit the other. Negative values, and a
// longest pause shorter than the least, are refused.
func WithEjection(failures int, least, longest time.Duration) PoolOption {
	return poolOption(func(o *clientOptions) {
		o.ejectAfter = o.number("WithEjection", failures, math.MaxInt32, 0)
		o.ejectMin, o.ejectMax = o.pauses("WithEjection", least, longest, defaultEjectMin, defaultEjectMax)
	})
}
