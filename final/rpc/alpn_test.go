package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// agreed returns the protocol's name that a client which offers some gets from a server,
// once the server has accepted its hello.
func agreed(t *testing.T, addr string, ca *authority, offers ...string) (string, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: ca.pool, NextProtos: offers})
	if err != nil {
		return "", err
	}
	defer conn.Close()
	hello := wire.ClientHello{Codec: "json", MaxMessage: 1 << 20}
	_, err = conn.Write(hello.Append(nil))
	require.NoError(t, err)
	body, err := wire.ReadHello(conn, wire.MaxHello)
	require.NoError(t, err)
	_, err = parseServerHello(body)
	require.NoError(t, err)
	return conn.ConnectionState().NegotiatedProtocol, nil
}

func TestALPN_IsAgreedUponAndOtherProtocolsAreRefused(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	cert := []tls.Certificate{ca.issue(func(*x509.Certificate) {})}
	web := []string{"h2", "http/1.1"}
	for about, cfg := range map[string]*tls.Config{
		"none":             {Certificates: cert},
		"an http.Server's": {Certificates: cert, NextProtos: slices.Clone(web)},
		"GetConfigForClient": {GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: cert, NextProtos: web}, nil
		}},
		"GetConfigForClient 2": {Certificates: cert, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, nil }},
		"a name of its own":    {Certificates: cert, NextProtos: []string{"shop", alpn}},
	} {
		before := slices.Clone(cfg.NextProtos)
		addr := listen(t, newInventory().server(t, WithTLS(cfg)))
		for _, offers := range [][]string{{alpn}, {"shop", alpn}, {"h2", alpn}} {
			name, err := agreed(t, addr, ca, offers...)
			require.NoError(t, err, about)
			assert.Equal(t, alpn, name, about)
		}
		name, err := agreed(t, addr, ca)
		require.NoError(t, err, "%s: a client that offers none", about)
		assert.Empty(t, name)
		for _, offers := range [][]string{web, {"http/1.1"}, {"ftp"}} {
			_, err := agreed(t, addr, ca, offers...)
			assert.ErrorContains(t, err, "no application protocol", "%s: %v", about, offers)
		}
		if about == "a name of its own" {
			name, err := agreed(t, addr, ca, "shop")
			require.NoError(t, err)
			assert.Equal(t, "shop", name)
		}
		assert.Equal(t, before, cfg.NextProtos, "%s: the user's configuration is not touched", about)
	}
}

func TestALPN_OurClientsOfferIt(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	inv := newInventory()
	got := make(chan string, 1)
	inv.saw = func(ctx context.Context) {
		peer, _ := PeerFrom(ctx)
		got <- peer.TLS.NegotiatedProtocol
	}
	srv := inv.server(t, WithTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}))
	addr := listen(t, srv)
	for _, names := range [][]string{nil, {"shop"}, {"h2"}} {
		cfg := &tls.Config{RootCAs: ca.pool, NextProtos: names}
		client := dial(t, addr, WithTLS(cfg))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, alpn, <-got)
		assert.Equal(t, names, cfg.NextProtos)
		client.Close()
	}
}

// A server that knows no ALPN, as one of before, takes our clients.
func TestALPN_AServerWithoutItTakesOurClients(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	srv := newInventory().server(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	client := dial(t, ln.Addr().String(), WithTLS(&tls.Config{RootCAs: ca.pool}))
	_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
	assert.NoError(t, err)
	client.Close()
	srv.Close()
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

// In front of a server there may be what terminates TLS, and knows HTTP's names alone.
// Go's refuses all others, with an alert.
func TestALPN_OurClientsConnectWhereOnlyOtherNamesAreKnown(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	srv := newInventory().server(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}, NextProtos: []string{"h2", "http/1.1"},
	})
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	for _, names := range [][]string{nil, {"shop"}} {
		cfg := &tls.Config{RootCAs: ca.pool, NextProtos: names}
		client := dial(t, ln.Addr().String(), WithTLS(cfg))
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
		assert.Equal(t, names, cfg.NextProtos)
		client.Close()
	}
	srv.Close()
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

// A server that refuses a client without a name as well is asked twice, and no more.
func TestALPN_OurClientsDoNotInsist(t *testing.T) {
	noLeaks(t)
	hellos := make(chan []string, 10)
	refuse := func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			defer far.Close()
			server := tls.Server(far, &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				hellos <- hello.SupportedProtos
				far.Write([]byte{21, 3, 3, 0, 2, 2, 120}) // the alert no_application_protocol
				return nil, errors.New("refused")
			}})
			server.Handshake()
		}()
		return near, nil
	}
	_, err := Dial(t.Context(), "a", WithDialer(refuse), WithTLS(&tls.Config{InsecureSkipVerify: true}))
	assert.ErrorContains(t, err, "no application protocol")
	assert.Equal(t, []string{alpn}, <-hellos)
	assert.Nil(t, <-hellos)
	assert.Empty(t, hellos)
}
