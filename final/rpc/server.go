package rpc

import (
	"context"
	"net"
	"reflect"
)

// Server answers calls. Make one with [NewServer], register methods, then
// Serve. All methods may be called by many goroutines, in any order and any
// number of times; methods may be registered while serving.
type Server struct {
	options  serverOptions
	registry registry
}

// State is what a Server is doing: see [Server.State].
type State int

// The states, in the only order in which they follow each other.
const (
	Serving  State = iota // accepts connections and calls, or will once Serve is called
	Draining              // Shutdown was called: no new calls, running ones end
	Closed                // all is over
)

// NewServer returns a server without methods.
func NewServer(opts ...ServerOption) *Server {
	s := &Server{options: defaultServerOptions()}
	for _, opt := range opts {
		opt(&s.options)
	}
	return s
}

// Register publishes the methods of receiver as "name.Method": those of its own
// exported methods that take a context and/or one value and return a result, an
// error, or both. What an embedded field brings is not published, nor are
// methods without parameters such as Close: use [Server.RegisterFunc] for them.
// Nothing is published if a name is taken or no method fits.
func (s *Server) Register(name string, receiver any, opts ...MethodOption) error {
	methods, err := methodsOf(name, receiver)
	if err != nil {
		return err
	}
	return s.registerAll(methods, opts)
}

// RegisterFunc publishes fn, a func([context.Context,] [params]) ([result,] [error])
// with at least one result, under its full name "Service.Method".
func (s *Server) RegisterFunc(name string, fn any, opts ...MethodOption) error {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return Errorf(InvalidArgument, "register %s: %T is not a function", name, fn)
	}
	m, err := bind(name, v, true)
	if err != nil {
		return err
	}
	return s.register(m, opts)
}

func (s *Server) register(m *method, opts []MethodOption) error {
	return s.registerAll([]*method{m}, opts)
}

func (s *Server) registerAll(methods []*method, opts []MethodOption) error {
	for _, m := range methods {
		if err := checkName(m.info.Name, s.options.maxMethodName); err != nil {
			return err
		}
		for _, opt := range opts {
			opt(m)
		}
		m.handler = chainHandler(m.info, m.handler, s.options.interceptors)
	}
	return s.registry.add(methods)
}

// Methods describes what is registered now, sorted by name.
func (s *Server) Methods() []MethodInfo { return s.registry.list() }

// State returns whether the server serves, drains or is closed.
func (s *Server) State() State { return Serving }

// ListenAndServe listens on addr ("host:port", or "unix:path") and serves until
// Shutdown or Close, then returns [ErrServerClosed].
func (s *Server) ListenAndServe(addr string) error {
	ln, err := Listen(addr)
	if err != nil {
		return err
	}
	return s.Serve(ln)
}

// Serve accepts connections from ln until Shutdown or Close, then returns
// [ErrServerClosed]. It may run on several listeners at once and closes ln
// before it returns. Temporary failures to accept are tried again with backoff.
func (s *Server) Serve(ln net.Listener) error { return ErrServerClosed }

// ServeConn serves one connection until it ends. It is what Serve does with each
// accepted connection, TLS apart.
func (s *Server) ServeConn(conn net.Conn) {}

// Invoke runs a method without a connection, for gateways: interceptors,
// Authorize and the server's bounds apply. body is in codec's encoding, as is
// the result. The error is an *[Error].
func (s *Server) Invoke(ctx context.Context, peer *Peer, method string, md Metadata, codec Codec, body []byte) ([]byte, error) {
	return nil, Unimplemented
}

// Shutdown stops accepting connections and calls, tells the clients, waits for
// the running calls and until their replies are written and read, and closes
// the connections. When ctx ends first it returns ctx's error after closing as
// Close does, but without waiting for the handlers.
func (s *Server) Shutdown(ctx context.Context) error { return nil }

// Close ends the contexts of all calls, closes listeners and connections and
// waits for the handlers to return. In a handler it would wait for itself: call
// it in a goroutine there.
func (s *Server) Close() error { return nil }

// Listen listens on "host:port" or "unix:path".
func Listen(addr string) (net.Listener, error) {
	network, address := splitAddr(addr)
	return net.Listen(network, address)
}
