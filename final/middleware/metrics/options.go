package metrics

import (
	"errors"
	"fmt"
	"math"
)

// Option configures a [Server] or a [Client]. NewServer and NewClient return an
// error if an option is nil or its value makes no sense.
type Option func(*options)

type options struct {
	buckets    []float64
	maxMethods int
	methods    []string
}

// defaultBuckets go from a call within one machine to one that has waited for
// retries, in seconds.
var defaultBuckets = []float64{
	0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
}

const defaultMaxMethods = 100

func newOptions(opts []Option) (options, error) {
	o := options{buckets: defaultBuckets, maxMethods: defaultMaxMethods}
	for i, opt := range opts {
		if opt == nil {
			return o, fmt.Errorf("metrics: option %d of %d is nil", i+1, len(opts))
		}
		opt(&o)
	}
	if o.maxMethods < 0 {
		return o, fmt.Errorf("metrics: WithMaxMethods(%d): want 0 or more", o.maxMethods)
	}
	return o, checkBuckets(o.buckets)
}

// checkBuckets refuses what would make client_golang panic.
func checkBuckets(bounds []float64) error {
	last := math.Inf(-1)
	for _, b := range bounds {
		if !(b > last) { // NaN too
			return errors.New("metrics: the bounds of the buckets must rise")
		}
		last = b
	}
	return nil
}

// WithBuckets sets the upper bounds of the classic histogram's buckets, in
// seconds; +Inf is added. The bounds must rise. Default: 16 from 100 µs to 10
// s. Without bounds, the classic histogram has only its sum and its count. The
// native histogram needs none: its buckets grow by a tenth.
func WithBuckets(bounds ...float64) Option {
	return func(o *options) { o.buckets = bounds }
}

// WithMaxMethods sets how many methods of a client have a label of their own.
// Methods that are called for the first time after that share the label
// [Other]. A server ignores it, because its methods are those that are
// registered. Default 100; 0: no method has one. A negative number is an error.
func WithMaxMethods(n int) Option {
	return func(o *options) { o.maxMethods = n }
}

// WithMethods gives methods of a client a label of their own from the start,
// even if others are called first. They count for [WithMaxMethods]. If a
// program passes on names from outside, name the known ones here.
func WithMethods(names ...string) Option {
	return func(o *options) { o.methods = append(o.methods, names...) }
}
