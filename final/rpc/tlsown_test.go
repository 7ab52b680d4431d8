package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// One configuration for an RPC server and an http.Server is usual, and the latter
// writes to its own: "h2" would be offered here, too, where it is not spoken.
func TestTLS_TheConfigurationIsAsItWasGiven(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}
	srv := NewServer(WithTLS(cfg))
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	go srv.Serve(ln)
	defer srv.Close()
	own := &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}
	pool := newPool(t, StaticResolver{ln.Addr().String()}, WithTLS(own))

	cfg.NextProtos = []string{"h2"}
	own.ServerName = "other.example"
	_, err = tls.Dial("tcp", ln.Addr().String(), &tls.Config{RootCAs: ca.pool, NextProtos: []string{"h2"}})
	assert.ErrorContains(t, err, "no application protocol")
	assert.ErrorIs(t, pool.Call(t.Context(), "No.Method", nil, nil), Unimplemented)
}

// ownTLS is a listener such as that of transport/http2.
type ownTLS struct{ net.Listener }

func (ownTLS) OwnTLS() {}

// TLS within TLS is a mistake of the one who has set up the server: no client could
// make a call.
func TestServe_RefusesTLSWhereTheListenerHasItsOwn(t *testing.T) {
	cfg := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}
	ln, err := Listen("127.0.0.1:0")
	require.NoError(t, err)
	srv := newServer(t, WithTLS(cfg))
	err = srv.Serve(ownTLS{ln})
	assert.ErrorIs(t, err, InvalidArgument)
	assert.ErrorContains(t, err, "WithTLS, and a rpc.ownTLS")
}
