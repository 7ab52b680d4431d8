package rpc

import (
	"context"
	"math"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// nilListener accepts connections that are nil.
type nilListener struct{ conn net.Conn }

func (l nilListener) Accept() (net.Conn, error) { return l.conn, nil }
func (l nilListener) Close() error              { return nil }
func (l nilListener) Addr() net.Addr            { return &net.UnixAddr{Name: "nil", Net: "unix"} }

// namelessConn does not know its addresses.
type namelessConn struct{ net.Conn }

func (namelessConn) LocalAddr() net.Addr  { return nil }
func (namelessConn) RemoteAddr() net.Addr { return nil }

type nilReceiver struct{ n int }

func (r *nilReceiver) Get(context.Context) (int, error) { return r.n, nil }

func TestServe_AListenerThatReturnsNoConnectionFails(t *testing.T) {
	for _, conn := range []net.Conn{nil, (*net.TCPConn)(nil)} {
		srv := NewServer()
		err := srv.Serve(nilListener{conn})
		assert.ErrorContains(t, err, "nil")
		require.NoError(t, srv.Close())
	}
}

func TestConn_WithoutAddressesServesCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var reported error
		srv := newInventory().server(t, WithErrorHandler(func(err error) { reported = err }))
		near, far := net.Pipe()
		go srv.ServeConn(namelessConn{far})
		client := NewClient(namelessConn{near})
		defer client.Close()
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
		near, far = net.Pipe()
		go srv.ServeConn(namelessConn{far})
		near.Write([]byte("GET "))
		near.Close()
		synctest.Wait()
		assert.ErrorContains(t, reported, "not this protocol")
		assert.NotContains(t, reported.Error(), "%!")
	})
}

func TestRegister_RefusesNilReceiversAndHandlers(t *testing.T) {
	srv := newServer(t)
	assert.Error(t, srv.Register("Test", (*nilReceiver)(nil)))
	assert.Error(t, srv.Register("Test", nil))
	assert.Error(t, checkStock.Handle(srv, nil))
	assert.Error(t, srv.RegisterFunc("Test.It", (func() error)(nil)))
	assert.Empty(t, srv.Methods())
}

// An interceptor that returns nothing, or a nil function or pointer, would panic in
// each call: it is refused where it is asked, which is when a method is registered.
func TestServer_RefusesInterceptorsThatReturnNil(t *testing.T) {
	inner := func(_ MethodInfo, next Handler) Handler { return next }
	srv := newServer(t, WithServerInterceptors(inner, func(MethodInfo, Handler) Handler { return nil }))
	const want = "rpc: register Test.It: WithServerInterceptors: interceptor 2 of 2 returned nil"
	assert.EqualError(t, srv.RegisterFunc("Test.It", func() int { return 1 }), want)
	assert.EqualError(t, Method[int, int]("Test.It").Handle(srv, func(context.Context, *int) (*int, error) { return nil, nil }), want)
	assert.ErrorContains(t, srv.Register("Test", new(nilReceiver)), "returned nil")
	assert.Empty(t, srv.Methods())
}

func TestClient_RefusesInterceptorsThatReturnNil(t *testing.T) {
	const want = "WithClientInterceptors: interceptor 1 of 2 returned nil"
	for text, odd := range map[string]ClientInterceptor{
		"":                        func(Caller) Caller { return nil },
		": (rpc.CallerFunc)(nil)": func(Caller) Caller { return CallerFunc(nil) },
		": (*rpc.Client)(nil)":    func(Caller) Caller { return (*Client)(nil) },
	} {
		with := WithClientInterceptors(odd, func(next Caller) Caller { return next })
		_, err := Dial(t.Context(), "127.0.0.1:1", with)
		assert.EqualError(t, err, "rpc: invalid_argument: "+want+text)
		assert.True(t, NeverRan(err))
		assert.Equal(t, "rpc: NewPool: "+want+text, panicText(func() { NewPool(StaticResolver{}, with) }))
		near, far := net.Pipe()
		assert.Equal(t, "rpc: NewClient: "+want+text, panicText(func() { NewClient(near, with) }))
		near.Close()
		far.Close()
	}
}

func TestRegister_RefusesANilOption(t *testing.T) {
	srv := newServer(t)
	const want = "rpc: invalid_argument: register Test.It: option 2 of 2 is nil"
	assert.EqualError(t, srv.RegisterFunc("Test.It", func() int { return 1 }, Vital(), nil), want)
	assert.EqualError(t, Method[int, int]("Test.It").Handle(srv, func(context.Context, *int) (*int, error) { return nil, nil }, Vital(), nil), want)
	assert.EqualError(t, srv.Register("Test", new(nilReceiver), nil), "rpc: invalid_argument: register Test: option 1 of 1 is nil")
	assert.Empty(t, srv.Methods())
}

// forgetfulCodec has a name once.
type forgetfulCodec struct {
	Codec
	asked *atomic.Int32
}

func (c forgetfulCodec) Name() string {
	if c.asked.Add(1) > 1 {
		panic("the name is gone")
	}
	return "forgetful"
}

// A codec's name is asked for by the constructor, not by each connection's goroutine.
func TestCodecs_AreAskedForTheirNameOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithCodecs(forgetfulCodec{JSON, new(atomic.Int32)}))
		client := pipe(t, srv, WithCodec(forgetfulCodec{JSON, new(atomic.Int32)}))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}

// A codec around another one that is not there panics when it is asked for its name.
func TestCodecs_WithoutANameAreRefused(t *testing.T) {
	empty := struct{ Codec }{}
	const want = "the codec struct { rpc.Codec } panicked when it was asked for its name"
	_, err := Dial(t.Context(), "127.0.0.1:1", WithCodec(empty))
	assert.EqualError(t, err, "rpc: invalid_argument: WithCodec: "+want)
	assert.Equal(t, "rpc: NewServer: WithCodecs: "+want, panicText(func() { NewServer(WithCodecs(empty)) }))
}

// A health check has its places beyond the largest limit, too.
func TestVital_HasItsPlacesBeyondAnyLimit(t *testing.T) {
	for _, limit := range []int{math.MaxInt, math.MaxInt - 63} {
		srv := NewServer(WithMaxHandlers(limit))
		require.NoError(t, srv.RegisterFunc("Test.Health", func() int { return 1 }, Vital()))
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Health", Codec: JSON})
		assert.NoError(t, err)
		srv.Close()
	}
}
