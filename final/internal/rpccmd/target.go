package rpccmd

import (
	"net"
	"net/url"
	"strings"

	"example.com/rpc-from-scratch/final/transport/http2"
)

// A target is where ADDR leads.
type target struct {
	addr string // for rpc.Dial: host:port or unix:path
	http bool   // over HTTP/2
	tls  bool   // https
	path string // of the listener, with http
}

// parseTarget refuses what cannot be dialled before anything is tried.
func parseTarget(addr string) (target, error) {
	switch scheme, _, _ := strings.Cut(addr, "://"); {
	case strings.HasPrefix(addr, "unix:"):
		return target{addr: addr}, nil
	case strings.EqualFold(scheme, "http"), strings.EqualFold(scheme, "https"):
		return parseURL(addr)
	}
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return target{}, usagef("%q is no address: want host:port, unix:path, or http://host:port or https://host:port for HTTP/2", addr)
	}
	return target{addr: addr}, nil
}

// parseURL reads a URL. Its scheme may have been written in capitals.
func parseURL(addr string) (target, error) {
	u, err := url.Parse(addr)
	switch {
	case err != nil:
		return target{}, usagef("%q is no address: %w", addr, err)
	case u.Hostname() == "":
		return target{}, usagef("%q is no address: the host is missing", addr)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return target{}, usagef("%q is no address: want a host, a port and a path; metadata go with -H, a token with -token-file", u.Redacted())
	}
	t := target{http: true, tls: u.Scheme == "https", path: u.Path}
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[t.tls]
	}
	if t.path == "" || t.path == "/" {
		t.path = http2.DefaultPath
	}
	t.addr = net.JoinHostPort(u.Hostname(), port)
	return t, nil
}

func checkAddr(addr string) error {
	_, err := parseTarget(addr)
	return err
}
