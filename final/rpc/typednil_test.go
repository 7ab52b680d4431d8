package rpc

import (
	"context"
	"net"
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
		defer srv.Close()
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
	srv := NewServer()
	defer srv.Close()
	assert.Error(t, srv.Register("Test", (*nilReceiver)(nil)))
	assert.Error(t, srv.Register("Test", nil))
	assert.Error(t, checkStock.Handle(srv, nil))
	assert.Error(t, srv.RegisterFunc("Test.It", (func() error)(nil)))
	assert.Empty(t, srv.Methods())
}

// A server's interceptor that returns nothing is a panic of each call, not of the process.
func TestInterceptors_ThatReturnNilFailTheirCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithPanicHandler(func(context.Context, any, []byte) {}),
			WithServerInterceptors(func(MethodInfo, Handler) Handler { return nil }))
		defer srv.Close()
		_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, Internal)
	})
}
