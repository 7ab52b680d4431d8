package rpc

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/causes"
)

// dialNet is how connections are made without [WithDialer].
func dialNet(ctx context.Context, addr string) (net.Conn, error) {
	if err := checkAddr(ctx, addr, 1); err != nil {
		return nil, err
	}
	network, address := splitAddr(addr)
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

func splitAddr(addr string) (network, address string) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return "unix", path
	}
	return "tcp", addr
}

func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	return host
}

// checkAddr refuses an address that cannot be parsed, or with a port below least: 0 is
// any port, to listen on. Whether there is such a host is for DNS to say, whose answer
// may change.
func checkAddr(ctx context.Context, addr string, least int) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return checkUnixPath(path)
	}
	host, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return Errorf(InvalidArgument, "address %q: want host:port or unix:path; an IPv6 host stands in brackets: %w", addr, err)
	case !isPort(ctx, port, least):
		return Errorf(InvalidArgument, "address %q: want a port from %d to 65535, or a service's name", addr, least)
	case host != "" && !isHost(host):
		return Errorf(InvalidArgument, "address %q: %q is neither a host's name nor an IP address", addr, host)
	}
	return nil
}

// isPort accepts numbers, and the names of services that the system knows.
func isPort(ctx context.Context, port string, least int) bool {
	if n, err := strconv.Atoi(port); err == nil {
		return least <= n && n <= 65535
	}
	_, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	return port != "" && err == nil
}

// isHost accepts IP addresses, and names that DNS may have. A name of another
// script is to be written as DNS has it (xn--…).
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	host = strings.TrimSuffix(host, ".")
	if len(host) > 253 {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notInName) {
			return false
		}
	}
	return true
}

func notInName(r rune) bool {
	return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

// isBadAddr reports whether a dialer failed because it could not parse the address.
func isBadAddr(err error) bool {
	_, addr := causes.Find[*net.AddrError](err)
	_, parse := causes.Find[*net.ParseError](err)
	_, network := causes.Find[net.UnknownNetworkError](err)
	return addr || parse || network
}

// noAddr stands for the address of a peer whose connection does not know it, so
// that hooks may ask for its text.
type noAddr struct{}

func (noAddr) Network() string { return "unknown" }
func (noAddr) String() string  { return "unknown address" }

// addrOf returns the address of the other end of conn, which is guarded.
func addrOf(conn net.Conn) (addr net.Addr, err error) {
	if user, ok := conn.(userConn); ok {
		err = user.apart(func() error { addr = remoteAddr(user.Conn); return nil })
	} else {
		addr = remoteAddr(conn)
	}
	if err != nil || isNil(addr) {
		addr = noAddr{}
	}
	return addr, err
}

// remoteAddr returns the address of the other end. A client of a Unix socket has none
// as a rule: the socket's path says where it has connected to.
func remoteAddr(conn net.Conn) net.Addr {
	addr := conn.RemoteAddr()
	unix, ok := addr.(*net.UnixAddr)
	if !ok || unix == nil || unix.Name != "" && unix.Name != "@" {
		return addr
	}
	named := net.UnixAddr{Name: "unnamed socket", Net: unix.Net}
	if local, ok := conn.LocalAddr().(*net.UnixAddr); ok && local != nil && local.Name != "" && local.Name != "@" {
		named.Name = local.Name
	}
	return &named
}
