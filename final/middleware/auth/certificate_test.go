package auth

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// authority signs certificates for one test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert = &x509.Certificate{Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	var der []byte
	der, a.key = a.sign(a.cert)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

// sign signs cert, the authority's own at first.
func (a *authority) sign(cert *x509.Certificate) (der []byte, key *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	cert.SerialNumber = big.NewInt(1)
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	signer := a.key
	if signer == nil {
		signer = key
	}
	der, err = x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), signer)
	require.NoError(a.t, err)
	return der, key
}

// issue makes a certificate with these names.
func (a *authority) issue(commonName string, dns []string, uris ...string) tls.Certificate {
	a.t.Helper()
	cert := &x509.Certificate{
		Subject: pkix.Name{CommonName: commonName}, DNSNames: dns, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, text := range uris {
		uri, err := url.Parse(text)
		require.NoError(a.t, err)
		cert.URIs = append(cert.URIs, uri)
	}
	der, key := a.sign(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// mutual is a server's configuration that verifies the certificates of clients that have one.
func (a *authority) mutual() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{a.issue("server", nil)},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: a.roots(),
	}
}

// guardedOverTLS serves one method for each rule and returns the address.
func guardedOverTLS(t *testing.T, cfg *tls.Config, rules Rules) string {
	t.Helper()
	srv := rpc.NewServer(rpc.WithTLS(cfg), rpc.WithAuthorize(newGuard(t, Nobody(), rules).Authorize))
	for method := range rules {
		require.NoError(t, srv.RegisterFunc(method, func(ctx context.Context) string { return rpc.IdentityFrom(ctx).Name }))
	}
	ln, err := rpc.Listen("127.0.0.1:0")
	return serve(t, srv, ln, err)
}

func TestCertificate_EachRuleForEachCaller(t *testing.T) {
	ca := newAuthority(t)
	const spiffe = "spiffe://shop/orders"
	addr := guardedOverTLS(t, ca.mutual(), Rules{
		"A.Certified": Certified(),
		"A.URI":       Certificate(spiffe),
		"A.DNS":       Certificate("orders.shop"),
		"A.Common":    Certificate("orders"),
		"A.Known":     Known(),
		"A.Either":    Any(Only("ann"), Certificate(spiffe, "orders.shop")),
		"A.Both":      All(Known(), Certificate("orders.shop")),
		"A.Nobody":    Nobody(),
	})
	const yes, who, no = rpc.OK, rpc.Unauthenticated, rpc.PermissionDenied
	methods := [...]string{"A.Certified", "A.URI", "A.DNS", "A.Common", "A.Known", "A.Either", "A.Both", "A.Nobody"}
	for _, c := range []struct {
		about    string
		cert     *tls.Certificate
		token    string
		want     [len(methods)]rpc.Code
		identity string
	}{
		{"a stranger", nil, "", [...]rpc.Code{who, who, who, who, who, who, who, who}, ""},
		{"a token only", nil, annsToken, [...]rpc.Code{who, who, who, who, yes, yes, who, no}, "ann"},
		{"another's token", nil, bobsToken, [...]rpc.Code{who, who, who, who, yes, no, who, no}, "bob"},
		{"a URI", issued(ca.issue("orders", []string{"orders.shop"}, "spiffe://shop/first", spiffe)), "", [...]rpc.Code{yes, yes, yes, no, who, yes, who, who}, "spiffe://shop/first"},
		{"a URI and a token", issued(ca.issue("", []string{"orders.shop"}, spiffe)), annsToken, [...]rpc.Code{yes, yes, yes, no, yes, yes, yes, no}, "ann"},
		{"the second DNS name", issued(ca.issue("", []string{"first.shop", "orders.shop"})), "", [...]rpc.Code{yes, no, yes, no, who, yes, who, who}, "first.shop"},
		{"a common name", issued(ca.issue("orders", nil)), "", [...]rpc.Code{yes, no, no, yes, who, no, no, who}, "orders"},
		{"a common name like a DNS name", issued(ca.issue("orders.shop", nil)), "", [...]rpc.Code{yes, no, yes, no, who, yes, who, who}, "orders.shop"},
		{"a common name beside another DNS name", issued(ca.issue("orders.shop", []string{"other.shop"})), bobsToken, [...]rpc.Code{yes, no, no, no, yes, no, no, no}, "bob"},
		{"a common name like a URI", issued(ca.issue(spiffe, nil)), "", [...]rpc.Code{yes, no, no, no, who, no, no, who}, ""},
		{"a DNS name like a URI", issued(ca.issue("", []string{spiffe})), "", [...]rpc.Code{yes, no, no, no, who, no, no, who}, ""},
		{"another spelling", issued(ca.issue("Orders", []string{"Orders.shop", "*.shop"}, "spiffe://shop/orders/")), "", [...]rpc.Code{yes, no, no, no, who, no, no, who}, "spiffe://shop/orders/"},
	} {
		cfg := &tls.Config{RootCAs: ca.roots()}
		if c.cert != nil {
			cfg.Certificates = []tls.Certificate{*c.cert}
		}
		client := dial(t, addr, rpc.WithTLS(cfg))
		ctx := t.Context()
		if c.token != "" {
			ctx = rpc.AddMetadata(ctx, rpc.Metadata{MetadataKey: "Bearer " + c.token})
		}
		for i, method := range methods {
			var identity string
			err := client.Call(ctx, method, nil, &identity)
			assert.Equal(t, c.want[i], rpc.CodeOf(err), "%s: %s: %v", c.about, method, err)
			if err == nil {
				assert.Equal(t, c.identity, identity, "%s: %s", c.about, method)
				continue
			}
			assert.True(t, rpc.NeverRan(err), "%s: %s", c.about, method)
		}
	}
}

func issued(c tls.Certificate) *tls.Certificate { return &c }

// A certificate that the server has not verified proves nothing.
func TestCertificate_UnverifiedIsNone(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	cfg := ca.mutual()
	cfg.ClientAuth = tls.RequestClientCert
	addr := guardedOverTLS(t, cfg, Rules{"A.Certified": Certified(), "A.DNS": Certificate("orders.shop")})
	client := dial(t, addr, rpc.WithTLS(&tls.Config{
		RootCAs:      ca.roots(),
		Certificates: []tls.Certificate{other.issue("", []string{"orders.shop"})},
	}))
	for _, method := range []string{"A.Certified", "A.DNS"} {
		err := client.Call(t.Context(), method, nil, nil)
		assert.ErrorIs(t, err, rpc.Unauthenticated)
		assert.ErrorContains(t, err, "no verified client certificate")
	}
}

func TestCertificate_RefusalsSayWhatIsMissing(t *testing.T) {
	ca := newAuthority(t)
	addr := guardedOverTLS(t, ca.mutual(), Rules{
		"A.Either": Any(Known(), Certificate("orders.shop")), "A.DNS": Certificate("orders.shop"), "A.Known": Known(),
	})
	stranger := dial(t, addr, rpc.WithTLS(&tls.Config{RootCAs: ca.roots()}))
	other := dial(t, addr, rpc.WithTLS(&tls.Config{RootCAs: ca.roots(), Certificates: []tls.Certificate{ca.issue("", []string{"other.shop"})}}))
	wrong := rpc.AddMetadata(t.Context(), rpc.Metadata{MetadataKey: "Bearer wrong-but-long-enough"})
	for want, err := range map[string]error{
		"unauthenticated: no token, and no verified client certificate":            stranger.Call(t.Context(), "A.Either", nil, nil),
		"unauthenticated: no verified client certificate":                          stranger.Call(wrong, "A.DNS", nil, nil),
		"unauthenticated: the token is not valid":                                  stranger.Call(wrong, "A.Either", nil, nil),
		"unauthenticated: no token: want the metadata authorization: Bearer TOKEN": stranger.Call(t.Context(), "A.Known", nil, nil),
		"permission_denied: other.shop may not call A.DNS":                         other.Call(t.Context(), "A.DNS", nil, nil),
		"permission_denied: other.shop may not call A.Either":                      other.Call(t.Context(), "A.Either", nil, nil),
	} {
		assert.EqualError(t, err, want)
	}
}

func TestNew_RefusesCertificateRulesThatGuardNothing(t *testing.T) {
	for want, rule := range map[string]Rule{
		"Certificate without names": Certificate(),
		"name is empty":             Certificate("orders.shop", ""),
		"no wildcards":              Certificate("*.shop"),
		"want one line":             Certificate("two\nlines"),
		"invalid URL escape":        Certificate("spiffe://%zz"),
		"Any and All want rules":    Any(),
		"Only without identities":   All(Known(), Any(Only())),
		"an identity is empty":      Any(Only("")),
	} {
		_, err := New(NoTokens, Nobody(), Rules{"A.B": rule})
		assert.ErrorContains(t, err, want)
		_, err = New(NoTokens, rule, nil)
		assert.ErrorContains(t, err, want)
	}
}
