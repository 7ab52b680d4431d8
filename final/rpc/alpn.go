package rpc

import (
	"crypto/tls"
	"net"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// alpn is the protocol's name in TLS.
const alpn = "rpc-from-scratch/1"

// withALPN returns a copy of cfg that names the protocol, before the names that cfg has.
// Those of HTTP are left out: an http.Server with the same cfg writes them to it.
func withALPN(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	cfg = cfg.Clone()
	cfg.NextProtos = append([]string{alpn}, slices.DeleteFunc(slices.Clone(cfg.NextProtos), func(name string) bool {
		return name == alpn || name == "h2" || strings.HasPrefix(name, "http/")
	})...)
	if choose := cfg.GetConfigForClient; choose != nil {
		cfg.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			return withALPN(chosen), err
		}
	}
	return cfg
}

// isNoProtocol reports whether the other end has refused all names that were offered to
// it, by an alert. crypto/tls has no type for that: it says so in the alert's text.
func isNoProtocol(err error) bool {
	alert, told := causes.Find[*net.OpError](err)
	return told && alert.Op == "remote error" && alert.Err.Error() == "tls: no application protocol"
}
