package rpc

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// Metadata is pairs of text that travel beside the params. Keys are 1 to 128
// bytes of a-z, 0-9, '-', '_' and '.'; values are one line of UTF-8. There are
// at most 128 pairs. Together, with four bytes more for each pair, they may
// take 8 KiB, unless the server is set otherwise: see [WithMaxMetadata].
type Metadata map[string]string

// check reports the first pair that may not travel, or that there are too many.
func (m Metadata) check() error {
	if len(m) > wire.MaxPairs {
		return fmt.Errorf("metadata of %d pairs: at most %d are allowed", len(m), wire.MaxPairs)
	}
	for k, v := range m {
		if err := checkPair(k, v); err != nil {
			return err
		}
	}
	return nil
}

func checkPair(k, v string) error {
	if k == "" || len(k) > 128 {
		return fmt.Errorf("metadata key of %d bytes", len(k))
	}
	for _, c := range []byte(k) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return fmt.Errorf("metadata key %q: only a-z, 0-9, '-', '_' and '.' are allowed", k)
		}
	}
	if !oneLine(v) {
		return fmt.Errorf("metadata %s: the value is not one line of UTF-8", k)
	}
	return nil
}

// oneLine reports whether s is valid UTF-8 without control characters.
func oneLine(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return false
		}
	}
	return utf8.ValidString(s)
}

// Peer is the other end of a connection. It must not be changed.
type Peer struct {
	// Addr is the other end's address, or a Unix socket's path. It is nil only
	// for a [Server.Invoke] that does not know it.
	Addr net.Addr

	TLS *tls.ConnectionState // nil without TLS

	// Identity is the name in its verified certificate, see [IdentityOf]; "" if
	// there is none.
	Identity string

	Codec    string   // the codec's name
	Metadata Metadata // what the client said in its hello
}

func (p *Peer) setTLS(conn net.Conn) {
	secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return
	}
	state := secure.ConnectionState()
	p.TLS = &state
	p.Identity = IdentityOf(&state)
}

// IdentityOf names the holder of a verified client certificate: its first URI
// (SPIFFE's way), else its first DNS name, else its common name. It skips a DNS
// name or a common name that reads like a URI ("spiffe://…", "urn:…"), because
// a certificate authority that signs any common name does not vouch for URIs by
// it. It also skips a name that is not one line of UTF-8. It returns "" if
// there is no certificate, no name, or if the certificate was not verified;
// state may be nil.
func IdentityOf(state *tls.ConnectionState) string {
	if state == nil || len(state.VerifiedChains) == 0 {
		return ""
	}
	cert := state.PeerCertificates[0]
	if len(cert.URIs) > 0 {
		return cert.URIs[0].String()
	}
	for _, name := range append(slices.Clone(cert.DNSNames), cert.Subject.CommonName) {
		if name != "" && oneLine(name) && !isURI(name) {
			return name
		}
	}
	return ""
}

// isURI reports whether name begins with a scheme (RFC 3986, section 3.1).
func isURI(name string) bool {
	scheme, _, found := strings.Cut(name, ":")
	bad := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
	}
	return found && scheme != "" && !strings.ContainsFunc(scheme, bad)
}

// Keys under which a handler's context answers.
type (
	callKey    struct{}             // *serverCall, on the server
	optionsKey = values.CallOptions // *callOptions, on the client
)

// PeerFrom returns the peer of the call that ctx belongs to, in handlers,
// interceptors and hooks of a server. Elsewhere it returns false.
func PeerFrom(ctx context.Context) (*Peer, bool) {
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok {
		return nil, false
	}
	return call.peer, true
}

// IdentityFrom returns who makes the call: what Authorize hooks have found
// out. If they have not returned a Name, it is that of the peer's TLS
// certificate, or "". It works where [PeerFrom] does; elsewhere it returns the
// zero value.
func IdentityFrom(ctx context.Context) Identity {
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok {
		return Identity{}
	}
	id := call.identity
	if id.Name == "" {
		id.Name = call.peer.Identity
	}
	return id
}

// MetadataFrom returns the metadata of the call that ctx belongs to; nil if it
// has none, or if ctx is not of a call on a server. It must not be changed.
func MetadataFrom(ctx context.Context) Metadata {
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok {
		return nil
	}
	return call.metadata
}

// MethodFrom returns the full name of the method of the call that ctx belongs
// to, in handlers, interceptors and hooks of a server. Elsewhere, and for a
// method that does not exist, it returns "".
func MethodFrom(ctx context.Context) string {
	call, ok := ctx.Value(callKey{}).(*serverCall)
	if !ok || call.method == nil {
		return ""
	}
	return call.method.info.Name
}

// callOptions is what a caller attached to its context. Immutable.
type callOptions struct {
	metadata   Metadata
	idempotent []string      // names of methods
	frozen     *frozenParams // of a call made by Go; nil: params are sent as they are
	headers    *headerVars   // that the header of the reply is wanted in; nil: in none

	// header is where the reply's is left for the headerScope around the call; nil: it is not wanted.
	header *atomic.Pointer[Metadata]
}

func optionsFrom(ctx context.Context) *callOptions {
	if o, ok := ctx.Value(optionsKey{}).(*callOptions); ok {
		return o
	}
	return &noOptions
}

var noOptions callOptions

// withoutCallOptions returns ctx without what a caller attached to it.
func withoutCallOptions(ctx context.Context) context.Context {
	if optionsFrom(ctx) == &noOptions {
		return ctx
	}
	return context.WithValue(ctx, optionsKey{}, &noOptions)
}

// AddMetadata returns a context whose calls carry md, added to the metadata
// that ctx's calls carry already; a key that they have already gets its new
// value. It copies md. Pairs that may not travel, or too many of them, fail the
// call with InvalidArgument, and too many bytes with ResourceExhausted (see
// [Metadata] and [WithMaxMetadata]). A handler's own calls do not carry the
// metadata that it received.
func AddMetadata(ctx context.Context, md Metadata) context.Context {
	o := *optionsFrom(ctx)
	merged := make(Metadata, len(o.metadata)+len(md))
	maps.Copy(merged, o.metadata)
	maps.Copy(merged, md)
	o.metadata = merged
	return context.WithValue(ctx, optionsKey{}, &o)
}

// OutgoingMetadata returns what [AddMetadata] has added to ctx, for
// interceptors of a client. It must not be changed; nil if there is none.
func OutgoingMetadata(ctx context.Context) Metadata { return optionsFrom(ctx).metadata }

// MarkIdempotent returns a context in which calls of these methods, and of
// those that ctx marks already, may be repeated when it is not known whether
// they ran: after a lost connection, or when a server that ran them asks for a
// pause (see [RetryAfter]). Calls of other methods are not changed by it,
// whoever makes them with the context. An [IdempotentMethod] needs no mark.
func MarkIdempotent(ctx context.Context, methods ...string) context.Context {
	o := *optionsFrom(ctx)
	o.idempotent = append(slices.Clip(o.idempotent), methods...)
	return context.WithValue(ctx, optionsKey{}, &o)
}

// mayRepeat reports whether a call of method may be repeated though it may have run.
func mayRepeat(ctx context.Context, method string) bool {
	return slices.Contains(optionsFrom(ctx).idempotent, method)
}
