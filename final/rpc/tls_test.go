package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// authority signs certificates for tests.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{t: t, cert: cert, key: key, pool: pool}
}

func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	change(cert)
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestTLS_IdentityReachesTheHandler(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	inv := newInventory()
	var mu sync.Mutex
	var identity string
	inv.saw = func(ctx context.Context) {
		peer, _ := PeerFrom(ctx)
		mu.Lock()
		defer mu.Unlock()
		identity = IdentityFrom(ctx).Name
		assert.NotNil(t, peer.TLS)
	}
	srv := inv.server(t, WithTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.pool,
	}))
	addr := listen(t, srv)
	spiffe, _ := url.Parse("spiffe://shop/orders")
	for want, change := range map[string]func(*x509.Certificate){
		"orders":               func(c *x509.Certificate) { c.Subject.CommonName = "orders" },
		"orders.shop":          func(c *x509.Certificate) { c.DNSNames = []string{"orders.shop"} },
		"spiffe://shop/orders": func(c *x509.Certificate) { c.URIs = []*url.URL{spiffe}; c.DNSNames = []string{"orders.shop"} },
		"second.shop":          func(c *x509.Certificate) { c.DNSNames = []string{"spiffe://shop/orders", "second.shop"} },
		"CN beside a DNS name": func(c *x509.Certificate) {
			c.DNSNames, c.Subject.CommonName = []string{"spiffe://shop/orders"}, "CN beside a DNS name"
		},
		"": func(c *x509.Certificate) { c.Subject.CommonName = "spiffe://shop/orders" },
	} {
		client := dial(t, addr, WithTLS(&tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue(change)}}))
		for range 3 {
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		}
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "huge"})
		require.NoError(t, err)
		mu.Lock()
		assert.Equal(t, want, identity)
		mu.Unlock()
		client.Close()
	}
}

// A certificate authority that signs any common name or DNS name does not vouch
// for URIs: only a URI among the alternative names is one.
func TestIdentityOf_OnlyAURIIsAURI(t *testing.T) {
	spiffe := &url.URL{Scheme: "spiffe", Host: "shop", Path: "/orders"}
	for name, uri := range map[string]bool{
		"spiffe://shop/orders": true, "SPIFFE://shop/orders": true, "urn:shop:orders": true, "https://orders.shop": true,
		"x+y-z.1:": true, "mailto:ann@shop": true,
		"orders": false, "orders.shop": false, "*.shop": false, "//shop/orders": false, ":orders": false, "Ann: orders": true,
		"Jane Doe": false, "two words: and a colon": false, "::1": false,
	} {
		for about, cert := range map[string]*x509.Certificate{
			"common name": {Subject: pkix.Name{CommonName: name}},
			"DNS name":    {DNSNames: []string{name}},
		} {
			want := name
			if uri {
				want = ""
			}
			state := &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert}, VerifiedChains: [][]*x509.Certificate{{cert}}}
			assert.Equal(t, want, IdentityOf(state), "%s %q", about, name)
			cert.URIs = []*url.URL{spiffe}
			assert.Equal(t, "spiffe://shop/orders", IdentityOf(state), "%s %q beside a URI", about, name)
			state.VerifiedChains = nil
			assert.Empty(t, IdentityOf(state), "a certificate that is not verified")
		}
	}
	two := &x509.Certificate{Subject: pkix.Name{CommonName: "two\nlines"}}
	assert.Empty(t, IdentityOf(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{two}, VerifiedChains: [][]*x509.Certificate{{two}}}))
	assert.Empty(t, IdentityOf(nil))
}

func TestInvoke_WithoutPeerOrCodec(t *testing.T) {
	inv := newInventory()
	identity := "?"
	inv.saw = func(ctx context.Context) { identity = IdentityFrom(ctx).Name }
	srv := inv.server(t)
	_, err := srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: JSON, Params: []byte(`{}`)})
	require.NoError(t, err)
	assert.Empty(t, identity)
	for _, codec := range []Codec{nil, (*namedCodec)(nil)} {
		_, err = srv.Invoke(t.Context(), Invocation{Method: checkStock.Name(), Codec: codec})
		assert.ErrorIs(t, err, InvalidArgument)
		assert.ErrorContains(t, err, "Invoke: the codec is nil")
	}
}

func TestTLS_StrangersAreRefusedWithACause(t *testing.T) {
	noLeaks(t)
	ca, other := newAuthority(t), newAuthority(t)
	srv := newInventory().server(t, WithTLS(&tls.Config{
		Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    ca.pool,
	}))
	addr := listen(t, srv)
	_, err := Dial(t.Context(), addr, WithTLS(&tls.Config{RootCAs: other.pool}))
	assert.ErrorIs(t, err, Unavailable)
	assert.ErrorContains(t, err, "certificate signed by unknown authority")
	_, err = Dial(t.Context(), addr, WithTLS(&tls.Config{RootCAs: ca.pool}))
	assert.ErrorIs(t, err, Unavailable, "no client certificate")
	_, err = Dial(t.Context(), addr)
	assert.ErrorIs(t, err, Unavailable, "no TLS at all")
	assert.ErrorContains(t, err, "hello: EOF: the server closed the connection without an answer, as one that wants TLS does")
	assert.ErrorIs(t, err, io.EOF)
	assert.True(t, NeverRan(err))
}

// A socket in the file system has no host, so only ServerName says whose certificate it is.
func TestTLS_AUnixSocketNeedsAServerName(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	shop := func(cert *x509.Certificate) { cert.DNSNames = []string{"inventory.shop"} }
	srv := newInventory().server(t, WithTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(shop)}}))
	addr := "unix:" + filepath.Join(t.TempDir(), "s")
	ln, err := Listen(addr)
	require.NoError(t, err)
	served := make(chan error)
	go func() { served <- srv.Serve(ln) }()

	_, err = Dial(t.Context(), addr, WithTLS(&tls.Config{RootCAs: ca.pool}))
	assert.ErrorIs(t, err, InvalidArgument)
	assert.ErrorContains(t, err, "WithTLS: a Unix socket has no host that a certificate could name: set ServerName")
	assert.True(t, NeverRan(err))
	pool := NewPool(StaticResolver{addr}, WithTLS(&tls.Config{RootCAs: ca.pool}))
	err = pool.Call(t.Context(), "A.B", nil, nil) // without a deadline: it must not wait
	assert.ErrorIs(t, err, InvalidArgument)
	pool.Close()
	for _, cfg := range []*tls.Config{{RootCAs: ca.pool, ServerName: "inventory.shop"}, {InsecureSkipVerify: true}} {
		client, err := Dial(t.Context(), addr, WithTLS(cfg))
		require.NoError(t, err)
		client.Close()
	}
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

func TestTLS_LargeMessagesAndShutdown(t *testing.T) {
	noLeaks(t)
	ca := newAuthority(t)
	srv := newInventory().server(t, WithTLS(&tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}))
	client := dial(t, listen(t, srv), WithTLS(&tls.Config{RootCAs: ca.pool}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: strings.Repeat("y", 300_000)})
			if assert.NoError(t, err) {
				assert.Len(t, reply.Item, 300_000)
			}
		})
	}
	wg.Wait()
	require.NoError(t, srv.Shutdown(t.Context()))
}
