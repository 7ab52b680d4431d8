package gateway

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// lingerTime is how long a connection that is being closed reads on, so that the
// client gets its answer: bytes left unread would reset the connection.
const lingerTime = 250 * time.Millisecond

// hosts are the names that a server goes by, in lower case. With nil it goes by
// any, except on this machine alone: see [OnlyHosts].
type hosts map[string]bool

// anyHost among hosts stands for all of them.
const anyHost = "*"

func newHosts(where string, names []string) hosts {
	h := hosts{}
	for _, name := range names {
		if err := misuse.CheckHost(name); err != nil && name != anyHost {
			panic(fmt.Errorf("gateway: %s: %w", where, err))
		}
		h[hostOf(name)] = true
	}
	return h
}

// allow reports whether r is for this server.
func (h hosts) allow(r *http.Request) bool {
	host := hostOf(r.Host)
	if h != nil {
		return h[anyHost] || h[host]
	}
	return host == "" || !overLoopback(r) || isLoopback(host)
}

// hostOf takes port, brackets and the root's dot off a name or an address.
func hostOf(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// overLoopback reports whether r has arrived at an address that only this
// machine has.
func overLoopback(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.IsLoopback()
}

// isLoopback reports whether host is a name or address of the machine for itself,
// which no other site can have: browsers keep localhost to themselves.
func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// OnlyHosts returns a handler that passes on requests for these hosts, which
// are names or addresses without a port, and answers others with 421; "*"
// allows any. It is for the handlers beside a Gateway, for example metrics; a
// Gateway has [WithHosts].
//
// Without names it checks only requests that arrive at a loopback address: they
// must be for localhost or a loopback address. Otherwise a site whose name
// points there (DNS rebinding) could read and call, in a browser on this
// machine, what is for this machine only. Behind a proxy on the same machine
// that passes on the outer name, give that name. It panics if next is nil, and on a
// name that no host has: there are no wildcards but "*".
func OnlyHosts(next http.Handler, names ...string) http.Handler {
	misuse.NotNil("gateway: OnlyHosts", "handler", next)
	var allowed hosts
	if len(names) > 0 {
		allowed = newHosts("OnlyHosts", names)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !allowed.allow(r) {
			hangUp(w)
			fail(timed(w, defaultWriteTimeout), http.StatusMisdirectedRequest, errHost(r))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// hangUp makes the answer that follows the connection's last. It is sent at once,
// and a body that has not arrived is not waited for.
func hangUp(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	setReadDeadline(w, time.Now().Add(lingerTime))
}

func errHost(r *http.Request) *rpc.Error {
	return rpc.Errorf(rpc.PermissionDenied, "this is not the server of %q", r.Host)
}
