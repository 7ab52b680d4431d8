package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"reflect"
	"slices"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/belowtls"
)

// Server answers calls. Make one with [NewServer], register methods, then
// Serve. All methods may be called by many goroutines, in any order and any
// number of times; methods may be registered while serving.
type Server struct {
	options       serverOptions
	registry      registry
	connPlaces    places  // what connections take
	handlerPlaces places  // what handlers that run take, of all connections
	refused       reports // of connections that had no hello
	broken        reports // of those that had
	origins       origins // of those that have such places
	params        *memory // of those calls
	replies       *memory // of encoded results that are not written yet
	streams       *memory // of what streams have promised to take
	invoked       share   // of params: what calls without a connection take
	answers       share   // of replies: likewise

	mu        sync.Mutex
	state     State
	listeners map[*net.Listener]struct{} // which are a user's, and may be no keys
	conns     map[*serverConn]struct{}
	stopping  chan struct{}  // closed when state is no longer Serving
	serving   sync.WaitGroup // Serve and ServeConn; nothing is added once it is not Serving
	ended     chan struct{}  // closed when serving has ended
	ending    sync.Once
	warned    sync.Once       // of too few files
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
		refused:   reports{kind: "were refused"},
		broken:    reports{kind: "ended with an error"},
	}
	s.makePlaces()
	s.params = newMemory(s.options.paramsMemory.server)
	s.replies = newMemory(s.options.replyMemory.server)
	s.streams = newMemory(int(s.options.allStreams))
	s.params.setPeer(s.options.peerMemory.params)
	s.replies.setPeer(s.options.peerMemory.replies)
	s.streams.setPeer(s.options.peerMemory.streams)
	s.streams.setLoansAside(largeCost(s.options.maxMessage))
	s.invoked = s.params.newShare(s.options.paramsMemory.server)
	s.answers = s.replies.newShare(s.options.replyMemory.server)
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
// published if a method is refused, a name is taken or no method fits. The
// error is InvalidArgument, or AlreadyExists if a name is taken.
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
// allows. It must not be taken. A result of an interface type, such as any, may
// hold an error: the call then fails with it. Errors are those of Register.
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
		m.server = s
		if err := s.chain(m); err != nil {
			return err
		}
		s.measure(m)
	}
	return s.registry.add(methods)
}

// measure finds out how the params of a method can grow with each codec.
func (s *Server) measure(m *method) {
	for _, codec := range s.options.codecOrder {
		m.sizes = append(m.sizes, m.sizesOf(s.options.codecs[codec]))
	}
}

// Methods describes what is registered now, sorted by name.
func (s *Server) Methods() []MethodInfo { return s.registry.list() }

// Method describes the method that is registered as name now; ok is false if there is none.
func (s *Server) Method(name string) (info MethodInfo, ok bool) {
	m := s.registry.find([]byte(name))
	if m == nil {
		return MethodInfo{}, false
	}
	return m.info, true
}

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
// [ErrServerClosed]. It may run several times at once, also on one listener. It
// closes its ln before it returns. After a failure to accept that may pass, it
// tries again with backoff: no file descriptor left, a client that has already
// left, a timeout. It returns any other error; open connections stay open. With
// [WithTLS] it refuses a listener that has a method OwnTLS, as that of
// transport/http2 has.
func (s *Server) Serve(ln net.Listener) error {
	if isNil(ln) {
		return Errorf(InvalidArgument, "Serve: the listener is nil%s", typeOfNil(ln))
	}
	defer closeListener(ln)
	if err := s.checkListener(ln); err != nil {
		return err
	}
	if !s.addListener(&ln) {
		return ErrServerClosed
	}
	defer s.removeListener(&ln)
	s.warnOfFiles(ln)
	for {
		conn, err := s.accept(ln)
		if err != nil {
			return err
		}
		if s.options.tls != nil {
			conn = tls.Server(belowtls.New(conn, s.options.writeTimeout), s.options.tls)
		}
		if c := s.addConn(conn); c != nil {
			go s.serveConn(c)
		}
	}
}

// accept returns the next connection from ln. It tries again, with backoff, after a failure
// that may pass.
func (s *Server) accept(ln net.Listener) (net.Conn, error) {
	var pause time.Duration
	for {
		conn, err := ln.Accept()
		switch {
		case s.State() != Serving:
			if err == nil && !isNil(conn) {
				guardConn(conn).Close()
			}
			return nil, ErrServerClosed
		case err == nil && isNil(conn):
			return nil, fmt.Errorf("rpc: accept: the listener %T returned a nil connection%s", ln, typeOfNil(conn))
		case err == nil:
			return conn, nil
		}
		err = fmt.Errorf("rpc: accept: %w", err)
		if !temporary(err) {
			return nil, err
		}
		s.report(err)
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.pause(pause)
	}
}

// checkListener refuses what cannot be served.
func (s *Server) checkListener(ln net.Listener) error {
	switch _, own := ln.(interface{ OwnTLS() }); {
	case !s.made():
		return errNotMade
	case own && s.options.tls != nil:
		return Errorf(InvalidArgument, "Serve: WithTLS, and a %T, whose connections have their own TLS or none: leave the option out", ln)
	}
	return nil
}

// pause waits for d, or until the server no longer serves.
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

// addConn counts a connection in, also one that is turned away later. If the server no
// longer serves, it closes conn and returns nil.
func (s *Server) addConn(conn net.Conn) *serverConn {
	c := newServerConn(s, conn)
	s.mu.Lock()
	open := s.state == Serving
	if open {
		s.serving.Add(1)
		s.conns[c] = struct{}{}
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
	defer c.params.close()
	if err := s.admitConn(c); err != nil {
		c.turnAway(err)
		c.report(&s.refused, err)
		return
	}
	defer s.connLeaves(c)
	s.options.observers.connOpened()
	defer s.options.observers.connClosed()
	c.serve()
}

// Shutdown stops accepting connections, calls and streams, and tells the clients.
// It waits until the running calls and streams have ended and the clients have
// read their replies, and closes the connections. Serve returns at once, so the
// program has to wait for Shutdown. The contexts of handlers go on until ctx ends:
// the handler of a long stream has to look at [DrainingFrom], or Shutdown waits for it.
// Shutdown returns nil, or ctx's error if ctx ends first. In that case it has
// closed everything as Close does, but without waiting for the handlers. In a
// hook or a handler it would wait for itself: start it in a goroutine there.
func (s *Server) Shutdown(ctx context.Context) error {
	if !s.made() {
		return errNotMade
	}
	if ctx == nil {
		return errNoContext
	}
	s.stop(Draining)
	s.mu.Lock()
	conns := s.connsLocked()
	s.mu.Unlock()
	for _, c := range conns {
		go c.drain(errDraining)
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

// Close ends the contexts of all calls and streams, closes listeners and connections, and
// waits for the handlers to return, and for the interceptors, the Authorize
// hooks and the observers of ConnClosed. Callbacks for bytes and errors may
// still run. It returns nil. In a hook or a handler it would wait for itself:
// start it in a goroutine there.
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
	s.invoked.close()
	s.answers.close()
	s.ending.Do(func() {
		s.endReports()
		close(s.ended)
	})
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
	var cuts sync.WaitGroup
	for _, c := range conns {
		cuts.Go(func() { c.cut(ErrServerClosed) }) // one that takes its time delays no other
	}
	cuts.Wait()
}

func (s *Server) connsLocked() []*serverConn {
	return slices.Collect(maps.Keys(s.conns))
}
