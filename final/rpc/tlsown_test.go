package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One configuration for an RPC server and an http.Server is usual, and the latter
// writes to its own: "h2" would be offered here, too, where it is not spoken.
func TestTLS_TheConfigurationIsAsItWasGiven(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}
	srv := NewServer(WithServerTLS(cfg))
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	go srv.Serve(ln)
	defer srv.Close()
	own := &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}
	pool := NewPool(StaticResolver{ln.Addr().String()}, WithTLS(own))
	defer pool.Close()

	cfg.NextProtos = []string{"h2"}
	own.ServerName = "other.example"
	conn, err := tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.pool, NextProtos: []string{"h2"}})
	require.NoError(t, err)
	defer conn.Close()
	assert.Empty(t, conn.ConnectionState().NegotiatedProtocol)
	assert.ErrorIs(t, pool.Call(t.Context(), "No.Method", nil, nil), Unimplemented)
}
