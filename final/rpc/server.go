package rpc

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// Server answers calls. Make one with [NewServer], register methods, then
// Serve. All methods may be called by many goroutines, in any order and any
// number of times; methods may be registered while serving.
type Server struct {
	options  serverOptions
	registry registry
	running  atomic.Int64 // handlers of all connections

	mu        sync.Mutex
	state     State
	listeners map[*net.Listener]struct{} // which are a user's, and may be no keys
	conns     map[*serverConn]struct{}
	stopping  chan struct{}  // closed when state is no longer Serving
	serving   sync.WaitGroup // Serve and ServeConn; nothing is added once it is not Serving
	ended     chan struct{}  // closed when serving has ended
	ending    sync.Once
	life      context.Context // of calls without a connection; ended by Close
	endLife   context.CancelFunc
	watch     readWatch
}

// State is what a Server is doing: see [Server.State].
type State uint8

// The states, in the only order in which they follow each other.
const (
	Serving  State = iota // accepts connections and calls, or will once Serve is called
	Draining              // Shutdown was called: no new calls, running ones end
	Closed                // Close was called, or Shutdown has ended
)

// String returns the state's name: "serving".
func (s State) String() string {
	switch s {
	case Serving:
		return "serving"
	case Draining:
		return "draining"
	case Closed:
		return "closed"
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// NewServer returns a server without methods. It panics on an option that
// makes no sense: see [ServerOption]. A Server that is not made by NewServer,
// such as the zero value, does not work: Register, Serve, Invoke, Shutdown and
// Close return an error that names NewServer, and ServeConn panics.
func NewServer(opts ...ServerOption) *Server {
	s := &Server{
		options:   newServerOptions(opts),
		listeners: map[*net.Listener]struct{}{},
		conns:     map[*serverConn]struct{}{},
		stopping:  make(chan struct{}),
		ended:     make(chan struct{}),
	}
	s.life, s.endLife = context.WithCancel(context.Background())
	s.watch.ended = s.ended
	return s
}

// made reports whether s was made by NewServer.
func (s *Server) made() bool { return s != nil && s.ended != nil }

var errNotMade = errors.New("rpc: a Server is made by NewServer")

// Register publishes methods of receiver as "name.Method": its own exported
// methods that take a context, one value, or both, and return a result, an
// error, or both. It does not publish promoted methods, methods that hide one
// of an embedded field, or methods without parameters such as Close: use
// [Server.RegisterFunc] for them. It refuses a receiver that has an exported
// method with parameters and another signature, and a value whose pointer has
// more methods to publish, unless opts contain [SkipUnfit]. Nothing is
// published if a method is refused, a name is taken or no method fits.
func (s *Server) Register(name string, receiver any, opts ...MethodOption) error {
	var wanted method
	if err := wanted.apply(name, opts); err != nil {
		return err
	}
	methods, err := methodsOf(name, receiver, wanted.skipUnfit)
	if err != nil {
		return err
	}
	return s.registerAll(methods, opts)
}

// RegisterFunc publishes fn, a func([context.Context,] [params]) ([result,]
// [error]) with at least one result, under its full name "Service.Method". A
// name has something before its first dot and after it, is UTF-8 without white
// space and control characters, and is no longer than [WithMaxMethodName]
// allows. It must not be taken.
func (s *Server) RegisterFunc(name string, fn any, opts ...MethodOption) error {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return Errorf(InvalidArgument, "register %s: %T is nil or not a function", name, fn)
	}
	m, err := bind(name, v, true)
	if err != nil {
		return err
	}
	return s.register(m, opts)
}

// register registers a method that is no receiver's.
func (s *Server) register(m *method, opts []MethodOption) error {
	var wanted method
	if err := wanted.apply(m.info.Name, opts); err != nil {
		return err
	}
	if wanted.skipUnfit {
		return Errorf(InvalidArgument, "register %s: SkipUnfit has no effect: it is for Register", m.info.Name)
	}
	return s.registerAll([]*method{m}, opts)
}

func (s *Server) registerAll(methods []*method, opts []MethodOption) error {
	if !s.made() {
		return errNotMade
	}
	for _, m := range methods {
		if err := checkName(m.info.Name, s.options.maxMethodName); err != nil {
			return err
		}
		if err := m.apply(m.info.Name, opts); err != nil {
			return err
		}
		if err := s.chain(m); err != nil {
			return err
		}
	}
	return s.registry.add(methods)
}

// Methods describes what is registered now, sorted by name.
func (s *Server) Methods() []MethodInfo { return s.registry.list() }

// State returns whether the server serves, drains or is closed.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

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
// [ErrServerClosed]. It may run on several listeners at once, and closes its ln
// before it returns. After a failure to accept that may pass, it tries again
// with backoff: no file descriptor left, a client that has already left, a
// timeout. It returns any other error; open connections stay open. With
// [WithTLS] it refuses a listener that has a method OwnTLS, as that of
// transport/http2 has.
func (s *Server) Serve(ln net.Listener) error {
	if isNil(ln) {
		return Errorf(InvalidArgument, "Serve: the listener is nil%s", typeOfNil(ln))
	}
	defer closeListener(ln)
	switch _, own := ln.(interface{ OwnTLS() }); {
	case !s.made():
		return errNotMade
	case own && s.options.tls != nil:
		return Errorf(InvalidArgument, "Serve: WithTLS, and a %T, whose connections have their own TLS or none: leave the option out", ln)
	}
	if !s.addListener(&ln) {
		return ErrServerClosed
	}
	defer s.removeListener(&ln)
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		if s.State() != Serving {
			if err == nil && !isNil(conn) {
				guardConn(conn).Close()
			}
			return ErrServerClosed
		}
		if err != nil {
			err = fmt.Errorf("rpc: accept: %w", err)
			if !temporary(err) {
				return err
			}
			s.report(err)
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.pause(pause)
			continue
		}
		pause = 0
		if isNil(conn) {
			return fmt.Errorf("rpc: accept: the listener %T returned a nil connection%s", ln, typeOfNil(conn))
		}
		if s.options.tls != nil {
			conn = tls.Server(conn, s.options.tls)
		}
		if c := s.addConn(conn); c != nil {
			go s.serveConn(c)
		}
	}
}

func (s *Server) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.stopping:
	}
}

// closeListener closes a user's listener. It returns false if Close did not return: it
// may not have closed anything.
func closeListener(ln net.Listener) (returned bool) {
	runApart(fmt.Sprintf("the listener %T", ln), func() error {
		err := ln.Close()
		returned = true
		return err
	})
	return returned
}

func (s *Server) addListener(ln *net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Serving {
		return false
	}
	s.listeners[ln] = struct{}{}
	s.serving.Add(1)
	return true
}

// removeListener counts a listener out, once.
func (s *Server) removeListener(ln *net.Listener) {
	s.mu.Lock()
	_, counted := s.listeners[ln]
	delete(s.listeners, ln)
	s.mu.Unlock()
	if counted {
		s.serving.Done()
	}
}

// ServeConn serves one connection until it ends and its handlers have
// returned. It is what Serve does with each accepted connection, but without
// TLS: for that, give it a tls.Server(conn, cfg). If the server is full, or no
// longer serves, it closes conn and returns. It panics if conn is nil.
func (s *Server) ServeConn(conn net.Conn) {
	if isNil(conn) {
		panic(fmt.Errorf("rpc: ServeConn: the connection is nil%s", typeOfNil(conn)))
	}
	if !s.made() {
		panic(errNotMade)
	}
	if c := s.addConn(conn); c != nil {
		s.serveConn(c)
	}
}

// addConn counts a connection in, also one that is turned away because there are too
// many. If the server no longer serves, it closes conn and returns nil.
func (s *Server) addConn(conn net.Conn) *serverConn {
	c := newServerConn(s, conn)
	s.mu.Lock()
	open := s.state == Serving
	if open {
		s.serving.Add(1)
		if c.tooMany = len(s.conns) >= s.options.maxConns; !c.tooMany {
			s.conns[c] = struct{}{}
		}
	}
	s.mu.Unlock()
	if !open {
		c.conn.Close()
		return nil
	}
	return c
}

// serveConn serves one connection. All that it calls of a user's connection delays,
// or ends, this goroutine alone.
func (s *Server) serveConn(c *serverConn) {
	defer s.serving.Done()
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	defer c.conn.Close() // also if a user's code ends this goroutine
	if err := c.inspect(); err != nil {
		s.report(fmt.Errorf("rpc: %s: %w", c.peer.Addr, err))
		return
	}
	if c.tooMany {
		c.turnAway(s.options.maxConns)
		s.report(fmt.Errorf("rpc: %s: more than %d connections", c.peer.Addr, s.options.maxConns))
		return
	}
	s.options.observers.connOpened()
	defer s.options.observers.connClosed()
	c.serve()
}

// acquire takes one of the server's handler slots for a call of m.
func (s *Server) acquire(m *method) bool {
	extra := int64(0)
	if m.vital {
		extra = vitalHandlers
	}
	if s.running.Add(1)-extra > int64(s.options.maxHandlers) {
		s.running.Add(-1)
		return false
	}
	return true
}

func (s *Server) release() { s.running.Add(-1) }

// noMethod refuses a call of a method that does not exist. A hook may say that
// there are too many of them; whatever else one says would tell callers apart, and
// does not keep the next hook from being asked.
func (s *Server) noMethod(ctx context.Context, call *serverCall, name []byte) error {
	refusal, asked := noMethod(name, s.options.maxMethodName), ""
	if refusal.Code == Unimplemented {
		asked = string(name)
	}
	for _, hook := range s.options.authorize {
		err := s.ask(ctx, call, hook, asked)
		switch CodeOf(err) {
		case ResourceExhausted, Unavailable:
			return err
		}
	}
	return refusal
}

// authorize asks the hooks until one refuses.
func (s *Server) authorize(ctx context.Context, call *serverCall, name string) error {
	for _, hook := range s.options.authorize {
		if err := s.ask(ctx, call, hook, name); err != nil {
			return err
		}
	}
	return nil
}

// ask asks one hook, which may panic like any code of a user.
func (s *Server) ask(ctx context.Context, call *serverCall, hook AuthorizeFunc, name string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = Errorf(Internal, "authorization failed")
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	identity, err := hook(ctx, name)
	if identity.Name != "" {
		call.identity.Name = identity.Name
	}
	if identity.Claims != nil {
		call.identity.Claims = identity.Claims
	}
	return s.sound(ctx, err)
}

// report calls the error handlers, see [WithErrorHandler].
func (s *Server) report(err error) {
	for _, f := range s.options.onError {
		s.guard(context.Background(), func() { f(err) })
	}
}

// panicked calls the panic handlers, see [WithPanicHandler], or prints.
func (s *Server) panicked(ctx context.Context, value any, stack []byte) {
	if len(s.options.onPanic) == 0 {
		printPanic(fmt.Sprintf("in %s", cmp.Or(MethodFrom(ctx), "a hook")), value, stack)
	}
	for _, f := range s.options.onPanic {
		defer func() { // a panic of a panic handler is only printed
			if p := recover(); p != nil {
				printPanic("in a panic handler", p, debug.Stack())
			}
		}()
		f(ctx, value, stack)
	}
}

// guard calls a hook, whose panic is one like any other.
func (s *Server) guard(ctx context.Context, hook func()) {
	defer func() {
		if p := recover(); p != nil {
			s.panicked(ctx, p, debug.Stack())
		}
	}()
	hook()
}

// sound returns err, or what others can read in its place: an error whose code is
// OK counts as success somewhere, and one whose methods panic ends a process.
func (s *Server) sound(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	p, readable := soundError(err)
	if p != nil {
		s.panicked(ctx, p.value, p.stack)
	}
	return readable
}

// chain puts the interceptors around a method's handler, the first one given
// outermost. Each sees sound errors of what it wraps. One that wraps nothing is refused.
func (s *Server) chain(m *method) error {
	m.handler = s.soundly(m.handler)
	for i, wrap := range slices.Backward(s.options.interceptors) {
		outer := wrap(m.info, m.handler)
		if outer == nil {
			return fmt.Errorf("rpc: register %s: WithServerInterceptors: interceptor %d of %d returned nil", m.info.Name, i+1, len(s.options.interceptors))
		}
		m.handler = s.soundly(outer)
	}
	return nil
}

func (s *Server) soundly(h Handler) Handler {
	return func(ctx context.Context, params any) (any, error) {
		result, err := h(ctx, params)
		return result, s.sound(ctx, err)
	}
}

// callFailed calls the callbacks of [WithCallErrorHandler], which may panic
// like any code of a user.
func (s *Server) callFailed(ctx context.Context, err error) {
	if p, ok := causes.Find[*codecPanic](err); ok {
		s.panicked(ctx, p.value, p.stack)
	}
	err = onOneLine(err)
	for _, f := range s.options.onCallError {
		s.guard(ctx, func() { f(ctx, err) })
	}
}

// Invocation is a call that comes without a connection: see [Server.Invoke].
type Invocation struct {
	Method   string
	Codec    Codec    // of Params and of the result; required
	Params   []byte   // encoded; empty for a method that takes none
	Peer     *Peer    // who calls; nil if that is not known
	Metadata Metadata // may be nil
}

// Invoke runs a method without a connection, for gateways, and returns its
// encoded result. Authorize, interceptors, [WithMaxHandlers] and
// [WithHandlerTimeout] apply; the limits of a connection and of messages do
// not. The error is an *[Error]: InvalidArgument if there is no codec,
// Unavailable after Shutdown or Close. Shutdown waits for the call; Close ends
// its context and waits for it.
func (s *Server) Invoke(ctx context.Context, in Invocation) ([]byte, error) {
	if isNil(in.Codec) {
		return nil, unrun(Errorf(InvalidArgument, "Invoke: the codec is nil%s", typeOfNil(in.Codec)))
	}
	if !s.made() {
		return nil, unrun(Errorf(Internal, "%w", errNotMade))
	}
	call := &serverCall{peer: cmp.Or(in.Peer, new(Peer)), method: s.registry.find([]byte(in.Method)), metadata: in.Metadata}
	ctx, leave := s.enter(ctx)
	defer leave()
	ctx = context.WithValue(ctx, callKey{}, call)
	if err := s.admit(ctx, call, in.Method); err != nil {
		refusal := unrun(toError(err).clone())
		s.callFailed(ctx, refusal)
		return nil, refusal
	}
	defer s.release()
	return s.invoke(ctx, call.method, in.Codec, in.Params)
}

// enter counts in a call without a connection, if the server still serves, and
// returns the context that it has and what ends it.
func (s *Server) enter(ctx context.Context) (context.Context, context.CancelFunc) {
	var cancel context.CancelFunc
	if d := s.options.handlerTimeout; d > 0 {
		ctx, cancel = context.WithTimeout(ctx, d)
	} else {
		ctx, cancel = context.WithCancel(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Serving {
		return ctx, cancel
	}
	s.serving.Add(1)
	stop := context.AfterFunc(s.life, cancel)
	return ctx, func() {
		stop()
		cancel()
		s.serving.Done()
	}
}

// admit is [serverConn.admit] for calls without a connection.
func (s *Server) admit(ctx context.Context, call *serverCall, name string) error {
	if call.method != nil && s.State() != Serving {
		return errDraining
	}
	if err := call.metadata.check(); err != nil {
		return Errorf(InvalidArgument, "%w", err)
	}
	if call.method == nil {
		return s.noMethod(ctx, call, []byte(name))
	}
	if err := s.authorize(ctx, call, name); err != nil {
		return err
	}
	if !s.acquire(call.method) {
		return Errorf(ResourceExhausted, "more than %d calls are running on this server", s.options.maxHandlers)
	}
	return nil
}

func (s *Server) invoke(ctx context.Context, m *method, codec Codec, body []byte) ([]byte, error) {
	var params any
	if m.newParams != nil {
		params = m.newParams()
		if err := decodeWith(codec, body, params); err != nil {
			err = unrun(Errorf(InvalidArgument, "decode params of %s: %w", m.info.Name, err))
			s.callFailed(ctx, err)
			return nil, err
		}
	}
	result, err := s.runHandler(ctx, m, params)
	if err != nil {
		return nil, toError(err)
	}
	out, err := encodeWith(codec, nil, result)
	if err != nil {
		err = Errorf(Internal, "encode the result: %w", err)
		s.callFailed(ctx, err)
		return nil, err
	}
	return out, nil
}

// Shutdown stops accepting connections and calls, and tells the clients. It
// waits until the running calls have ended and the clients have read their
// replies, and closes the connections. It returns nil, or ctx's error if ctx
// ends first. In that case it has closed everything as Close does, but without
// waiting for the handlers. In a hook or a handler it would wait for itself:
// start it in a goroutine there.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.made() {
		return errNotMade
	}
	s.stop(Draining)
	s.mu.Lock()
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		go c.drain()
	}
	go s.wait()
	late, stop := afterEnd(ctx)
	defer stop()
	select {
	case <-s.ended:
		s.stop(Closed)
		return nil
	case <-ctx.Done():
		s.stop(Closed)
		s.cutAll()
		return ctxError(ctx)
	case <-late: // a user's context, which has not ended
		s.stop(Closed)
		s.cutAll()
		return context.DeadlineExceeded
	}
}

// Close ends the contexts of all calls, closes listeners and connections, and
// waits for the handlers to return. It returns nil. In a hook or a handler it
// would wait for itself: start it in a goroutine there.
func (s *Server) Close() error {
	if !s.made() {
		return errNotMade
	}
	s.stop(Closed)
	s.cutAll()
	s.wait()
	return nil
}

// wait waits for listeners, connections and handlers, after stop.
func (s *Server) wait() {
	s.serving.Wait()
	s.ending.Do(func() { close(s.ended) })
}

// stop moves the state on and closes the listeners.
func (s *Server) stop(state State) {
	s.mu.Lock()
	if s.state == Serving {
		close(s.stopping)
	}
	s.state = max(s.state, state)
	listeners := slices.Collect(maps.Keys(s.listeners))
	s.mu.Unlock()
	for _, ln := range listeners { // not under the lock: it may be a user's
		closed := closeListener(*ln)
		if !closed {
			closed = closeListener(*ln)
		}
		if !closed {
			s.removeListener(ln) // its Accept may never return: Close does not wait for that
		}
	}
}

func (s *Server) cutAll() {
	s.endLife()
	s.mu.Lock()
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		c.cut(ErrServerClosed)
	}
}

func (s *Server) connsLocked() []*serverConn {
	return slices.Collect(maps.Keys(s.conns))
}
