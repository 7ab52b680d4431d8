package rpccmd

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/spf13/pflag"
)

// tlsOptions are the flags about TLS. Any of them asks for it.
type tlsOptions struct {
	on         bool
	ca         string
	cert, key  string
	serverName string
	insecure   bool
}

func (o *tlsOptions) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&o.on, "tls", false, "speak TLS; the other TLS flags imply it")
	flags.StringVar(&o.ca, "ca", "", "PEM `file` of the authorities that may sign the server's certificate; default: the system's")
	flags.StringVar(&o.cert, "cert", "", "PEM `file` of our certificate, for mutual TLS")
	flags.StringVar(&o.key, "key", "", "PEM `file` of our certificate's private key")
	flags.StringVar(&o.serverName, "server-name", "", "the `name` in the server's certificate; default: ADDR's host, which a Unix socket does not have")
	flags.BoolVar(&o.insecure, "insecure-skip-verify", false, "accept any certificate: a stranger on the network can then read and answer calls")
}

func (o *tlsOptions) wanted() bool {
	return o.on || o.insecure || o.ca != "" || o.cert != "" || o.key != "" || o.serverName != ""
}

// config returns nil if no TLS is asked for. Its errors are usage errors: a file
// that is named on the command line cannot be used.
func (o *tlsOptions) config() (*tls.Config, error) {
	if !o.wanted() {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: o.serverName, InsecureSkipVerify: o.insecure}
	if o.ca != "" {
		pem, err := readFile(o.ca)
		if err != nil {
			return nil, usagef("-ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, usagef("-ca: no certificate in %s", o.ca)
		}
	}
	if (o.cert == "") != (o.key == "") {
		return nil, usagef("-cert and -key go together")
	}
	if o.cert != "" {
		cert, err := readFile(o.cert)
		if err != nil {
			return nil, usagef("-cert: %w", err)
		}
		key, err := readFile(o.key)
		if err != nil {
			return nil, usagef("-key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, usagef("-cert: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}
