package ratelimit

import (
	"context"
	"net"
	"net/netip"

	"example.com/rpc-from-scratch/final/rpc"
)

// Key tells peers apart: calls with the same key share a bucket. From ctx it can
// take what the Authorize hook can: rpc.PeerFrom, rpc.MetadataFrom and
// rpc.MethodFrom, so that a bucket may be a peer's for one method. The identity is
// what the hook returned (see [Limiter.After]), else that of the client's
// certificate. It runs on the goroutine that reads the connection, for many
// connections at once, and must not wait.
type Key func(ctx context.Context, identity string) string

// Identity tells peers apart by who they are. Those without an identity are one
// peer together.
func Identity(_ context.Context, identity string) string { return identity }

// Host tells peers apart by the address of their host, whatever the port. An
// IPv6 address counts as its first 64 bits, because that is the least that a
// network gives to a host: its 2⁶⁴ addresses are one peer. Peers on Unix sockets
// and pipes, which have no address, are one peer each kind.
func Host(ctx context.Context, _ string) string {
	peer, ok := rpc.PeerFrom(ctx)
	if !ok || peer == nil || peer.Addr == nil {
		return ""
	}
	addr := peer.Addr
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return hostKey(tcp.AddrPort().Addr())
	}
	if at, err := netip.ParseAddrPort(addr.String()); err == nil {
		return hostKey(at.Addr())
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
