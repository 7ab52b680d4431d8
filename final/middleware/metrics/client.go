package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/rpc-from-scratch/final/rpc"
)

// Other is the method label of a client's calls whose method has no label of
// its own: see [WithMaxMethods]. Names that are not UTF-8, or are longer than
// 128 bytes, never have one.
const Other = "(other)"

// Client measures rpc.Clients and rpc.Pools. It is a
// [prometheus.Collector], and may be used by many goroutines.
type Client struct {
	*side
	methods  *methods
	attempts *prometheus.CounterVec
}

// NewClient registers the metrics of a client with reg, as [NewServer] does for
// a server: metrics that reg has already are shared, and the same errors are
// returned.
func NewClient(reg prometheus.Registerer, opts ...Option) (*Client, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	c := &Client{side: newSide("rpc_client_", o)}
	c.attempts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rpc_client_attempts_total",
		Help: "Attempts to make calls, by the code with which they ended. A call that is tried again has several.",
	}, []string{"method", "code"})
	c.all = append(c.all, c.attempts)
	c.methods = newMethods(c.side, o.maxMethods, Other)
	for _, name := range o.methods {
		c.methods.find(name)
	}
	return register(reg, c)
}

// Options returns the option that makes a client count its calls and streams, for
// [rpc.Dial], [rpc.NewClient] and [rpc.NewPool]. Interceptors that are given
// before it are not part of a call's duration, and calls that they answer are
// not counted.
func (c *Client) Options() rpc.ClientOption {
	obs := c.observer()
	obs.AttemptDone = c.attempted
	return rpc.WithClientOptions(rpc.WithClientInterceptors(c.intercept), rpc.WithObserver(obs))
}

func (c *Client) attempted(_ context.Context, a rpc.Attempt) {
	c.attempts.WithLabelValues(c.methods.find(a.Method).name, codeLabel(rpc.CodeOf(a.Err))).Inc()
}

func (c *Client) intercept(next rpc.Caller) rpc.Caller {
	return rpc.CallerFuncs{
		CallFunc: func(ctx context.Context, name string, params, reply any) error {
			return c.methods.find(name).measure(func() error {
				return next.Call(ctx, name, params, reply)
			})
		},
		OpenFunc: func(ctx context.Context, kind rpc.MethodKind, name string, params any) (rpc.OpenedStream, error) {
			m, code := c.methods.find(name), rpc.Internal // if it panics
			defer func() {
				if code != rpc.OK {
					m.refused(code)
				}
			}()
			s, err := rpc.OpenStream(ctx, next, kind, name, params)
			if code = rpc.CodeOf(err); err != nil {
				return nil, err
			}
			one := m.streamBegins(s)
			s.OnEnd(func(err error) { one.ended(rpc.CodeOf(err)) })
			return s, nil
		},
	}
}
