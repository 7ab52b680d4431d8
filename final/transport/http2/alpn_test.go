package http2

import (
	"crypto/tls"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// With TLS the handshake says whether the server speaks HTTP/2. A Dialer that then
// sent HTTP/1.1 would wait until its deadline for a body that never ends.
func TestDial_ServerWithoutHTTP2IsRefusedAtOnce(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.issue("shop")}})
	require.NoError(t, err)
	srv := newService().server(t) // over TLS, not over HTTP/2
	go srv.Serve(ln)

	dialer := newDialer(t, &tls.Config{RootCAs: ca.pool})
	_, err = rpc.Dial(bounded(t), ln.Addr().String(), rpc.WithDialer(dialer.Dial))
	assert.ErrorIs(t, err, rpc.Unimplemented)
	assert.ErrorContains(t, err, "the server does not speak HTTP/2")
	require.NoError(t, srv.Shutdown(bounded(t)))
}

func TestDial_KeepsTheChecksOfItsTLSConfig(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	s := serve(t, newService().server(t), &tls.Config{Certificates: []tls.Certificate{ca.issue("shop")}})
	cfg := &tls.Config{RootCAs: ca.pool, VerifyConnection: func(tls.ConnectionState) error { return errors.New("not the server that I know") }}
	_, err := newDialer(t, cfg).Dial(bounded(t), s.addr)
	assert.ErrorContains(t, err, "not the server that I know")
}
