package metrics

import (
	"context"
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/rpc-from-scratch/final/rpc"
)

// Unknown is the method label for calls of methods that a server does not have.
// The caller made up their names.
const Unknown = "(unknown)"

// Server measures rpc.Servers. It is a [prometheus.Collector], and
// may be used by many goroutines.
type Server struct {
	*side
	methods *methods
	unsent  *prometheus.CounterVec
}

// NewServer registers the metrics of a server with reg. If reg has them
// already, NewServer returns the Server that was registered, with its options:
// two servers of a program are then counted together. To tell them apart, wrap
// reg by [prometheus.WrapRegistererWith]. If reg is nil, nothing is registered.
// It returns an error if reg has other metrics of these names, or if an option
// makes no sense.
func NewServer(reg prometheus.Registerer, opts ...Option) (*Server, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{side: newSide("rpc_server_", o)}
	s.unsent = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rpc_server_replies_failed_total",
		Help: "Results that could not be encoded or were larger than the client reads. Their calls are finished as ok.",
	}, []string{"method", "code"})
	s.all = append(s.all, s.unsent)
	s.methods = newMethods(s.side, math.MaxInt, Unknown)
	return register(reg, s)
}

// Options returns the option that makes a server count its calls and streams, for
// [rpc.NewServer]. Interceptors that are given before it are not part of a
// call's duration, and calls that they refuse are not counted.
func (s *Server) Options() rpc.ServerOption {
	return rpc.WithServerOptions(
		rpc.WithServerMiddleware(rpc.ServerMiddleware{Unary: s.intercept, Stream: s.interceptStream}),
		rpc.WithObserver(s.observer()),
		rpc.WithCallErrorHandler(s.callFailed))
}

// intercept measures the calls that run: from params that are decoded to a
// result that is not yet encoded.
func (s *Server) intercept(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	m := s.methods.find(info.Name)
	return func(ctx context.Context, params any) (result any, err error) {
		err = m.measure(func() error {
			result, err = next(ctx, params)
			return err
		})
		return result, err
	}
}

// interceptStream measures the streams that run.
func (s *Server) interceptStream(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
	m := s.methods.find(info.Name)
	return func(ctx context.Context, params any, stream rpc.Stream) error {
		one, code := m.streamBegins(stream), rpc.Internal // if next panics
		defer func() { one.ended(code) }()
		err := next(ctx, params, stream)
		code = rpc.CodeOf(err)
		return err
	}
}

// callFailed counts what intercept does not see.
func (s *Server) callFailed(ctx context.Context, err error) {
	m := s.methods.other
	if name := rpc.MethodFrom(ctx); name != "" {
		m = s.methods.find(name)
	}
	code := rpc.CodeOf(err)
	if rpc.NeverRan(err) {
		m.refused(code)
		return
	}
	s.unsent.WithLabelValues(m.name, codeLabel(code)).Inc()
}
