package rpc

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// atHook calls f once, at the hook that a test is about.
type atHook struct {
	hook string
	f    func()
	ran  atomic.Bool
	done chan struct{} // closed when f has returned
}

func (a *atHook) at(hook string) {
	if hook == a.hook && !a.ran.Swap(true) {
		a.f()
		close(a.done)
	}
}

// hookObserver is an observer that calls back.
type hookObserver struct {
	*atHook
	side string
}

func (h hookObserver) ConnOpened()      { h.at(h.side + " ConnOpened") }
func (h hookObserver) ConnClosed()      { h.at(h.side + " ConnClosed") }
func (h hookObserver) BytesRead(int)    { h.at(h.side + " BytesRead") }
func (h hookObserver) BytesWritten(int) { h.at(h.side + " BytesWritten") }

// hookResolver calls back, and finds one server.
type hookResolver struct{ *atHook }

func (h hookResolver) Resolve(ctx context.Context, update func([]string)) error {
	update([]string{"a"})
	h.at("Resolve")
	<-ctx.Done()
	return ctx.Err()
}

// hookListener calls back when it is closed.
type hookListener struct {
	*atHook
	once   sync.Once
	conns  chan net.Conn
	closed chan struct{}
}

func newHookListener(a *atHook) *hookListener {
	return &hookListener{atHook: a, conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *hookListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *hookListener) Close() error {
	l.at("listener Close")
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *hookListener) Addr() net.Addr { return &net.UnixAddr{Name: "bubble"} }

func (a *atHook) serverOptions() []ServerOption {
	return []ServerOption{
		WithObserver(observe(hookObserver{a, "server"})),
		WithAuthorize(func(context.Context, string) (Identity, error) { a.at("Authorize"); return Identity{}, nil }),
		WithErrorHandler(func(error) { a.at("error handler") }),
		WithPanicHandler(func(context.Context, any, []byte) { a.at("panic handler") }),
		WithCallErrorHandler(func(context.Context, error) { a.at("call-error handler") }),
		WithServerInterceptors(func(_ MethodInfo, next Handler) Handler {
			return func(ctx context.Context, params any) (any, error) {
				a.at("server interceptor")
				return next(ctx, params)
			}
		}),
	}
}

func (a *atHook) clientOptions(dial func(context.Context, string) (net.Conn, error)) []ClientOption {
	return []ClientOption{
		WithObserver(observe(hookObserver{a, "client"})),
		WithObserver(Observer{AttemptDone: func(context.Context, Attempt) { a.at("AttemptDone") }}),
		WithErrorHandler(func(error) { a.at("client error handler") }),
		WithDialer(func(ctx context.Context, addr string) (net.Conn, error) { a.at("dialer"); return dial(ctx, addr) }),
		WithClientInterceptors(func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				a.at("client interceptor")
				return next.Call(ctx, method, params, reply)
			})
		}),
	}
}

var hooks = []string{
	"server ConnOpened", "server ConnClosed", "server BytesRead", "server BytesWritten",
	"client ConnOpened", "client ConnClosed", "client BytesRead", "client BytesWritten",
	"Authorize", "error handler", "panic handler", "call-error handler", "listener Close",
	"server interceptor", "client interceptor", "dialer", "Resolve", "handler",
	"AttemptDone", "client error handler",
}

// surroundings are what a hook can call.
type surroundings struct {
	t      *testing.T
	srv    *Server
	pool   *Pool
	client *Client
}

// publicMethods are all that need not wait, and those that do with a deadline.
var publicMethods = map[string]func(s *surroundings){
	"Pool.Members": func(s *surroundings) { s.pool.Members() },
	"Pool.Close":   func(s *surroundings) { s.pool.Close() },
	"Pool.Call":    func(s *surroundings) { s.call(s.pool) },
	"Pool.Go":      func(s *surroundings) { s.start(s.pool) },
	"Client.Close": func(s *surroundings) { s.client.Close() },
	"Client.Call":  func(s *surroundings) { s.call(s.client) },
	"Client.Go":    func(s *surroundings) { s.start(s.client) },
	"Client.Ping":  func(s *surroundings) { s.client.Ping(s.deadline()) },
	"Server.State": func(s *surroundings) { s.srv.State() },
	"Server.Close": func(s *surroundings) { go s.srv.Close() }, // it waits for the hook
	"Server.Invoke": func(s *surroundings) {
		s.srv.Invoke(s.deadline(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte("{}"), Peer: &Peer{}})
	},
	"Server.Authorize": func(s *surroundings) {
		if a, err := s.srv.Authorize(s.deadline(), Invocation{Method: checkStock.Name(), Codec: JSON}); err == nil {
			a.Invoke(s.deadline(), []byte("{}"))
			a.Release()
		}
	},
	"Server.InvokeStream": func(s *surroundings) {
		s.srv.InvokeStream(s.deadline(), Invocation{Method: watch.Name(), Codec: JSON}, func(context.Context, []byte) error { return nil })
	},
	"Server.Register": func(s *surroundings) {
		s.srv.Methods()
		assert.NoError(s.t, s.srv.RegisterFunc("Late.Method", func() error { return nil }))
	},
	"Server.Shutdown":  func(s *surroundings) { s.srv.Shutdown(s.deadline()) },
	"Server.ServeConn": func(s *surroundings) { near, far := net.Pipe(); near.Close(); s.srv.ServeConn(far) },
}

func (s *surroundings) deadline() context.Context {
	return timeout(s.t, time.Second)
}

func (s *surroundings) call(c Caller) {
	c.Call(s.deadline(), checkStock.Name(), stockRequest{Item: "item1"}, nil)
}

func (s *surroundings) start(c caller) {
	c.Go(s.deadline(), checkStock.Name(), stockRequest{Item: "item1"}, nil)
}

// visitAllHooks makes everything happen that a hook is called for.
func (s *surroundings) visitAllHooks(n *network) {
	for _, item := range []string{"item1", "panic", "item2"} {
		for _, c := range []Caller{s.pool, s.client} {
			c.Call(s.deadline(), checkStock.Name(), stockRequest{Item: item}, nil)
			c.Call(s.deadline(), "No.Such", nil, nil)
		}
	}
	if conn, err := n.dial(s.deadline(), "a"); err == nil {
		conn.Write([]byte("not this protocol"))
		conn.Close()
	}
	s.srv.Close() // first: the clients are told of a connection that is lost
	s.pool.Close()
	s.client.Close()
}

func TestHooks_MayCallAnyPublicMethod(t *testing.T) {
	for method, call := range publicMethods {
		for _, hook := range hooks {
			t.Run(method+" in "+hook, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					a := &atHook{hook: hook, done: make(chan struct{})}
					inv := newInventory()
					inv.saw = func(context.Context) { a.at("handler") }
					srv := inv.server(t, a.serverOptions()...)
					n := newNetwork()
					n.set("a", srv)
					s := &surroundings{t: t, srv: srv}
					made := make(chan struct{})
					a.f = func() { <-made; call(s) }
					go srv.Serve(newHookListener(a))
					opts := a.clientOptions(n.dial)
					s.pool = NewPool(hookResolver{a}, WithClientOptions(opts...))
					s.client = newClient(mustOptions(t, opts)) // unlike Dial, it does not connect yet
					s.client.addr = "a"
					close(made)
					s.visitAllHooks(n)
					synctest.Wait()
					<-a.done
				})
			})
		}
	}
}

func mustOptions(t *testing.T, opts []ClientOption) clientOptions {
	o := defaultClientOptions()
	o.apply(opts)
	require.Nil(t, o.err)
	return o
}
