package program

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
)

// caller is the name of whoever has the token of -token-file.
const caller = "caller"

// Security is what the flags about it ask for.
type Security struct {
	TLS     *tls.Config        // nil: none
	Options []rpc.ServerOption // of the server
	Open    bool               // to strangers, who may look at what the server has
}

// Secure reads the files that the flags name.
func (f ServerFlags) Secure() (s Security, err error) {
	if (*f.tlsCert == "") != (*f.tlsKey == "") {
		UsageError(f.FlagSet, "-tls-cert and -tls-key go together")
	}
	if *f.clientCA != "" && *f.tlsCert == "" {
		UsageError(f.FlagSet, "-client-ca needs -tls-cert and -tls-key")
	}
	if *f.handlerTimeout < 0 {
		UsageError(f.FlagSet, "-handler-timeout %v: want 0 or more", *f.handlerTimeout)
	}
	s.Options = append(s.Options, rpc.WithHandlerTimeout(*f.handlerTimeout))
	if *f.tlsCert != "" {
		if s.TLS, err = serverTLS(*f.tlsCert, *f.tlsKey, *f.clientCA); err != nil {
			return s, err
		}
		s.Options = append(s.Options, rpc.WithTLS(s.TLS))
	}
	if *f.tokenFile != "" {
		guard, err := newGuard(*f.tokenFile)
		if err != nil {
			return s, err
		}
		s.Options = append(s.Options, rpc.WithAuthorize(guard.Authorize))
	}
	s.Open = !*f.noIntrospect && *f.tokenFile == ""
	return s, nil
}

func serverTLS(cert, key, ca string) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("-tls-cert: %w", err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if ca != "" {
		if cfg.ClientCAs, err = authorities("-client-ca", ca); err != nil {
			return nil, err
		}
		cfg.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return cfg, nil
}

// newGuard allows callers that have the token, and anybody's health checks.
func newGuard(file string) (*auth.Guard, error) {
	token, err := readToken("-token-file", file)
	if err != nil {
		return nil, err
	}
	tokens, err := auth.NewTokens(map[string]string{token: caller})
	if err != nil {
		return nil, fmt.Errorf("-token-file %s: %w", file, err)
	}
	return auth.New(tokens.Verify, auth.Known(), auth.Rules{health.Check.Name(): auth.Public()})
}

// ClientFlags are those of a program that calls a server: how to reach it safely.
type ClientFlags struct {
	flags              *flag.FlagSet
	prefix             string
	tls                *bool
	ca, cert, key, tok *string
}

// NewClientFlags adds flags that begin with prefix, which names the server.
func NewClientFlags(flags *flag.FlagSet, prefix string) ClientFlags {
	of := "the " + prefix
	return ClientFlags{
		flags:  flags,
		prefix: prefix,
		tls:    flags.Bool(prefix+"-tls", false, "speak TLS to "+of+"; the flags about certificates imply it"),
		ca:     flags.String(prefix+"-ca", "", "PEM `file` of the authorities that may sign the certificate of "+of+"; default: the system's"),
		cert:   flags.String(prefix+"-cert", "", "PEM `file` of our certificate for "+of+", for mutual TLS"),
		key:    flags.String(prefix+"-key", "", "PEM `file` of that certificate's private key"),
		tok:    flags.String(prefix+"-token-file", "", "send the bearer token in this `file` to "+of+", over TLS or to this machine"),
	}
}

// Options returns what the flags ask for.
func (f ClientFlags) Options() ([]rpc.ClientOption, error) {
	if (*f.cert == "") != (*f.key == "") {
		UsageError(f.flags, "-%s-cert and -%s-key go together", f.prefix, f.prefix)
	}
	var cfg *tls.Config
	if *f.tls || *f.ca != "" || *f.cert != "" {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	var err error
	if *f.ca != "" {
		if cfg.RootCAs, err = authorities("-"+f.prefix+"-ca", *f.ca); err != nil {
			return nil, err
		}
	}
	if *f.cert != "" {
		pair, err := tls.LoadX509KeyPair(*f.cert, *f.key)
		if err != nil {
			return nil, fmt.Errorf("-%s-cert: %w", f.prefix, err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	token := ""
	if *f.tok != "" {
		if token, err = readToken("-"+f.prefix+"-token-file", *f.tok); err != nil {
			return nil, err
		}
	}
	return Reach(cfg, token), nil
}

// Reach returns the options of a client that speaks TLS if cfg is not nil, and sends
// the token if there is one.
func Reach(cfg *tls.Config, token string) []rpc.ClientOption {
	switch {
	case token != "" && cfg != nil:
		return []rpc.ClientOption{auth.OverTLS(cfg, auth.Static(token))}
	case token != "":
		return []rpc.ClientOption{auth.OverLoopback(auth.Static(token))}
	case cfg != nil:
		return []rpc.ClientOption{rpc.WithTLS(cfg)}
	}
	return nil
}

// authorities reads the certificates in a file.
func authorities(name, file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate in %s", name, file)
	}
	return pool, nil
}

// readToken reads a file of one line, which an error does not repeat.
func readToken(name, file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	token := strings.TrimSpace(strings.TrimPrefix(string(data), "\ufeff"))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s %s: %w", name, file, errors.New("want one line with the token alone"))
	}
	return token, nil
}
