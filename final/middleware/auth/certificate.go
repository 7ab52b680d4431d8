package auth

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"example.com/rpc-from-scratch/final/rpc"
)

// Certified allows every caller that has a client certificate which the server
// has verified: see rpc.WithTLS. It needs no token.
func Certified() Rule { return Rule{who: certified} }

// Certificate allows callers that have a verified client certificate with one
// of these names. A name that reads like a URI ("spiffe://shop/orders") must be
// a URI among the certificate's alternative names. Any other name must be a DNS
// name among them or, if the certificate has neither, its common name. Names
// are compared byte by byte; there are no wildcards.
func Certificate(names ...string) Rule {
	return Rule{who: named, only: slices.Clone(names)}
}

// Any allows a caller that one of the rules allows.
//
//	auth.Any(auth.Only("ann"), auth.Certificate("orders.shop"))
func Any(rules ...Rule) Rule { return Rule{who: anyOf, rules: slices.Clone(rules)} }

// All allows a caller that all of the rules allow: for example one with the
// right token, over a connection with the right certificate.
//
//	auth.All(auth.Only("ann"), auth.Certificate("orders.shop"))
func All(rules ...Rule) Rule { return Rule{who: allOf, rules: slices.Clone(rules)} }

// NoTokens is the [Verify] of a server that knows its callers by certificates only:
// no token is valid.
func NoTokens(context.Context, string) (rpc.Identity, bool) { return rpc.Identity{}, false }

// certificateOf returns the verified client certificate of a call; nil if there is none.
func certificateOf(ctx context.Context) *x509.Certificate {
	peer, ok := rpc.PeerFrom(ctx)
	if !ok || peer == nil || peer.TLS == nil || len(peer.TLS.VerifiedChains) == 0 {
		return nil
	}
	return peer.TLS.PeerCertificates[0]
}

// hasName reports whether a certificate vouches for name.
func hasName(cert *x509.Certificate, name string) bool {
	if isURI(name) {
		return slices.ContainsFunc(cert.URIs, func(uri *url.URL) bool { return uri.String() == name })
	}
	if len(cert.URIs) == 0 && len(cert.DNSNames) == 0 {
		return cert.Subject.CommonName == name
	}
	return slices.Contains(cert.DNSNames, name)
}

func isURI(name string) bool {
	uri, err := url.Parse(name)
	return err == nil && uri.IsAbs()
}

// checkNames finds mistakes in the names of a [Certificate].
func checkNames(names []string) error {
	if len(names) == 0 {
		return fmt.Errorf("Certificate without names: name at least one, or use Certified to allow every verified certificate")
	}
	for _, name := range names {
		_, err := url.Parse(name)
		switch {
		case name == "":
			return fmt.Errorf("a certificate's name is empty")
		case strings.Contains(name, "*"):
			return fmt.Errorf("the certificate's name %q: there are no wildcards", name)
		case strings.ContainsFunc(name, unicode.IsControl):
			return fmt.Errorf("the certificate's name %q: want one line", name)
		case strings.Contains(name, "://") && err != nil:
			return fmt.Errorf("the certificate's name %q: %w", name, err)
		}
	}
	return nil
}
