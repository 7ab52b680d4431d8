package rpccmd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/rpc"
)

// hinted is an error with a line on what might help.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// report prints err as "rpc: not_found: unknown item: item9", the details that
// came with it and what might help, and returns the exit code.
func report(w io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(w, "rpc: %s\n", strings.TrimPrefix(err.Error(), "rpc: "))
	if isUsage(err) {
		fmt.Fprintf(w, "Run '%s -h' for usage.\n", cmd.CommandPath())
		return exitUsage
	}
	var coded *rpc.Error
	if errors.As(err, &coded) {
		for _, key := range slices.Sorted(maps.Keys(coded.Details)) {
			fmt.Fprintf(w, "  %s: %s\n", key, coded.Details[key])
		}
	}
	var help *hinted
	if errors.As(err, &help) {
		fmt.Fprintf(w, "  %s\n", help.hint)
	}
	return exitFailed
}

// isUsage reports whether the command line is to blame. What cobra itself says
// (an unknown command) has no code and no type.
func isUsage(err error) bool {
	var usage *usageError
	var failed *rpc.Error
	var local *localError
	return errors.As(err, &usage) || !errors.As(err, &failed) && !errors.As(err, &local)
}

// localError is a failure that no call brought about.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

func failf(format string, args ...any) error {
	return &localError{fmt.Errorf(format, args...)}
}

// connectionRefused on Windows; no other system numbers its errors so high.
const wsaConnRefused = syscall.Errno(10061)

// explainDial adds what the likely reason is that there is no connection.
func explainDial(err error, secure bool) error {
	var noHost *net.DNSError
	var noTLS tls.RecordHeaderError
	var unknownCA x509.UnknownAuthorityError
	var wrongHost x509.HostnameError
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, wsaConnRefused):
		return hint(err, "nobody listens there: is the server running?")
	case errors.As(err, &noHost):
		return hint(err, "is the host's name right?")
	case errors.As(err, &noTLS):
		return hint(err, "the server does not speak TLS: leave the TLS flags out?")
	case errors.As(err, &unknownCA):
		return hint(err, "name the authority that signed the server's certificate: -ca FILE")
	case errors.As(err, &wrongHost):
		return hint(err, "name the host in the server's certificate: -server-name NAME")
	}
	return explainHello(err, secure)
}

// explainHello is about a peer that accepted the connection but did not say hello.
func explainHello(err error, secure bool) error {
	var coded *rpc.Error
	if !errors.As(err, &coded) || coded.Remote() {
		return err
	}
	tlsToo := ""
	if !secure {
		tlsToo = ", or one that wants TLS (-tls)"
	}
	switch {
	case coded.Code == rpc.InvalidArgument:
		return hint(err, "what listens there is no RPC server%s", tlsToo)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return hint(err, "it closed the connection without a word: no RPC server%s?", tlsToo)
	}
	return err
}
