package auth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// serve serves srv on ln until the test ends.
func serve(t *testing.T, srv *rpc.Server, ln net.Listener, err error) string {
	t.Helper()
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return ln.Addr().String()
}

func whoami(t *testing.T, client rpc.Caller) (string, error) {
	t.Helper()
	var who string
	err := client.Call(t.Context(), "Inventory.WhoAmI", nil, &who)
	return who, err
}

func dial(t *testing.T, addr string, opt rpc.ClientOption) *rpc.Client {
	t.Helper()
	client, err := rpc.Dial(t.Context(), addr, opt)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestClient_SendsTheTokenOfTheMoment(t *testing.T) {
	srv, _ := guarded(t, newGuard(t, Nobody(), rules), "Inventory.WhoAmI")
	ln, err := rpc.Listen("127.0.0.1:0")
	addr := serve(t, srv, ln, err)
	var token atomic.Value
	token.Store(annsToken)
	client := dial(t, addr, OverLoopback(func(context.Context) (string, error) { return token.Load().(string), nil }))
	for _, c := range []struct {
		token, who string
		code       rpc.Code
	}{
		{annsToken, "ann", rpc.OK},
		{bobsToken, "bob", rpc.OK},
		{"expired-and-long-enough", "", rpc.Unauthenticated},
		{"", "", rpc.Unauthenticated},
		{annsToken + "\nx: y", "", rpc.Unauthenticated},
	} {
		token.Store(c.token)
		who, err := whoami(t, client)
		assert.Equal(t, c.code, rpc.CodeOf(err), "%q", c.token)
		assert.Equal(t, c.who, who)
		if err != nil && c.token != "" {
			assert.NotContains(t, err.Error(), c.token)
		}
	}
}

func TestClient_SourceThatFails(t *testing.T) {
	srv, runs := guarded(t, newGuard(t, Nobody(), rules), "Inventory.WhoAmI")
	ln, err := rpc.Listen("127.0.0.1:0")
	lost := errors.New("the vault is sealed")
	client := dial(t, serve(t, srv, ln, err), OverLoopback(func(ctx context.Context) (string, error) {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", lost
	}))
	_, err = whoami(t, client)
	assert.ErrorIs(t, err, lost)
	assert.EqualError(t, err, "rpc: unauthenticated: auth: no token: the vault is sealed")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, client.Call(ctx, "Inventory.WhoAmI", nil, nil), rpc.Canceled)
	assert.Zero(t, runs.Load())
}

func TestClient_CallKeepsTheAuthorizationThatItBrings(t *testing.T) {
	srv, _ := guarded(t, newGuard(t, Nobody(), rules), "Inventory.WhoAmI")
	ln, err := rpc.Listen("127.0.0.1:0")
	client := dial(t, serve(t, srv, ln, err), OverLoopback(Static(annsToken)))
	ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{MetadataKey: "Bearer " + bobsToken})
	var who string
	require.NoError(t, client.Call(ctx, "Inventory.WhoAmI", nil, &who))
	assert.Equal(t, "bob", who)
}

func TestOverLoopback_ConnectsToThisMachineOnly(t *testing.T) {
	srv, _ := guarded(t, newGuard(t, Nobody(), rules), "Inventory.WhoAmI")
	ln, err := rpc.Listen("unix:" + filepath.Join(t.TempDir(), "s"))
	addr := serve(t, srv, ln, err)
	who, err := whoami(t, dial(t, "unix:"+addr, OverLoopback(Static(annsToken))))
	require.NoError(t, err)
	assert.Equal(t, "ann", who)

	elsewhere := []string{"192.0.2.1:7000", "[::ffff:192.0.2.1]:7000"} // RFC 5737: for documentation
	if probe, err := net.Listen("tcp6", "[::1]:0"); err == nil {
		probe.Close()
		elsewhere = append(elsewhere, "[2001:db8::1]:7000", "[::127.0.0.1]:7000")
	}
	for _, addr := range elsewhere {
		client, err := rpc.Dial(t.Context(), addr, OverLoopback(Static(annsToken)))
		assert.Nil(t, client)
		assert.ErrorIs(t, err, rpc.FailedPrecondition, addr)
		assert.ErrorContains(t, err, "is not this machine: a token goes there over TLS only")
	}
	pool := rpc.NewPool(rpc.StaticResolver{elsewhere[0]}, OverLoopback(Static(annsToken)))
	defer pool.Close()
	_, err = whoami(t, pool)
	assert.ErrorIs(t, err, rpc.FailedPrecondition)
}

func TestOverTLS_SendsNothingToAStranger(t *testing.T) {
	made := httptest.NewTLSServer(nil) // for its certificate
	cfg, roots := &tls.Config{Certificates: made.TLS.Certificates}, x509.NewCertPool()
	roots.AddCert(made.Certificate())
	made.Close()
	g := newGuard(t, Nobody(), rules)
	srv := rpc.NewServer(rpc.WithTLS(cfg), rpc.WithAuthorize(g.Authorize))
	require.NoError(t, srv.RegisterFunc("Inventory.WhoAmI", func(ctx context.Context) string { return rpc.IdentityFrom(ctx).Name }))
	ln, err := rpc.Listen("127.0.0.1:0")
	addr := serve(t, srv, ln, err)

	who, err := whoami(t, dial(t, addr, OverTLS(&tls.Config{RootCAs: roots}, Static(annsToken))))
	require.NoError(t, err)
	assert.Equal(t, "ann", who)

	for name, cfg := range map[string]*tls.Config{"unknown root": nil, "another name": {RootCAs: roots, ServerName: "elsewhere.invalid"}} {
		asked := false
		_, err = rpc.Dial(t.Context(), addr, rpc.WithClientOptions(OverTLS(cfg, func(context.Context) (string, error) { asked = true; return annsToken, nil }), rpc.WithMaxAttempts(1)))
		assert.ErrorIs(t, err, rpc.Unavailable, name)
		assert.False(t, asked, name)
	}
}

func TestOverTLS_ServerWithoutTLSGetsNoToken(t *testing.T) {
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	said := make(chan []byte, 1)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		buf := make([]byte, 4096)
		n, _ := conn.Read(buf)
		conn.Write([]byte("\x93RPC\x01\x00\t\x00\x00\x00\x04\x00\x00@\x00\x00")) // as if all were well
		said <- buf[:n]
	}()
	_, err = rpc.Dial(t.Context(), ln.Addr().String(), rpc.WithClientOptions(OverTLS(nil, Static(annsToken)), rpc.WithMaxAttempts(1)))
	assert.ErrorIs(t, err, rpc.Unavailable)
	hello := <-said
	require.NotEmpty(t, hello)
	assert.Equal(t, byte(22), hello[0], "a TLS handshake")
	assert.NotContains(t, string(hello), annsToken)
}
