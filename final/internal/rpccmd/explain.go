package rpccmd

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	"example.com/rpc-from-scratch/final/rpc"
)

// wsaConnRefused is Windows' connection refused; no other system numbers its
// errors so high.
const wsaConnRefused = syscall.Errno(10061)

// explainDial adds the likely reason why there is no connection.
func (o *options) explainDial(t target, err error) error {
	var noHost *net.DNSError
	var coded *rpc.Error
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaConnRefused):
		return hint(err, "no server listens there: is it running?")
	case errors.As(err, &noHost):
		return hint(err, "is the host's name right?")
	case rpc.CodeOf(err) == rpc.DeadlineExceeded:
		return hint(err, "no answer within -timeout %v: is it an RPC server?", o.timeout)
	case errors.As(err, &coded) && coded.Remote() && coded.Code == rpc.Unimplemented:
		return hint(err, "the server does not offer this codec; every server has -codec json")
	case errors.As(err, &coded) && !coded.Remote() && coded.Code == rpc.FailedPrecondition: // package auth's
		return hint(err, "-tls; or -H @FILE with authorization=Bearer TOKEN, which is sent over any connection; or no token: unset "+tokenVariable)
	}
	explained := err
	if o.tls.wanted() || t.tls {
		explained = explainTLS(err)
	}
	switch {
	case explained != err:
		return explained
	case t.tls && hungUp(err): // its alert was not read in time
		return hint(err, "it hung up: no HTTP/2 there, or one that wants a certificate that it trusts (-cert, -key)?")
	case t.http && hungUp(err):
		return hint(err, "it hung up: no HTTP/2 there, or one with TLS (https://)?")
	}
	return explainHello(err)
}

// hungUp reports whether the peer ended the connection. Of net/http's words for it
// one is not exported.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) ||
		errors.Is(err, syscall.EPIPE) || strings.HasSuffix(err.Error(), "http2: client conn could not be established")
}

// explainTLS is about certificates, and servers that do not have any.
func explainTLS(err error) error {
	var plain tls.RecordHeaderError
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	var op *net.OpError
	switch {
	case errors.As(err, &plain):
		return hint(err, "the server does not speak TLS: leave the TLS flags out?")
	case errors.As(err, &unknownCA):
		return hint(err, "name the authority that signed the server's certificate: -ca FILE")
	case errors.As(err, &wrongHost):
		return hint(err, "name the host in the server's certificate: -server-name NAME")
	case errors.As(err, &op) && op.Op == "remote error" && op.Err.Error() == "tls: no application protocol":
		return hint(err, "no HTTP/2 there: leave https:// out, with -tls")
	case errors.As(err, &op) && op.Op == "remote error":
		return hint(err, "the server wants a certificate that it trusts: -cert FILE -key FILE")
	}
	return err
}

// badAddress is the error of an address that was not even tried.
func badAddress(err *rpc.Error) error {
	inner := errors.Unwrap(err)
	if coded, ok := inner.(*rpc.Error); ok {
		return usagef("%s", coded.Message)
	}
	return usagef("%w", cmp.Or(inner, error(err)))
}

// explainHello is about a peer that accepted the connection but did not say hello,
// and an address that cannot be.
func explainHello(err error) error {
	var coded *rpc.Error
	if !errors.As(err, &coded) || coded.Remote() {
		return err
	}
	switch {
	case coded.Code == rpc.InvalidArgument && !strings.Contains(coded.Message, ": protocol: "):
		return badAddress(coded)
	case coded.Code == rpc.InvalidArgument:
		return hint(err, "what listens there is no RPC server")
	case hungUp(err):
		return hint(err, "it hung up without a word: no RPC server, or one that wants TLS (-tls) or a certificate (-cert, -key)?")
	}
	return err
}
