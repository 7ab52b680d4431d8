package ratelimit

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// Key tells peers apart: calls with the same key share a bucket. ctx has what
// the Authorize hook gets: rpc.PeerFrom, rpc.MetadataFrom and rpc.MethodFrom,
// so that a bucket may be a peer's for one method. identity is what the hook
// returned (see [Limiter.After]), else that of the client's certificate. A Key
// runs on the goroutine that reads the connection, for many connections at
// once, and must not wait.
type Key func(ctx context.Context, identity string) string

// Identity tells peers apart by their identity. All peers without one are one
// peer together.
func Identity(_ context.Context, identity string) string { return identity }

// Host tells peers apart by the address of their host, with any port or none. Only
// the first 64 bits of an IPv6 address count, because a network gives at least
// those 2⁶⁴ addresses to one host. Unix sockets and pipes have no address: all
// peers on Unix sockets are one peer, and all on pipes another.
func Host(ctx context.Context, _ string) string {
	peer, ok := rpc.PeerFrom(ctx)
	if !ok || peer == nil || peer.Addr == nil {
		return ""
	}
	addr := peer.Addr
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return hostKey(tcp.AddrPort().Addr())
	}
	text := addr.String()
	if at, err := netip.ParseAddrPort(text); err == nil {
		return hostKey(at.Addr())
	}
	// A proxy's middleware for net/http may set a RemoteAddr without a port.
	if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]")
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return hostKey(ip)
	}
	return addr.Network()
}

func hostKey(ip netip.Addr) string {
	ip = ip.Unmap().WithZone("")
	if !ip.Is6() {
		return ip.String()
	}
	network, _ := ip.Prefix(64) // it has 128 bits
	return network.String()
}
